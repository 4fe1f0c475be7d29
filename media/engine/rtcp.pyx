"""RTCP: SR or RR with SDES CNAME every few seconds, BYE at the end; round trip and the peer's loss from what it sends.

Only what the two ends of a telephone call need of RFC 3550 section 6: one source a leg, a fixed interval with
jitter, no membership. A packet is walked block by block; a length that does not fit ends the walk.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memset

from media.engine.rtp cimport read_u16, read_u32, write_u16, write_u32
from media.engine.srtp cimport protect_rtcp
from media.engine.types cimport HEADROOM, Leg, Loop, sockaddr


cdef extern from "<sys/socket.h>" nogil:
    ssize_t c_sendto "sendto"(int fd, const void* data, size_t size, int flags, const sockaddr* to, unsigned int length)
    ssize_t c_send "send"(int fd, const void* data, size_t size, int flags)
    int MSG_DONTWAIT


cdef extern from "<time.h>" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec* out)
    int CLOCK_REALTIME


# Seconds from 1900 to 1970, modulo nothing: it fits 32 unsigned bits.
DEF NTP_EPOCH = 2208988800U


cdef void _ntp_now(uint32_t* seconds, uint32_t* fraction) noexcept nogil:
    cdef timespec wall
    clock_gettime(CLOCK_REALTIME, &wall)
    seconds[0] = <uint32_t>wall.tv_sec + <uint32_t>NTP_EPOCH
    fraction[0] = <uint32_t>((<int64_t>wall.tv_nsec << 32) // 1000000000)


cdef int64_t packets_lost(Leg* leg) noexcept nogil:
    """Packets expected and not received, over all sources the leg had; negative with duplicates."""
    cdef int64_t expected
    if not leg.incoming.started:
        return <int64_t>leg.incoming.lost_before
    expected = <int64_t>(leg.incoming.cycles + leg.incoming.max_seq) - <int64_t>leg.incoming.base_ext + 1
    return <int64_t>leg.incoming.lost_before + expected - <int64_t>leg.incoming.epoch_packets


cdef void _read_report(Leg* leg, const uint8_t* block, int64_t now) noexcept nogil:
    """One report block: about us, or ignored."""
    cdef uint32_t lsr, delay, middle
    cdef uint32_t seconds = 0, fraction = 0
    cdef int32_t lost
    cdef int64_t trip
    if read_u32(block) != leg.outgoing.ssrc:
        return
    lost = (<int32_t>block[5] << 16) | (<int32_t>block[6] << 8) | <int32_t>block[7]
    if lost & 0x800000:
        lost -= 0x1000000
    leg.rtcp.remote_lost = lost
    lsr = read_u32(block + 16)
    delay = read_u32(block + 20)
    if lsr == 0:
        return
    _ntp_now(&seconds, &fraction)
    middle = (seconds << 16) | (fraction >> 16)
    trip = <int32_t>(middle - lsr - delay)
    # Beyond ten seconds, or negative by more than rounding, somebody's clock jumped.
    if trip < -64 or trip > 10 * 65536:
        return
    if trip < 0:
        trip = 0
    leg.rtcp.round_trip_us = trip * 1000000 // 65536


cdef void receive_rtcp(Loop* loop, Leg* leg, const uint8_t* data, int size) noexcept nogil:
    """Take in one compound packet."""
    cdef int length, kind, count, i, at
    leg.rtcp.received += 1
    while size >= 8:
        if (data[0] & 0xC0) != 0x80:
            return
        length = 4 * (read_u16(data + 2) + 1)
        if length > size:
            return
        kind = data[1]
        count = data[0] & 0x1F
        if kind == 200 and length >= 28:
            leg.rtcp.remote_ssrc = read_u32(data + 4)
            leg.rtcp.remote_lsr = (read_u32(data + 8) << 16) | (read_u32(data + 12) >> 16)
            leg.rtcp.remote_lsr_ns = loop.now
            at = 28
        elif kind == 201:
            at = 8
        else:
            at = length
        for i in range(count):
            if at + 24 > length:
                break
            _read_report(leg, data + at, loop.now)
            at += 24
        data += length
        size -= length


cdef int _write_block(Leg* leg, uint8_t* p, int64_t now) noexcept nogil:
    cdef uint32_t expected, received, interval_expected, fraction, delay
    cdef int32_t interval_lost
    cdef int64_t lost = packets_lost(leg)
    expected = leg.incoming.cycles + leg.incoming.max_seq - leg.incoming.base_ext + 1
    received = <uint32_t>leg.incoming.epoch_packets
    interval_expected = expected - leg.incoming.report_expected
    interval_lost = <int32_t>(interval_expected - (received - leg.incoming.report_received))
    leg.incoming.report_expected = expected
    leg.incoming.report_received = received
    fraction = 0
    if interval_expected > 0 and interval_lost > 0:
        fraction = <uint32_t>((<int64_t>interval_lost << 8) // interval_expected)
        if fraction > 255:
            fraction = 255
    if lost > 0x7FFFFF:
        lost = 0x7FFFFF
    elif lost < -0x800000:
        lost = -0x800000
    write_u32(p, leg.incoming.ssrc)
    write_u32(p + 4, (fraction << 24) | (<uint32_t>lost & 0xFFFFFF))
    write_u32(p + 8, leg.incoming.cycles + leg.incoming.max_seq)
    write_u32(p + 12, <uint32_t>(leg.incoming.jitter >> 4))
    delay = 0
    if leg.rtcp.remote_lsr:
        delay = <uint32_t>((now - leg.rtcp.remote_lsr_ns) * 65536 // 1000000000)
    write_u32(p + 16, leg.rtcp.remote_lsr)
    write_u32(p + 20, delay)
    return 24


cdef void send_report(Loop* loop, Leg* leg, bint goodbye) noexcept nogil:
    """SR when we sent since the start, else RR; SDES; BYE when `goodbye`."""
    cdef uint8_t* start = loop.packet + HEADROOM
    cdef uint8_t* p = start
    cdef int blocks = 1 if leg.incoming.started else 0
    cdef int size
    cdef uint32_t seconds = 0, fraction = 0
    cdef bint sender = leg.outgoing.packets > 0
    cdef int64_t advance
    if leg.config.remote_length == 0 or leg.config.remote_port == 0:
        return
    p[0] = <uint8_t>(0x80 | blocks)
    p[1] = 200 if sender else 201
    write_u16(p + 2, <uint16_t>(((28 if sender else 8) + 24 * blocks) // 4 - 1))
    write_u32(p + 4, leg.outgoing.ssrc)
    p += 8
    if sender:
        _ntp_now(&seconds, &fraction)
        write_u32(p, seconds)
        write_u32(p + 4, fraction)
        advance = (loop.now - leg.outgoing.last_ns) * leg.outgoing.clock // 1000000000
        write_u32(p + 8, leg.outgoing.last_ts + <uint32_t>advance)
        write_u32(p + 12, <uint32_t>leg.outgoing.packets)
        write_u32(p + 16, <uint32_t>leg.outgoing.octets)
        p += 20
    if blocks:
        p += _write_block(leg, p, loop.now)
    # SDES: CNAME is the SSRC in hexadecimal digits, stable for the leg and saying nothing else.
    p[0] = 0x81
    p[1] = 202
    write_u16(p + 2, 4)
    write_u32(p + 4, leg.outgoing.ssrc)
    p[8] = 1
    p[9] = 8
    _write_hex(p + 10, leg.outgoing.ssrc)
    memset(p + 18, 0, 2)
    p += 20
    if goodbye:
        p[0] = 0x81
        p[1] = 203
        write_u16(p + 2, 1)
        write_u32(p + 4, leg.outgoing.ssrc)
        p += 8
    size = <int>(p - start)
    if leg.config.srtp_send != NULL:
        size = protect_rtcp(leg.config.srtp_send, start, size)
        if size <= 0:
            return
    if leg.config.rtcp_mux:
        if leg.connected:
            size = <int>c_send(leg.rtp_fd, start, size, MSG_DONTWAIT)
        else:
            size = <int>c_sendto(leg.rtp_fd, start, size, MSG_DONTWAIT, <sockaddr*>&leg.config.remote,
                                 leg.config.remote_length)
    else:
        size = <int>c_sendto(leg.rtcp_fd, start, size, MSG_DONTWAIT, <sockaddr*>&leg.config.remote_rtcp,
                             leg.config.remote_length)
    if size > 0:
        leg.rtcp.sent += 1


cdef void _write_hex(uint8_t* p, uint32_t value) noexcept nogil:
    cdef int i
    for i in range(8):
        p[i] = <uint8_t>(b"0123456789abcdef"[(value >> (28 - 4 * i)) & 15])
