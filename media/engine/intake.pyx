"""What a leg receives: one datagram from the socket to its listeners, buffers and recorders.

An edge of epoll may stand for several packets. One that comes when its kind usually comes has nothing waiting behind
it; after any other the socket is read until it is empty.
"""

from libc.errno cimport EAGAIN, errno
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t, uint8_t
from posix.unistd cimport read

from media.engine.digits cimport digit_character, receive_event, relay_beside
from media.engine.jitter cimport put_comfort, put_packet
from media.engine.output cimport relay_packet
from media.engine.pace cimport update_turn
from media.engine.peers cimport (
    ON_GUARD,
    ON_RTP,
    push_address,
    same_address,
    set_peer,
    start_polling,
    stop_polling,
    watch_socket,
)
from media.engine.player cimport end_players
from media.engine.recorder cimport record_codes
from media.engine.rings cimport push_event
from media.engine.rtcp cimport packets_lost, receive_rtcp
from media.engine.rtp cimport Packet, parse_packet, seq_diff
from media.engine.srtp cimport unprotect_rtcp, unprotect_rtp
from media.engine.types cimport (
    CodecSpec,
    EV_CODEC,
    EV_DIGIT,
    EV_INTRUDER,
    EV_MEDIA_STARTED,
    HEADROOM,
    KIND_PCMA,
    Leg,
    Loop,
    PACKET_BYTES,
    PLAY_DIGIT,
    PREFETCHED_BYTES,
    Player,
    sockaddr,
    sockaddr_storage,
    socklen_t,
)


cdef extern from "<sys/socket.h>" nogil:
    ssize_t recvfrom(int fd, void* data, size_t size, int flags, sockaddr* source, socklen_t* length)
    enum:
        MSG_DONTWAIT


cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #include <sys/socket.h>
    #include <sys/syscall.h>
    #include <time.h>
    #include <unistd.h>
    /* Not the C library's recv: a cancellation point costs as much as the rest of it. */
    static inline long tandem_recv(int fd, void *data, size_t size, int flags)
    {
        return syscall(SYS_recvfrom, fd, data, size, flags, 0, 0);
    }
    /* As above, and when the packet came (CLOCK_REALTIME); 0 when the kernel did not say. */
    static inline long tandem_recv_stamped(int fd, void *data, size_t size, int flags, int64_t *stamp_ns)
    {
        char control[CMSG_SPACE(sizeof(struct timespec))];
        struct iovec part = {data, size};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
                                 .msg_controllen = sizeof control};
        long got = syscall(SYS_recvmsg, fd, &message, flags);
        struct cmsghdr *note = got < 0 ? 0 : CMSG_FIRSTHDR(&message);
        struct timespec when;
        *stamp_ns = 0;
        if (note && note->cmsg_level == SOL_SOCKET && note->cmsg_type == SCM_TIMESTAMPNS) {
            memcpy(&when, CMSG_DATA(note), sizeof when);
            *stamp_ns = (int64_t)when.tv_sec * 1000000000 + when.tv_nsec;
        }
        return got;
    }
    static inline void tandem_prefetch(const void *p, int bytes)
    {
        for (int i = 0; i < bytes; i += 64)
            __builtin_prefetch((const char *)p + i, 1);
    }
    """
    ssize_t c_recv "tandem_recv"(int fd, void* data, size_t size, int flags) noexcept nogil
    ssize_t c_recv_stamped "tandem_recv_stamped"(int fd, void* data, size_t size, int flags,
                                                 int64_t* stamp_ns) noexcept nogil
    void prefetch "tandem_prefetch"(const void* pointer, int size) noexcept nogil


# Of so many packets in a row of a polled leg, so many are asked when they came (powers of two). RFC 3550's jitter forgets
# in 16 packets: it has settled before they end.
DEF TIMED_OF = 128
DEF TIMED = 32
# A packet that lay longer than this in a polled socket may have another behind it.
DEF LAY_NS = 18000000
# So many ticks between two looks of a polled leg that end with an empty socket, whatever the packets say.
DEF LOOK_TICKS = 64
# Packets of one leg in a row before the others have their turn.
DEF BURST = 16
# A packet less than 1/200 s above the least transit, and not 1/1000 s below it, is fresh.
DEF FRESH_SHARE = 200
DEF EARLY_SHARE = 1000
# How long after the first packet the announced address may still take over.
DEF RELOCK_MS = 5000
# Strangers' packets in one second after which the guard is closed until the next.
DEF STRANGER_PACKETS = 200


cdef inline bint _count_packet(Leg* leg, Packet* packet, uint32_t clock, int64_t now) noexcept nogil:
    """Sequence numbers and jitter, RFC 3550 A.1 and A.8; `now` 0 leaves the jitter alone. False: a duplicate."""
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
    if now == 0:
        leg.incoming.untimed = 1
        return True
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
    if leg.incoming.untimed:
        # Nothing to compare with.
        leg.incoming.untimed = 0
    elif change < <int32_t>clock:
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
    push_address(loop, leg, EV_MEDIA_STARTED, 0, &leg.config.remote)


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
            update_turn(loop, leg)
    if leg.sinks != NULL:
        for i in range(leg.sinks.count):
            relay_beside(loop, leg, leg.sinks.legs[i], packet, leg.sinks.legs[i].config.dtmf_pt)


cdef void _take_comfort(Loop* loop, Leg* leg, Packet* packet) noexcept nogil:
    cdef int i
    leg.incoming.last_ns = loop.now
    if not _count_packet(leg, packet, 8000, loop.now) or not leg.config.receive or packet.size > 32:
        return
    if leg.decoding and leg.jitter != NULL:
        put_comfort(leg.jitter, packet)
    if leg.sinks != NULL:
        for i in range(leg.sinks.count):
            relay_beside(loop, leg, leg.sinks.legs[i], packet, leg.sinks.legs[i].config.cn_pt)


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
    if which == ON_GUARD and leg.locked and leg.config.lock_source and not same_address(source, &leg.config.remote):
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
            _take_comfort(loop, leg, &packet)
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
        if source != NULL and leg.config.lock_source and not same_address(source, &leg.config.remote):
            set_peer(loop, leg, source, length)
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
    if not _count_packet(leg, &packet, spec.clock_rate, 0 if loop.untimed else loop.now) or not leg.config.receive:
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
        # The timestamp of an event stands still: it says nothing about jitter.
        return _count_packet(leg, packet, 8000, 0)
    _begin_source(leg, packet)
    leg.incoming.packets += 1
    leg.incoming.epoch_packets += 1
    return True


cdef void _take_stranger(Loop* loop, Leg* leg, const sockaddr_storage* source, socklen_t length) noexcept nogil:
    """A packet on the locked leg's port from somebody else."""
    if leg.config.remote_changed and loop.now - leg.locked_ns < RELOCK_MS * <int64_t>1000000 and \
            same_address(source, &leg.config.signalled):
        # Somebody was quicker than the peer that SDP announced: its own packets win, once, soon after the start.
        leg.config.remote_changed = 0
        set_peer(loop, leg, source, length)
        _hear_peer(loop, leg)
        return
    leg.incoming.rejected += 1
    leg.incoming.stranger += 1
    if leg.incoming.stranger == 1:
        push_address(loop, leg, EV_INTRUDER, 1, source)
    elif leg.incoming.stranger > STRANGER_PACKETS:
        # A flood: let the kernel drop it until the sweep looks again.
        watch_socket(loop, leg.guard_fd, leg, ON_GUARD, False)


cdef void receive_rtp(Loop* loop, Leg* leg) noexcept nogil:
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
            which = ON_RTP if not leg.connected or same_address(&source, &leg.config.remote) else ON_GUARD
            _take_packet(loop, leg, data, <int>size, &source, length, which)
    # The others have their turn first; arming again brings the rest.
    watch_socket(loop, leg.rtp_fd, leg, ON_RTP, True)


cdef void collect_rtp(Loop* loop, Leg* leg) noexcept nogil:
    """In the slot of a leg that hears a prompt: what it sent since the last one.

    Nobody listens to it, so its packets need no wake-up of their own; a digit still stops the prompt before the next
    frame. Some of them, and all of a leg that is recorded, are counted at the time they came, which costs more."""
    cdef uint8_t* data = loop.packet + HEADROOM
    cdef int64_t now = loop.now
    cdef int64_t stamp = now
    cdef ssize_t size
    cdef bint alone
    cdef bint timed
    # After a slot without a packet, or a late one, there may be several.
    cdef bint look = not leg.incoming.fresh or loop.ticks & (LOOK_TICKS - 1) == 0
    cdef int left = BURST
    if not leg.connected or leg.unverified or leg.sinks != NULL:
        if leg.polled:
            stop_polling(loop, leg)
        return
    if not leg.polled:
        start_polling(loop, leg)
    while left and leg.polled:
        left -= 1
        timed = leg.recorders != 0 or leg.incoming.packets & (TIMED_OF - 1) < TIMED
        if timed:
            size = c_recv_stamped(leg.rtp_fd, data, PACKET_BYTES, MSG_DONTWAIT, &stamp)
        else:
            size = c_recv(leg.rtp_fd, data, PACKET_BYTES, MSG_DONTWAIT)
        if size < 0:
            if errno == EAGAIN:
                if left == BURST - 1:
                    leg.incoming.fresh = 0
                break
            continue
        if timed:
            stamp -= loop.wall_offset
            if stamp > now or stamp < now - 1000000000:
                stamp = now
            loop.now = stamp
            alone = _take_packet(loop, leg, data, <int>size, NULL, 0, ON_RTP) and now - stamp < LAY_NS
            loop.now = now
        else:
            leg.incoming.fresh = 1
            loop.untimed = 1
            alone = _take_packet(loop, leg, data, <int>size, NULL, 0, ON_RTP)
            loop.untimed = 0
        if alone and not look:
            break


cdef void receive_guard(Loop* loop, Leg* leg) noexcept nogil:
    cdef uint8_t* data = loop.packet + HEADROOM
    cdef sockaddr_storage source
    cdef socklen_t length = sizeof(source)
    cdef ssize_t size
    if leg.guard_fd < 0:
        return
    size = recvfrom(leg.guard_fd, data, PACKET_BYTES, MSG_DONTWAIT, <sockaddr*>&source, &length)
    if size > 0:
        _take_packet(loop, leg, data, <int>size, &source, length, ON_GUARD)


cdef void receive_control(Loop* loop, Leg* leg) noexcept nogil:
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
