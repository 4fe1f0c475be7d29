"""What the control side orders, carried out between two batches of packets."""

from libc.stdint cimport int64_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memcpy
from posix.unistd cimport read

from media.engine.companding cimport fill_gain_map
from media.engine.jitter cimport reset_jitter
from media.engine.mixer cimport forget_source, merge_hearing
from media.engine.pace cimport give_up_slot, update_turn
from media.engine.peers cimport ON_RTCP, ON_RTP, connect_leg, disconnect_leg, watch_socket
from media.engine.player cimport end_player, end_players, seek_player
from media.engine.recorder cimport blank_ahead, publish_end, recorder_position
from media.engine.rings cimport load_acquire, push_event, store_release
from media.engine.rtcp cimport send_report
from media.engine.types cimport (
    CMD_ADD,
    CMD_CONFIGURE,
    CMD_CONFIRM,
    CMD_CONTROL_PLAY,
    CMD_DIGITS,
    CMD_EARS,
    CMD_PLAY,
    CMD_RECORD,
    CMD_REC_STATE,
    CMD_REC_STOP,
    CMD_REMOVE,
    CMD_ROUTES,
    CMD_STOP,
    CMD_STOP_PLAY,
    CMD_TAP,
    COMMAND_SLOTS,
    Command,
    DigitOut,
    EV_CONFIRMED,
    EV_FREE,
    EV_FREE_CODER,
    EV_FREE_EARS,
    EV_FREE_SRTP,
    EV_FREE_TAP,
    EV_LEG_GONE,
    EV_REC_STATE,
    KIND_PCMA,
    Leg,
    LegConfig,
    Loop,
    MAX_RECORDERS,
    PLAY_CLOSED,
    PLAY_REPLACED,
    PLAY_STOPPED,
    Player,
    Recorder,
    Route,
    Tap,
)


cdef extern from "<sys/epoll.h>" nogil:
    ctypedef struct epoll_event:
        pass
    int epoll_ctl(int epfd, int op, int fd, epoll_event* event)
    enum:
        EPOLL_CTL_DEL


cdef void _add_leg(Loop* loop, Leg* leg) noexcept nogil:
    leg.index = loop.leg_count
    loop.legs[loop.leg_count] = leg
    loop.leg_count += 1
    watch_socket(loop, leg.rtp_fd, leg, ON_RTP, True)
    watch_socket(loop, leg.rtcp_fd, leg, ON_RTCP, True)


cdef void _configure_leg(Loop* loop, Leg* leg, LegConfig* config) noexcept nogil:
    """Take over a configuration; the address is kept when the peer's did not change (it may have been learnt)."""
    cdef LegConfig old = leg.config
    cdef bint moved = not leg.configured or config.remote_changed
    cdef int64_t passed
    memcpy(&leg.config, config, sizeof(LegConfig))
    if old.coder != NULL and old.coder != config.coder:
        push_event(&loop.events, EV_FREE_CODER, leg.handle, 0, 0, 0, old.coder)
    if old.srtp_send != NULL and old.srtp_send != config.srtp_send:
        push_event(&loop.events, EV_FREE_SRTP, leg.handle, 0, 0, 0, old.srtp_send)
    if old.srtp_receive != NULL and old.srtp_receive != config.srtp_receive:
        push_event(&loop.events, EV_FREE_SRTP, leg.handle, 0, 0, 0, old.srtp_receive)
    if leg.outgoing.clock != config.codecs[0].clock_rate:
        # Another clock: go on from here at the new pace (RFC 7160).
        if leg.outgoing.started:
            passed = (loop.now - leg.outgoing.last_ns) * leg.outgoing.clock // 1000000000
            leg.outgoing.last_ts += <uint32_t>passed
            leg.outgoing.last_ns = loop.now
            leg.outgoing.last_span = 0
        leg.outgoing.clock = config.codecs[0].clock_rate
    if leg.jitter != NULL and old.codecs[0].pcm_rate != config.codecs[0].pcm_rate:
        reset_jitter(leg.jitter)
    leg.outgoing.source = 0
    if moved:
        disconnect_leg(leg)
        leg.config.signalled = leg.config.remote
        leg.config.remote_changed = 1
        leg.locked = 0
        connect_leg(loop, leg)
    else:
        leg.config.remote_changed = old.remote_changed
        leg.config.signalled = old.signalled
        leg.config.remote = old.remote
        leg.config.remote_rtcp = old.remote_rtcp
        leg.config.remote_port = old.remote_port
        leg.config.remote_length = old.remote_length
    if not leg.configured:
        leg.configured = 1
        leg.configured_ns = loop.now
        leg.rtcp.next_second = 1 + (leg.outgoing.ssrc & 3)
    leg.incoming.last_ns = loop.now
    leg.timed_out = 0


cdef void _stop_recorder(Loop* loop, Leg* leg, int k) noexcept nogil:
    publish_end(loop, leg.recorder[k], loop.now)
    leg.recorders -= 1
    leg.recorder[k] = leg.recorder[leg.recorders]
    leg.recorder[leg.recorders] = NULL


cdef void _remove_leg(Loop* loop, Leg* leg) noexcept nogil:
    """Take the leg out of everything; the sockets stay open for the control side to drain."""
    cdef Leg* moved
    cdef int i
    end_players(loop, leg, PLAY_CLOSED)
    for i in range(loop.tick.count):
        forget_source(loop.tick.legs[i].hearing, leg)
    while leg.recorders:
        _stop_recorder(loop, leg, 0)
    if leg.configured:
        send_report(loop, leg, True)
    leg.decoding = 0
    leg.mixing = 0
    leg.digit_out.active = 0
    leg.sending_digits = 0
    leg.frame_ready = 0
    leg.configured = 0
    update_turn(loop, leg)
    give_up_slot(loop, leg)
    epoll_ctl(loop.epoll_fd, EPOLL_CTL_DEL, leg.rtp_fd, NULL)
    epoll_ctl(loop.epoll_fd, EPOLL_CTL_DEL, leg.rtcp_fd, NULL)
    if leg.guard_fd >= 0:
        epoll_ctl(loop.epoll_fd, EPOLL_CTL_DEL, leg.guard_fd, NULL)
    loop.leg_count -= 1
    moved = loop.legs[loop.leg_count]
    loop.legs[leg.index] = moved
    moved.index = leg.index
    push_event(&loop.events, EV_LEG_GONE, leg.handle, 0, 0, 0, leg)


cdef void _set_routes(Loop* loop, Route* routes, int count) noexcept nogil:
    """Swap the tables of all legs concerned at once; old ones go back to be freed."""
    cdef int i, k
    cdef Leg* leg
    for i in range(count):
        leg = routes[i].leg
        if routes[i].jitter != NULL:
            if leg.jitter == NULL:
                leg.jitter = routes[i].jitter
            else:
                push_event(&loop.events, EV_FREE, 0, 0, 0, 0, routes[i].jitter)
        if routes[i].decoding and not leg.decoding and leg.jitter != NULL:
            reset_jitter(leg.jitter)
        if routes[i].hearing != NULL:
            if leg.mixing:
                merge_hearing(routes[i].hearing, leg.hearing)
            else:
                # From silence or relay into the mix: no fade, the voice was there already.
                for k in range(routes[i].hearing.count):
                    routes[i].hearing.pairs[k].current = routes[i].hearing.pairs[k].gain
        elif leg.mixing and leg.hearing != NULL:
            leg.frame_ready = 0
        if leg.hearing != NULL:
            push_event(&loop.events, EV_FREE, 0, 0, 0, 0, leg.hearing)
        leg.hearing = routes[i].hearing
        if leg.sinks != NULL:
            push_event(&loop.events, EV_FREE, 0, 0, 0, 0, leg.sinks)
        leg.sinks = routes[i].sinks
        leg.sink = leg.sinks.legs[0] if leg.sinks != NULL else NULL
        leg.relayed = routes[i].relayed
        leg.mixing = routes[i].mixing
        leg.decoding = routes[i].decoding
        if not leg.decoding:
            leg.frame_ready = 0
        update_turn(loop, leg)
    push_event(&loop.events, EV_FREE, 0, 0, 0, 0, routes)


cdef void _start_player(Loop* loop, Leg* leg, Player* player, bint enqueue) noexcept nogil:
    cdef Player* last
    if leg.player != NULL and enqueue:
        last = leg.player
        while last.next != NULL:
            last = last.next
        last.next = player
        return
    end_players(loop, leg, PLAY_REPLACED)
    leg.player = player
    update_turn(loop, leg)


cdef void _stop_player(Loop* loop, Leg* leg, uint32_t wanted) noexcept nogil:
    """Stop one player of the leg wherever it stands in the queue, or (0) all of them."""
    cdef Player* before
    cdef Player* player
    if wanted == 0:
        end_players(loop, leg, PLAY_STOPPED)
    elif leg.player != NULL and leg.player.id == wanted:
        end_player(loop, leg, PLAY_STOPPED)
    else:
        before = leg.player
        while before != NULL and before.next != NULL:
            if before.next.id == wanted:
                player = leg.player
                leg.player = before.next
                before.next = leg.player.next
                leg.player.next = player
                end_player(loop, leg, PLAY_STOPPED)
                break
            before = before.next
    update_turn(loop, leg)


cdef void _control_player(Loop* loop, Leg* leg, Command* command) noexcept nogil:
    cdef Player* player = leg.player
    while player != NULL and player.id != <uint32_t>command.a:
        player = player.next
    if player == NULL:
        return
    if command.b >= 0:
        player.paused = <int>command.b
    if command.c:
        seek_player(player, <int>command.c)
    if command.gain >= 0:
        player.gain = <float>command.gain
        player.has_gain = command.gain != 1.0
        if leg.config.codecs[0].kind <= KIND_PCMA:
            fill_gain_map(leg.config.codecs[0].kind, player.gain, player.gain_map)


cdef Recorder* _find_recorder(Leg* leg, uint32_t wanted, int* position) noexcept nogil:
    cdef int k
    for k in range(leg.recorders):
        if leg.recorder[k].id == wanted:
            position[0] = k
            return leg.recorder[k]
    return NULL


cdef void _set_recorder_state(Loop* loop, Leg* leg, uint32_t wanted, int state) noexcept nogil:
    cdef int position = 0
    cdef Recorder* recorder = _find_recorder(leg, wanted, &position)
    if recorder == NULL:
        return
    if state == 1 or state == 2:
        blank_ahead(recorder, recorder_position(recorder, loop.now))
    # State 3 only asks for the offset: the mark of a new segment.
    if state != 3:
        recorder.paused = <uint8_t>state
        recorder.line[0].valid = 0
        recorder.line[1].valid = 0
    push_event(&loop.events, EV_REC_STATE, leg.handle, wanted, state, recorder_position(recorder, loop.now), NULL)


cdef void _start_digits(Loop* loop, Leg* leg, DigitOut* fresh) noexcept nogil:
    if leg.digit_out.active:
        # Behind those that are being sent.
        _append_digits(leg, fresh)
    else:
        leg.digit_out = fresh[0]
        leg.digit_out.active = 1
        leg.sending_digits = 1
        leg.digit_out.first = 1
        update_turn(loop, leg)
    push_event(&loop.events, EV_FREE, 0, 0, 0, 0, fresh)


cdef void _append_digits(Leg* leg, DigitOut* fresh) noexcept nogil:
    cdef int i, left
    left = leg.digit_out.count - leg.digit_out.position
    for i in range(left):
        leg.digit_out.queue[i] = leg.digit_out.queue[leg.digit_out.position + i]
    leg.digit_out.position = 0
    leg.digit_out.count = <uint8_t>left
    for i in range(fresh.count):
        if leg.digit_out.count >= 64:
            break
        leg.digit_out.queue[leg.digit_out.count] = fresh.queue[i]
        leg.digit_out.count += 1
    leg.digit_out.batch = fresh.batch


cdef void _obey(Loop* loop, Command* command) noexcept nogil:
    cdef Leg* leg = command.leg
    cdef int position = 0
    cdef Recorder* recorder
    if command.type == CMD_ADD:
        _add_leg(loop, leg)
    elif command.type == CMD_CONFIGURE:
        _configure_leg(loop, leg, &command.config)
    elif command.type == CMD_REMOVE:
        _remove_leg(loop, leg)
    elif command.type == CMD_ROUTES:
        _set_routes(loop, <Route*>command.pointer, <int>command.a)
    elif command.type == CMD_PLAY:
        _start_player(loop, leg, <Player*>command.pointer, command.a != 0)
    elif command.type == CMD_STOP_PLAY:
        _stop_player(loop, leg, <uint32_t>command.a)
    elif command.type == CMD_CONTROL_PLAY:
        _control_player(loop, leg, command)
    elif command.type == CMD_DIGITS:
        _start_digits(loop, leg, <DigitOut*>command.pointer)
    elif command.type == CMD_RECORD:
        if leg.recorders < MAX_RECORDERS:
            recorder = <Recorder*>command.pointer
            recorder.start_ns = loop.now
            leg.recorder[leg.recorders] = recorder
            leg.recorders += 1
    elif command.type == CMD_REC_STATE:
        _set_recorder_state(loop, leg, <uint32_t>command.a, <int>command.b)
    elif command.type == CMD_REC_STOP:
        if _find_recorder(leg, <uint32_t>command.a, &position) != NULL:
            _stop_recorder(loop, leg, position)
    elif command.type == CMD_EARS:
        if leg.ears != NULL:
            push_event(&loop.events, EV_FREE_EARS, leg.handle, 0, 0, 0, leg.ears)
        leg.ears = command.pointer
    elif command.type == CMD_CONFIRM:
        push_event(&loop.events, EV_CONFIRMED, 0, command.a, 0, 0, NULL)
    elif command.type == CMD_TAP:
        if leg.tap != NULL:
            push_event(&loop.events, EV_FREE_TAP, leg.handle, 0, 0, 0, leg.tap)
        leg.tap = <Tap*>command.pointer
    elif command.type == CMD_STOP:
        store_release(&loop.running, 0)


cdef void obey_commands(Loop* loop) noexcept nogil:
    cdef uint64_t count = 0
    if read(loop.commands.wake_fd, &count, 8) != 8:
        return
    while loop.commands.tail != load_acquire(&loop.commands.head):
        _obey(loop, &loop.commands.slots[loop.commands.tail & (COMMAND_SLOTS - 1)])
        store_release(&loop.commands.tail, loop.commands.tail + 1)
