"""When each leg has its turn.

    0     1     2  ...  10  ...  19    0 ms    the grid: one timer, set to the next place that has work
    tick                slot           tick
    slot

On the *tick* are the legs that must be together: who mixes, decodes, or sends digits. A leg that only hears a prompt
needs nobody else; it keeps a *slot* of its own for life, one of twenty, so that a thousand prompts do not leave as one
burst and the packets that are relayed meanwhile do not wait behind them. A slot takes so many legs before the
next is opened: few prompts cost few wake-ups.
"""

from libc.stdint cimport int64_t

from media.engine.peers cimport stop_polling
from media.engine.types cimport LATENESS_BOUNDS, Leg, Loop, Roster, SLOTS


cdef extern from "<sys/timerfd.h>" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    struct itimerspec:
        timespec it_interval
        timespec it_value
    int timerfd_settime(int fd, int flags, const itimerspec* value, itimerspec* old)
    int TFD_TIMER_ABSTIME


DEF GRID_NS = 1000000

# Slots are opened far from each other first.
cdef int[20] ORDER = [0, 10, 5, 15, 2, 12, 7, 17, 3, 13, 8, 18, 1, 11, 6, 16, 4, 14, 9, 19]
cdef int64_t[10] BOUNDS_US = [100, 250, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000]

LATENESS_BOUNDS_US = tuple(BOUNDS_US[index] for index in range(LATENESS_BOUNDS))


cdef int _choose_slot(Loop* loop) noexcept nogil:
    """The first that has room; when none has, the emptiest."""
    cdef int best = ORDER[0]
    cdef int i
    for i in range(SLOTS):
        if loop.slots[ORDER[i]].members < loop.slot_legs:
            return ORDER[i]
        if loop.slots[ORDER[i]].members < loop.slots[best].members:
            best = ORDER[i]
    return best


cdef Roster* _wanted(Loop* loop, Leg* leg) noexcept nogil:
    if leg.decoding or leg.mixing or leg.sending_digits:
        return &loop.tick
    if leg.player == NULL:
        return NULL
    if leg.player.mixed or leg.player.linear:
        return &loop.tick
    if leg.slot == 0:
        leg.slot = _choose_slot(loop) + 1
        loop.slots[leg.slot - 1].members += 1
    return &loop.slots[leg.slot - 1]


cdef void update_turn(Loop* loop, Leg* leg) noexcept nogil:
    """Put the leg where it has its turn now, or take it off."""
    cdef Roster* wanted = _wanted(loop, leg)
    cdef Roster* left = leg.roster
    cdef Leg* moved
    if leg.polled and (wanted == NULL or wanted == &loop.tick or leg.sinks != NULL):
        stop_polling(loop, leg)
    if wanted == left:
        return
    if left != NULL:
        left.count -= 1
        moved = left.legs[left.count]
        left.legs[leg.position] = moved
        moved.position = leg.position
    leg.roster = wanted
    if wanted == NULL:
        return
    if wanted.count == 0:
        # Its places in the past were not missed: nobody was there.
        wanted.since = (loop.now - loop.origin) // GRID_NS
    leg.position = wanted.count
    wanted.legs[wanted.count] = leg
    wanted.count += 1


cdef void give_up_slot(Loop* loop, Leg* leg) noexcept nogil:
    if leg.slot:
        loop.slots[leg.slot - 1].members -= 1
        leg.slot = 0


cdef int64_t next_turn(Loop* loop) noexcept nogil:
    """The grid number of the next place that has work. Every twentieth has: the tick."""
    cdef int64_t turn = loop.grid + 1
    cdef Roster* slot
    while turn % SLOTS:
        slot = &loop.slots[turn % SLOTS]
        if slot.count and turn > slot.since:
            break
        turn += 1
    return turn


cdef int64_t turn_due(Loop* loop, int64_t turn) noexcept nogil:
    return loop.origin + turn * GRID_NS


cdef void arm_timer(Loop* loop) noexcept nogil:
    cdef itimerspec when
    cdef int64_t turn = next_turn(loop)
    cdef int64_t due = turn_due(loop, turn)
    if turn == loop.armed:
        return
    when.it_interval.tv_sec = when.it_interval.tv_nsec = 0
    when.it_value.tv_sec = due // 1000000000
    when.it_value.tv_nsec = due % 1000000000
    if timerfd_settime(loop.timer_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0:
        loop.armed = turn


cdef void skip_turns(Loop* loop) noexcept nogil:
    """Go on with the tick that is due now, whatever was missed before it."""
    cdef int64_t turn = (loop.now - loop.origin) // GRID_NS
    loop.grid = turn - turn % SLOTS - 1


cdef void note_lateness(Loop* loop, int64_t late) noexcept nogil:
    cdef int64_t late_us = late // 1000
    cdef int i = 0
    while i < LATENESS_BOUNDS and late_us > BOUNDS_US[i]:
        i += 1
    loop.lateness[i] += 1
    loop.late_ns += late
