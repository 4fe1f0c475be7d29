"""The engine thread: wait, receive, relay, tick, obey.

    epoll (edge-triggered)  --> one recv per ready socket --> relay at once / buffer for the tick
    timerfd every 20 ms     --> players, mixers, digits; a 50th of the legs' once-a-second work
    eventfd                 --> commands, after the packets of the batch: nothing vanishes under their feet

Nothing here allocates, locks, logs or knows the interpreter. Memory comes with the commands and goes back with
the events.
"""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcmp, memcpy, memset
from posix.unistd cimport close, read

from media.engine.digits cimport digit_character, receive_event, relay_event, send_digit_tick
from media.engine.jitter cimport put_packet, reset_jitter
from media.engine.companding cimport fill_gain_map
from media.engine.mixer cimport forget_source, merge_hearing, mix_leg, take_frame
from media.engine.output cimport relay_packet, send_frame
from media.engine.player cimport end_player, end_players, fill_bytes, next_packet, seek_player
from media.engine.recorder cimport publish_block, publish_end, record_codes, recorder_position
from media.engine.rings cimport begin_event, commit_event, load_acquire, push_event, signal_fd, store_release, wake_events
from media.engine.rtcp cimport packets_lost, receive_rtcp, send_report
from media.engine.rtp cimport Packet, parse_packet, seq_diff, ts_diff
from media.engine.srtp cimport unprotect_rtcp, unprotect_rtp
from media.engine.types cimport (
    CMD_ADD,
    CMD_CONFIGURE,
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
    COMMAND_SLOTS,
    CodecSpec,
    Command,
    DigitOut,
    EV_CODEC,
    EV_DIGIT,
    EV_FREE,
    EV_FREE_CODER,
    EV_FREE_EARS,
    EV_FREE_SRTP,
    EV_INTRUDER,
    EV_LEG_GONE,
    EV_MEDIA_STARTED,
    EV_OVERRUN,
    EV_REC_STATE,
    EV_TIMEOUT,
    Event,
    HEADROOM,
    Hearing,
    KIND_G722,
    KIND_NONE,
    KIND_OPUS,
    KIND_PCMA,
    LINE_BYTES,
    Leg,
    LegConfig,
    Loop,
    MAX_RECORDERS,
    PACKET_BYTES,
    PLAY_CLOSED,
    PLAY_DIGIT,
    PLAY_REPLACED,
    PLAY_STOPPED,
    PREFETCHED_BYTES,
    Player,
    Recorder,
    Route,
    Sinks,
    sockaddr,
    sockaddr_storage,
    socklen_t,
)


cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        void* ptr
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_wait(int epfd, epoll_event* events, int maxevents, int timeout)
    int epoll_ctl(int epfd, int op, int fd, epoll_event* event)
    enum:
        EPOLL_CTL_ADD
        EPOLL_CTL_DEL
        EPOLL_CTL_MOD
        EPOLLIN
        EPOLLET


cdef extern from "<sys/socket.h>" nogil:
    ssize_t recvfrom(int fd, void* data, size_t size, int flags, sockaddr* source, socklen_t* length)
    int socket(int family, int type, int protocol)
    int c_bind "bind"(int fd, const sockaddr* address, socklen_t length)
    int c_connect "connect"(int fd, const sockaddr* address, socklen_t length)
    int getsockname(int fd, sockaddr* address, socklen_t* length)
    int setsockopt(int fd, int level, int name, const void* value, socklen_t length)
    enum:
        MSG_DONTWAIT
        AF_INET
        AF_INET6
        AF_UNSPEC
        SOCK_DGRAM
        SOCK_NONBLOCK
        SOCK_CLOEXEC
        SOL_SOCKET
        SO_REUSEADDR


cdef extern from "<netinet/in.h>" nogil:
    struct in_addr:
        uint32_t s_addr
    struct sockaddr_in:
        unsigned short sin_family
        uint16_t sin_port
        in_addr sin_addr
    struct in6_addr:
        uint8_t s6_addr[16]
    struct sockaddr_in6:
        unsigned short sin6_family
        uint16_t sin6_port
        in6_addr sin6_addr
    uint16_t ntohs(uint16_t value)
    uint16_t htons(uint16_t value)
    int IPPROTO_IPV6
    int IPV6_V6ONLY


cdef extern from "<time.h>" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec* out)
    int CLOCK_MONOTONIC


cdef extern from *:
    """
    #include <sys/syscall.h>
    #include <unistd.h>
    /* Not the C library's recv: a cancellation point costs as much as the rest of it. */
    static inline long tandem_recv(int fd, void *data, size_t size, int flags)
    {
        return syscall(SYS_recvfrom, fd, data, size, flags, 0, 0);
    }
    static inline void tandem_prefetch(const void *p, int bytes)
    {
        for (int i = 0; i < bytes; i += 64)
            __builtin_prefetch((const char *)p + i, 1);
    }
    """
    ssize_t c_recv "tandem_recv"(int fd, void* data, size_t size, int flags) noexcept nogil
    void prefetch "tandem_prefetch"(const void* pointer, int size) noexcept nogil


# The low bits of epoll's user data: which socket of the leg.
DEF ON_RTP = 0
DEF ON_GUARD = 1
DEF ON_RTCP = 2
DEF BATCH = 64
# Packets of one leg in a row before the others have their turn.
DEF BURST = 16
# A packet less than 1/200 s above the least transit, and not 1/1000 s below it, is fresh.
DEF FRESH_SHARE = 200
DEF EARLY_SHARE = 1000
# How long after the first packet the announced address may still take over.
DEF RELOCK_MS = 5000
DEF REARM_NS = 100000000
DEF TICK_NS = 20000000
DEF FLOOD_PACKETS = 600
DEF STRANGER_PACKETS = 200
DEF LATE_US = 5000


cdef long long monotonic_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <long long>now.tv_sec * 1000000000 + now.tv_nsec


# --- addresses --------------------------------------------------------------------------------------------

cdef inline bint _same_address(const sockaddr_storage* a, const sockaddr_storage* b) noexcept nogil:
    cdef const sockaddr_in* a4 = <const sockaddr_in*>a
    cdef const sockaddr_in* b4 = <const sockaddr_in*>b
    cdef const sockaddr_in6* a6 = <const sockaddr_in6*>a
    cdef const sockaddr_in6* b6 = <const sockaddr_in6*>b
    if a.ss_family != b.ss_family:
        return False
    if a.ss_family == AF_INET:
        return a4.sin_port == b4.sin_port and a4.sin_addr.s_addr == b4.sin_addr.s_addr
    return a6.sin6_port == b6.sin6_port and memcmp(&a6.sin6_addr, &b6.sin6_addr, 16) == 0


cdef void _push_address(Loop* loop, Leg* leg, int type, long long a, const sockaddr_storage* address) noexcept nogil:
    cdef Event* event = begin_event(&loop.events)
    if event == NULL:
        return
    event.type = type
    event.leg = leg.handle
    event.a = a
    event.pointer = NULL
    event.family = address.ss_family
    memset(event.address, 0, 16)
    if address.ss_family == AF_INET:
        event.port = ntohs((<const sockaddr_in*>address).sin_port)
        memcpy(event.address, &(<const sockaddr_in*>address).sin_addr, 4)
    else:
        event.port = ntohs((<const sockaddr_in6*>address).sin6_port)
        memcpy(event.address, &(<const sockaddr_in6*>address).sin6_addr, 16)
    commit_event(&loop.events)


cdef void _watch(Loop* loop, int fd, Leg* leg, int which, bint on) noexcept nogil:
    cdef epoll_event event
    event.events = EPOLLIN if on else 0
    if which == ON_RTP:
        event.events |= <uint32_t>EPOLLET
    event.data.u64 = <uint64_t><uintptr_t>leg | which
    if epoll_ctl(loop.epoll_fd, EPOLL_CTL_MOD, fd, &event) < 0:
        epoll_ctl(loop.epoll_fd, EPOLL_CTL_ADD, fd, &event)


cdef void _open_guard(Loop* loop, Leg* leg) noexcept nogil:
    """A second socket on the leg's port: packets that are not the connected peer's go there."""
    cdef sockaddr_storage own
    cdef socklen_t length = sizeof(own)
    cdef int one = 1
    cdef int fd
    if leg.guard_fd >= 0 or getsockname(leg.rtp_fd, <sockaddr*>&own, &length) < 0:
        return
    fd = socket(own.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if fd < 0:
        return
    # Set after the first bind, so that nobody else could share the port until here.
    setsockopt(leg.rtp_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one))
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one))
    if own.ss_family == AF_INET6:
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one))
    if c_bind(fd, <sockaddr*>&own, length) < 0:
        close(fd)
        return
    leg.guard_fd = fd
    _watch(loop, fd, leg, ON_GUARD, True)


cdef void _connect_leg(Loop* loop, Leg* leg) noexcept nogil:
    """Bind the socket to the peer in `config.remote`: cheaper to use, and strangers are told apart by the kernel."""
    if leg.config.remote_port == 0:
        return
    _open_guard(loop, leg)
    if leg.guard_fd < 0:
        return
    leg.connected = c_connect(leg.rtp_fd, <sockaddr*>&leg.config.remote, leg.config.remote_length) == 0
    leg.unverified = 1


cdef void _disconnect_leg(Leg* leg) noexcept nogil:
    cdef sockaddr_storage nobody
    cdef sockaddr_storage own
    cdef socklen_t length = sizeof(own)
    if not leg.connected:
        return
    getsockname(leg.rtp_fd, <sockaddr*>&own, &length)
    memset(&nobody, 0, sizeof(nobody))
    nobody.ss_family = AF_UNSPEC
    c_connect(leg.rtp_fd, <sockaddr*>&nobody, sizeof(nobody))
    leg.connected = 0


cdef void _set_peer(Loop* loop, Leg* leg, const sockaddr_storage* source, socklen_t length) noexcept nogil:
    """Send to, and listen to, `source` from now on."""
    cdef uint16_t port
    memcpy(&leg.config.remote, source, length)
    leg.config.remote_length = length
    memcpy(&leg.config.remote_rtcp, source, length)
    if source.ss_family == AF_INET:
        port = ntohs((<const sockaddr_in*>source).sin_port)
        (<sockaddr_in*>&leg.config.remote_rtcp).sin_port = htons(<uint16_t>(port + 1))
    else:
        port = ntohs((<const sockaddr_in6*>source).sin6_port)
        (<sockaddr_in6*>&leg.config.remote_rtcp).sin6_port = htons(<uint16_t>(port + 1))
    leg.config.remote_port = port
    _connect_leg(loop, leg)


# --- receiving --------------------------------------------------------------------------------------------

cdef inline bint _count_packet(Leg* leg, Packet* packet, uint32_t clock, int64_t now) noexcept nogil:
    """Sequence numbers and jitter, RFC 3550 A.1 and A.8. False: a duplicate."""
    cdef int distance
    cdef int32_t transit, change, above
    cdef uint64_t bit
    cdef uint32_t arrival
    if not leg.incoming.started or leg.incoming.ssrc != packet.ssrc:
        _begin_source(leg, packet)
        distance = 0
    else:
        distance = seq_diff(packet.seq, leg.incoming.max_seq)
        if distance > 0:
            if distance < 3000:
                leg.incoming.window = leg.incoming.window << distance if distance < 64 else 0
                leg.incoming.window |= 1
                if packet.seq < leg.incoming.max_seq:
                    leg.incoming.cycles += 65536
                leg.incoming.max_seq = packet.seq
            else:
                _begin_source(leg, packet)
        elif distance > -64:
            bit = (<uint64_t>1) << (-distance)
            if leg.incoming.window & bit:
                leg.incoming.duplicates += 1
                return False
            leg.incoming.window |= bit
        elif distance > -300:
            leg.incoming.late += 1
        else:
            _begin_source(leg, packet)
    leg.incoming.packets += 1
    leg.incoming.epoch_packets += 1
    leg.incoming.octets += packet.size
    # Nanoseconds to RTP units without a division: 8 kHz is the common case.
    arrival = <uint32_t>(now // 125000) if clock == 8000 else <uint32_t>(now // 1000 * clock // 1000000)
    transit = <int32_t>(arrival - packet.ts)
    change = transit - leg.incoming.transit
    leg.incoming.transit = transit
    above = transit - leg.incoming.transit_floor
    # Late: more may wait behind it. Early: a burst. Both are read on until the socket is empty.
    leg.incoming.fresh = leg.incoming.epoch_packets > 3 and above < <int32_t>clock // FRESH_SHARE \
        and above > -<int32_t>clock // EARLY_SHARE
    if above < 0 or leg.incoming.epoch_packets == 1:
        leg.incoming.transit_floor = transit
    if change < 0:
        change = -change
    if change < <int32_t>clock:
        leg.incoming.jitter += change - ((leg.incoming.jitter + 8) >> 4)
    return True


cdef void _begin_source(Leg* leg, Packet* packet) noexcept nogil:
    if leg.incoming.started:
        leg.incoming.lost_before = <uint64_t>packets_lost(leg)
    leg.incoming.started = 1
    leg.incoming.ssrc = packet.ssrc
    leg.incoming.max_seq = packet.seq
    leg.incoming.cycles = 0
    leg.incoming.base_ext = packet.seq
    leg.incoming.window = 1
    leg.incoming.epoch_packets = 0
    leg.incoming.report_expected = 0
    leg.incoming.report_received = 0


cdef void _hear_peer(Loop* loop, Leg* leg) noexcept nogil:
    """The first valid packet."""
    leg.locked = 1
    leg.locked_ns = loop.now
    _push_address(loop, leg, EV_MEDIA_STARTED, 0, &leg.config.remote)


cdef inline bint _is_rtcp(const uint8_t* data, int size) noexcept nogil:
    """RFC 5761 section 4."""
    return size >= 8 and data[1] >= 192 and data[1] <= 223


cdef void _take_event(Loop* loop, Leg* leg, Packet* packet) noexcept nogil:
    cdef int i
    cdef int code = receive_event(leg, packet, loop.now)
    cdef Player* player
    if code >= 0:
        push_event(&loop.events, EV_DIGIT, leg.handle, digit_character(code), 0, 0, NULL)
        player = leg.player
        if player != NULL and player.stop_mask & (1 << code):
            end_players(loop, leg, PLAY_DIGIT)
            _update_ticking(loop, leg)
    if leg.sinks != NULL:
        for i in range(leg.sinks.count):
            relay_event(loop, leg, leg.sinks.legs[i], packet)


cdef bint _take_packet(Loop* loop, Leg* leg, uint8_t* data, int size, const sockaddr_storage* source,
                       socklen_t length, int which) noexcept nogil:
    """One datagram on the leg's RTP port. `source` is NULL when it can only be the connected peer.

    True: it is audio that came no later than usual, so nothing waits behind it in the socket."""
    cdef Packet packet
    cdef CodecSpec* spec
    cdef int i
    if not leg.configured:
        return False
    if leg.incoming.flood:
        leg.incoming.rejected += 1
        return False
    if which == ON_GUARD and leg.locked and leg.config.lock_source and not _same_address(source, &leg.config.remote):
        # (The peer itself comes this way too, when it reaches another of our addresses than we send from.)
        _take_stranger(loop, leg, source, length)
        return False
    if leg.config.rtcp_mux and _is_rtcp(data, size):
        if leg.config.srtp_receive != NULL:
            size = unprotect_rtcp(leg.config.srtp_receive, data, size)
        if size > 0:
            receive_rtcp(loop, leg, data, size)
        return False
    if leg.config.srtp_receive != NULL:
        size = unprotect_rtp(leg.config.srtp_receive, data, size)
    if not parse_packet(data, size, &packet):
        leg.incoming.rejected += 1
        return False
    leg.incoming.pps += 1
    spec = &leg.config.codecs[0]
    if packet.payload_type != spec.payload_type:
        if packet.payload_type == leg.config.dtmf_pt:
            spec = NULL
        elif packet.payload_type == leg.config.cn_pt:
            _count_packet(leg, &packet, 8000, loop.now)
            leg.incoming.last_ns = loop.now
            return False
        else:
            i = 1
            while i < leg.config.codec_count and leg.config.codecs[i].payload_type != packet.payload_type:
                i += 1
            if i >= leg.config.codec_count:
                leg.incoming.rejected += 1
                return False
            spec = &leg.config.codecs[i]
    if not leg.locked:
        if source != NULL and leg.config.lock_source and not _same_address(source, &leg.config.remote):
            _set_peer(loop, leg, source, length)
        _hear_peer(loop, leg)
    leg.incoming.last_ns = loop.now
    leg.timed_out = 0
    if spec == NULL:
        leg.incoming.packets += 1
        if not _count_event(leg, &packet):
            return False
        if leg.config.receive:
            _take_event(loop, leg, &packet)
        return False
    if not _count_packet(leg, &packet, spec.clock_rate, loop.now) or not leg.config.receive:
        return False
    if spec.kind != leg.incoming.kind:
        leg.incoming.kind = spec.kind
        push_event(&loop.events, EV_CODEC, leg.handle, spec.kind, 0, 0, NULL)
    if leg.recorders and spec.kind <= KIND_PCMA:
        for i in range(leg.recorders):
            record_codes(leg.recorder[i], 0, spec.kind, packet.ssrc, packet.ts, packet.payload, packet.size, loop.now)
    if leg.decoding and leg.jitter != NULL:
        put_packet(leg.jitter, &packet, spec.kind)
    if leg.sinks != NULL:
        for i in range(leg.sinks.count):
            relay_packet(loop, leg, leg.sinks.legs[i], &packet, spec.kind)
    return leg.incoming.fresh


cdef bint _count_event(Leg* leg, Packet* packet) noexcept nogil:
    """Events share the sequence numbers of the audio. The three equal end packets have numbers of their own."""
    leg.incoming.packets -= 1
    if leg.incoming.started and leg.incoming.ssrc == packet.ssrc:
        return _count_packet_quietly(leg, packet)
    _begin_source(leg, packet)
    leg.incoming.packets += 1
    leg.incoming.epoch_packets += 1
    return True


cdef bint _count_packet_quietly(Leg* leg, Packet* packet) noexcept nogil:
    """As `_count_packet`, leaving the jitter alone: the timestamp of an event stands still."""
    cdef int32_t transit = leg.incoming.transit
    cdef int32_t jitter = leg.incoming.jitter
    cdef bint fresh = _count_packet(leg, packet, 8000, 0)
    leg.incoming.transit = transit
    leg.incoming.jitter = jitter
    return fresh


cdef void _take_stranger(Loop* loop, Leg* leg, const sockaddr_storage* source, socklen_t length) noexcept nogil:
    """A packet on the locked leg's port from somebody else."""
    if leg.config.remote_changed and loop.now - leg.locked_ns < RELOCK_MS * <int64_t>1000000 and \
            _same_address(source, &leg.config.signalled):
        # Somebody was quicker than the peer that SDP announced: its own packets win, once, soon after the start.
        leg.config.remote_changed = 0
        _set_peer(loop, leg, source, length)
        _hear_peer(loop, leg)
        return
    leg.incoming.rejected += 1
    leg.incoming.stranger += 1
    if leg.incoming.stranger == 1:
        _push_address(loop, leg, EV_INTRUDER, 1, source)
    elif leg.incoming.stranger > STRANGER_PACKETS:
        # A flood: let the kernel drop it until the sweep looks again.
        _watch(loop, leg.guard_fd, leg, ON_GUARD, False)


cdef inline void _on_rtp(Loop* loop, Leg* leg) noexcept nogil:
    """An edge: something came since the last look. One recv, unless more may be waiting."""
    cdef uint8_t* data = loop.packet + HEADROOM
    cdef sockaddr_storage source
    cdef socklen_t length
    cdef ssize_t size
    cdef int which
    cdef int left = BURST
    # The kernel takes a microsecond to hand the packet over: time enough to fetch what comes next.
    prefetch(leg, PREFETCHED_BYTES)
    if leg.sink != NULL:
        prefetch(leg.sink, PREFETCHED_BYTES)
    if leg.recorders:
        prefetch(leg.recorder[0], 192)
    while left:
        left -= 1
        if leg.connected and not leg.unverified:
            size = c_recv(leg.rtp_fd, data, PACKET_BYTES, MSG_DONTWAIT)
            if size < 0:
                # ECONNREFUSED reports the fate of a packet we sent; the queue may still hold others.
                if errno == EAGAIN:
                    return
                continue
            if _take_packet(loop, leg, data, <int>size, NULL, 0, ON_RTP):
                return
        else:
            length = sizeof(source)
            size = recvfrom(leg.rtp_fd, data, PACKET_BYTES, MSG_DONTWAIT, <sockaddr*>&source, &length)
            if size < 0:
                if errno == EAGAIN:
                    # Empty: from here on the kernel lets only the peer's packets in.
                    leg.unverified = 0
                    return
                continue
            which = ON_RTP if not leg.connected or _same_address(&source, &leg.config.remote) else ON_GUARD
            _take_packet(loop, leg, data, <int>size, &source, length, which)
    # The others have their turn first; arming again brings the rest.
    _watch(loop, leg.rtp_fd, leg, ON_RTP, True)


cdef void _on_guard(Loop* loop, Leg* leg) noexcept nogil:
    cdef uint8_t* data = loop.packet + HEADROOM
    cdef sockaddr_storage source
    cdef socklen_t length = sizeof(source)
    cdef ssize_t size
    if leg.guard_fd < 0:
        return
    size = recvfrom(leg.guard_fd, data, PACKET_BYTES, MSG_DONTWAIT, <sockaddr*>&source, &length)
    if size > 0:
        _take_packet(loop, leg, data, <int>size, &source, length, ON_GUARD)


cdef void _on_rtcp(Loop* loop, Leg* leg) noexcept nogil:
    cdef uint8_t* data = loop.packet + HEADROOM
    cdef sockaddr_storage source
    cdef socklen_t length = sizeof(source)
    cdef int size = <int>recvfrom(leg.rtcp_fd, data, PACKET_BYTES, MSG_DONTWAIT, <sockaddr*>&source, &length)
    if size <= 0 or not leg.configured or leg.incoming.flood:
        return
    leg.incoming.pps += 1
    if leg.config.srtp_receive != NULL:
        size = unprotect_rtcp(leg.config.srtp_receive, data, size)
    if size > 0 and _is_rtcp(data, size):
        receive_rtcp(loop, leg, data, size)


# --- the tick ---------------------------------------------------------------------------------------------

cdef void _update_ticking(Loop* loop, Leg* leg) noexcept nogil:
    """Put the leg on the list of those with work on every tick, or take it off."""
    cdef bint wanted = leg.decoding or leg.mixing or leg.player != NULL or leg.digit_out.active
    cdef Leg* moved
    if wanted and leg.ticking < 0:
        leg.ticking = loop.ticking_count
        loop.ticking[loop.ticking_count] = leg
        loop.ticking_count += 1
    elif not wanted and leg.ticking >= 0:
        loop.ticking_count -= 1
        moved = loop.ticking[loop.ticking_count]
        loop.ticking[leg.ticking] = moved
        moved.ticking = leg.ticking
        leg.ticking = -1


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
    if leg.digit_out.active:
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
            _watch(loop, leg.guard_fd, leg, ON_GUARD, True)
        leg.incoming.stranger = 0
    # The floor of the transit follows a clock that drifts away: a millisecond a second.
    if leg.incoming.started:
        leg.incoming.transit_floor += <int32_t>leg.config.codecs[0].clock_rate // 1000
    leg.incoming.flood = leg.incoming.pps > FLOOD_PACKETS
    leg.incoming.pps = 0
    if loop.now - leg.incoming.last_ns > REARM_NS:
        # A queue that filled up while it was taken for empty gives no edge any more.
        _watch(loop, leg.rtp_fd, leg, ON_RTP, True)
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
    for i in range(loop.leg_count):
        leg = loop.legs[i]
        for k in range(leg.recorders):
            publish_block(loop, leg.recorder[k], loop.now)
            any = True
    if any:
        signal_fd(loop.writer.wake_fd)


cdef void _tick(Loop* loop) noexcept nogil:
    cdef uint64_t expirations = 0
    cdef int64_t late
    cdef int i
    cdef Leg* leg
    if read(loop.timer_fd, &expirations, 8) != 8:
        return
    late = loop.now - loop.tick_due
    if late > loop.worst_late_ns:
        loop.worst_late_ns = late
    if late > LATE_US * 1000:
        loop.overruns += 1
        if loop.now - loop.overrun_reported_ns > 1000000000:
            loop.overrun_reported_ns = loop.now
            push_event(&loop.events, EV_OVERRUN, 0, late // 1000, <long long>loop.overruns, 0, NULL)
            loop.overruns = 0
    # After a stall the missed ticks are made up for, so that playing keeps its pace; not more than a second of them.
    if expirations > 50:
        loop.tick_due += <int64_t>(expirations - 1) * TICK_NS
        expirations = 1
    while expirations:
        expirations -= 1
        loop.tick_due += TICK_NS
        loop.ticks += 1
        for i in range(loop.ticking_count):
            leg = loop.ticking[i]
            if leg.decoding:
                take_frame(loop, leg)
        # Backwards: a leg that has nothing more to do leaves the list.
        i = loop.ticking_count - 1
        while i >= 0:
            leg = loop.ticking[i]
            _tick_leg(loop, leg)
            if leg.player == NULL and not leg.digit_out.active and not leg.decoding and not leg.mixing:
                _update_ticking(loop, leg)
            i -= 1
        _sweep(loop)
        if loop.ticks % 5 == 0:
            _publish_recordings(loop)


# --- commands ---------------------------------------------------------------------------------------------

cdef void _add_leg(Loop* loop, Leg* leg) noexcept nogil:
    leg.index = loop.leg_count
    leg.ticking = -1
    loop.legs[loop.leg_count] = leg
    loop.leg_count += 1
    _watch(loop, leg.rtp_fd, leg, ON_RTP, True)
    _watch(loop, leg.rtcp_fd, leg, ON_RTCP, True)


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
        _disconnect_leg(leg)
        leg.config.signalled = leg.config.remote
        leg.config.remote_changed = 1
        leg.locked = 0
        _connect_leg(loop, leg)
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
    for i in range(loop.ticking_count):
        forget_source(loop.ticking[i].hearing, leg)
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
    _update_ticking(loop, leg)
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
        _update_ticking(loop, leg)
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
    _update_ticking(loop, leg)


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
    _update_ticking(loop, leg)


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
        _update_ticking(loop, leg)
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
    elif command.type == CMD_STOP:
        store_release(&loop.running, 0)


cdef void _obey_all(Loop* loop) noexcept nogil:
    cdef uint64_t count = 0
    if read(loop.commands.wake_fd, &count, 8) != 8:
        return
    while loop.commands.tail != load_acquire(&loop.commands.head):
        _obey(loop, &loop.commands.slots[loop.commands.tail & (COMMAND_SLOTS - 1)])
        store_release(&loop.commands.tail, loop.commands.tail + 1)


# --- the loop ---------------------------------------------------------------------------------------------

cdef void run_loop(Loop* loop) noexcept nogil:
    """Run until CMD_STOP. The caller has filled the structure and added the timer and the command eventfd
    to epoll with user data 1 and 2 (no leg has these addresses)."""
    cdef epoll_event[64] ready
    cdef int count, i, which
    cdef uint64_t mark
    cdef Leg* leg
    cdef bint commands
    loop.now = monotonic_ns()
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
                prefetch(<void*><uintptr_t>(ready[i + 1].data.u64 & ~<uint64_t>3), LINE_BYTES)
            mark = ready[i].data.u64
            if mark < 16:
                if mark == 1:
                    # Before the rest of the batch: the playout's pace is what ears notice.
                    loop.now = monotonic_ns()
                    _tick(loop)
                else:
                    commands = True
                continue
            which = <int>(mark & 3)
            leg = <Leg*><void*><uintptr_t>(mark & ~<uint64_t>3)
            if which == ON_RTP:
                _on_rtp(loop, leg)
            elif which == ON_GUARD:
                _on_guard(loop, leg)
            else:
                _on_rtcp(loop, leg)
        if commands:
            _obey_all(loop)
        wake_events(&loop.events)
