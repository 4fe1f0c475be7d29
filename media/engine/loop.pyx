"""The engine thread: wait, receive, relay, tick, obey.

    epoll (edge-triggered)  --> one recv per ready socket --> relay at once / buffer for the tick
    timerfd, see pace.pyx   --> every 20 ms mixers, digits, a 50th of the legs' once-a-second work; prompts in between
    eventfd                 --> commands, after the packets of the batch: nothing vanishes under their feet

Nothing here allocates, locks, logs or knows the interpreter. Memory comes with the commands and goes back with
the events.
"""

from libc.errno cimport EINTR, errno
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memset

from media.engine.digits cimport send_digit_tick
from media.engine.intake cimport collect_rtp, receive_control, receive_guard, receive_rtp
from media.engine.mixer cimport mix_leg, take_frame
from media.engine.obey cimport obey_commands
from media.engine.output cimport send_frame
from media.engine.pace cimport arm_timer, next_turn, note_lateness, skip_turns, turn_due, update_turn
from media.engine.peers cimport ON_GUARD, ON_RTP, watch_socket
from media.engine.player cimport fill_bytes, next_packet
from media.engine.recorder cimport publish_block
from media.engine.rings cimport load_acquire, push_event, signal_fd, wake_events
from media.engine.rtcp cimport send_report
from media.engine.types cimport (
    CodecSpec,
    EV_OVERRUN,
    EV_TIMEOUT,
    HEADROOM,
    KIND_G722,
    KIND_OPUS,
    KIND_PCMA,
    LINE_BYTES,
    Leg,
    Loop,
    PREFETCHED_BYTES,
    PlayItem,
    Player,
    Roster,
    SLOTS,
)


cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        void* ptr
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_wait(int epfd, epoll_event* events, int maxevents, int timeout)


cdef extern from "<time.h>" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec* out)
    int CLOCK_MONOTONIC
    int CLOCK_REALTIME


cdef extern from *:
    """
    static inline void tandem_prefetch_line(const void *p) { __builtin_prefetch(p, 1); }
    static inline void tandem_prefetch_lines(const void *p, int bytes)
    {
        for (int i = 0; i < bytes; i += 64)
            __builtin_prefetch((const char *)p + i);
    }
    """
    void prefetch "tandem_prefetch_lines"(const void* pointer, int size) noexcept nogil
    void prefetch_line "tandem_prefetch_line"(const void* pointer) noexcept nogil


DEF BATCH = 64
# A leg that sends more in a second is not listened to in the next.
DEF FLOOD_PACKETS = 600
# A socket silent for so long is armed anew.
DEF REARM_NS = 100000000
DEF STRANGER_PACKETS = 200
DEF LATE_US = 5000


cdef long long monotonic_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <long long>now.tv_sec * 1000000000 + now.tv_nsec


cdef int64_t wall_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_REALTIME, &now)
    return <int64_t>now.tv_sec * 1000000000 + now.tv_nsec


cdef void _play_frame(Loop* loop, Leg* leg) noexcept nogil:
    """Send the leg's next ready-made frame: no decoding, no encoding."""
    cdef uint8_t* payload = loop.packet + HEADROOM
    cdef CodecSpec* spec = &leg.config.codecs[0]
    cdef int want, size
    if spec.kind == KIND_OPUS:
        size = next_packet(loop, leg, payload, 1400)
        if size > 0:
            send_frame(loop, leg, payload, size, spec.clock_rate // 50)
        return
    want = 160 if spec.kind <= KIND_G722 else <int>(spec.clock_rate // 50 * 2)
    size = fill_bytes(loop, leg, payload, want)
    if size <= 0:
        return
    if size < want:
        # The last frame of all is filled up with silence.
        memset(payload + size, 0xFF if spec.kind == 0 else (0xD5 if spec.kind == KIND_PCMA else 0), want - size)
    send_frame(loop, leg, payload, want, spec.clock_rate // 50)


cdef void _tick_leg(Loop* loop, Leg* leg) noexcept nogil:
    cdef Player* player
    if leg.sending_digits:
        send_digit_tick(loop, leg)
        return
    player = leg.player
    if player != NULL and not player.paused and not player.mixed and not player.linear:
        _play_frame(loop, leg)
    elif leg.mixing or (player != NULL and not player.paused):
        mix_leg(loop, leg)


cdef void _sweep_leg(Loop* loop, Leg* leg) noexcept nogil:
    """Once a second for every leg."""
    cdef int64_t silent
    if leg.incoming.stranger:
        if leg.incoming.stranger > STRANGER_PACKETS and leg.guard_fd >= 0:
            watch_socket(loop, leg.guard_fd, leg, ON_GUARD, True)
        leg.incoming.stranger = 0
    # The floor of the transit follows a clock that drifts away: a millisecond a second.
    if leg.incoming.started:
        leg.incoming.transit_floor += <int32_t>leg.config.codecs[0].clock_rate // 1000
    leg.incoming.flood = leg.incoming.pps > FLOOD_PACKETS
    leg.incoming.pps = 0
    if loop.now - leg.incoming.last_ns > REARM_NS and not leg.polled:
        # A queue that filled up while it was taken for empty gives no edge any more.
        watch_socket(loop, leg.rtp_fd, leg, ON_RTP, True)
    if not leg.configured:
        return
    silent = (loop.now - leg.incoming.last_ns) // 1000000
    if leg.config.timeout_ms and leg.config.receive and not leg.timed_out and silent >= leg.config.timeout_ms:
        leg.timed_out = 1
        push_event(&loop.events, EV_TIMEOUT, leg.handle, silent, 0, 0, NULL)
    leg.rtcp.next_second -= 1
    if leg.rtcp.next_second <= 0:
        loop.seed = loop.seed * 1664525 + 1013904223
        # RFC 3550 section 6.2: between half and one and a half times the interval.
        leg.rtcp.next_second = <int>(loop.rtcp_interval_s // 2 + (loop.seed >> 16) % (loop.rtcp_interval_s + 1))
        if leg.rtcp.next_second < 1:
            leg.rtcp.next_second = 1
        send_report(loop, leg, False)


cdef void _sweep(Loop* loop) noexcept nogil:
    cdef int share = (loop.leg_count + 49) // 50
    cdef int i
    for i in range(share):
        if loop.sweep_left <= 0:
            break
        loop.sweep_left -= 1
        if loop.sweep >= loop.leg_count:
            loop.sweep = 0
        if loop.leg_count:
            _sweep_leg(loop, loop.legs[loop.sweep])
            loop.sweep += 1
    if loop.ticks % 50 == 0:
        loop.sweep_left = loop.leg_count


cdef void _publish_recordings(Loop* loop) noexcept nogil:
    cdef int i, k
    cdef Leg* leg
    cdef bint any = False
    # A fifth of the legs on each tick: all of them at once would keep packets waiting.
    i = <int>(loop.ticks % 5)
    while i < loop.leg_count:
        leg = loop.legs[i]
        for k in range(leg.recorders):
            any = publish_block(loop, leg.recorder[k], loop.now) or any
        i += 5
    if any:
        signal_fd(loop.writer.wake_fd)


cdef void _tick(Loop* loop) noexcept nogil:
    cdef int i
    cdef Leg* leg
    loop.ticks += 1
    for i in range(loop.tick.count):
        leg = loop.tick.legs[i]
        if leg.decoding:
            take_frame(loop, leg)
    # Backwards: a leg that has nothing more to do leaves the list.
    i = loop.tick.count - 1
    while i >= 0:
        leg = loop.tick.legs[i]
        _tick_leg(loop, leg)
        if not leg.decoding and not leg.mixing and not leg.sending_digits:
            update_turn(loop, leg)
        i -= 1
    _sweep(loop)
    _publish_recordings(loop)


cdef void _fetch_ahead(Roster* slot, int i) noexcept nogil:
    """A leg's memory is cold after 20 ms: ask for it in three steps, while those before it are served."""
    cdef Leg* leg
    cdef Player* player
    cdef PlayItem* item
    if i >= 3:
        prefetch(slot.legs[i - 3], PREFETCHED_BYTES)
    if i >= 2 and slot.legs[i - 2].player != NULL:
        prefetch(slot.legs[i - 2].player, sizeof(Player))
    if i >= 1:
        leg = slot.legs[i - 1]
        player = leg.player
        if player != NULL and player.index < player.count:
            item = &player.items[player.index]
            if item.frames == NULL:
                prefetch(item.data + player.offset, 3 * LINE_BYTES)
        if leg.recorders:
            prefetch(leg.recorder[0], 3 * LINE_BYTES)


cdef void _play_slot(Loop* loop, Roster* slot) noexcept nogil:
    """Legs that only hear a prompt: take in what they sent, send the next frame."""
    cdef int i = slot.count - 1
    cdef Leg* leg
    cdef Player* player
    # Backwards, as above.
    while i >= 0:
        _fetch_ahead(slot, i)
        leg = slot.legs[i]
        collect_rtp(loop, leg)
        # What came may have ended the prompt (a digit).
        player = leg.player
        if player != NULL and not player.paused and leg.roster == slot:
            _play_frame(loop, leg)
        player = leg.player
        if player == NULL or player.mixed or player.linear:
            update_turn(loop, leg)
        i -= 1


cdef void run_turns(Loop* loop) noexcept nogil:
    """Everything that is due by now, in its order. After a stall the turns that were missed are made up for, so that
    playing keeps its pace; not more than a second of them."""
    cdef int64_t turn, late
    cdef Roster* slot
    loop.armed = 0
    while True:
        loop.now = monotonic_ns()
        turn = next_turn(loop)
        late = loop.now - turn_due(loop, turn)
        if late < 0:
            break
        loop.wall_offset = wall_ns() - loop.now
        note_lateness(loop, late)
        if late > LATE_US * 1000:
            loop.overruns += 1
            if loop.now - loop.overrun_reported_ns > 1000000000:
                loop.overrun_reported_ns = loop.now
                push_event(&loop.events, EV_OVERRUN, 0, late // 1000, <long long>loop.overruns, 0, NULL)
                loop.overruns = 0
            if late > 1000000000:
                skip_turns(loop)
                continue
        loop.grid = turn
        if turn % SLOTS == 0:
            _tick(loop)
        slot = &loop.slots[turn % SLOTS]
        if slot.count:
            _play_slot(loop, slot)
    arm_timer(loop)


cdef void run_loop(Loop* loop) noexcept nogil:
    """Run until CMD_STOP. The caller has filled the structure and added the timer and the command eventfd
    to epoll with user data 1 and 2 (no leg has these addresses)."""
    cdef epoll_event[64] ready
    cdef int count, i, which
    cdef uint64_t mark
    cdef Leg* leg
    cdef bint commands
    loop.now = loop.origin = monotonic_ns()
    arm_timer(loop)
    while load_acquire(&loop.running):
        count = epoll_wait(loop.epoll_fd, ready, BATCH, -1)
        if count < 0:
            if errno == EINTR:
                continue
            break
        loop.now = monotonic_ns()
        commands = False
        for i in range(count):
            if i + 1 < count and ready[i + 1].data.u64 >= 16:
                prefetch_line(<void*><uintptr_t>(ready[i + 1].data.u64 & ~<uint64_t>3))
            mark = ready[i].data.u64
            if mark < 16:
                if mark == 1:
                    # Before the rest of the batch: the playout's pace is what ears notice.
                    run_turns(loop)
                else:
                    commands = True
                continue
            which = <int>(mark & 3)
            leg = <Leg*><void*><uintptr_t>(mark & ~<uint64_t>3)
            if which == ON_RTP:
                receive_rtp(loop, leg)
            elif which == ON_GUARD:
                receive_guard(loop, leg)
            else:
                receive_control(loop, leg)
        if commands:
            obey_commands(loop)
            arm_timer(loop)
        wake_events(&loop.events)
