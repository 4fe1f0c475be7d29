"""What crosses between Python and the engine: addresses, counters, audio, and structures that are made and freed here."""

import socket as sockets

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uintptr_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset
from posix.unistd cimport close

from media.engine.ears cimport close_ears
from media.engine.rtcp cimport packets_lost
from media.engine.types cimport (
    Event,
    Hearing,
    Jitter,
    LINE_BYTES,
    Leg,
    Pair,
    Recorder,
    Route,
    Sinks,
    sockaddr_storage,
)


cdef extern from "<stdlib.h>" nogil:
    int posix_memalign(void** pointer, size_t alignment, size_t size)


cdef extern from "<sys/socket.h>" nogil:
    int setsockopt(int fd, int level, int name, const void* value, unsigned int length)
    enum:
        SOL_SOCKET
        SO_ATTACH_FILTER


cdef extern from "<linux/filter.h>" nogil:
    struct sock_filter:
        uint16_t code
        uint8_t jt
        uint8_t jf
        uint32_t k
    struct sock_fprog:
        unsigned short len
        sock_filter* filter


cdef class Clip:
    """Encoded audio, one immutable copy for all players."""

    def __cinit__(self, bytes data, frames=None, bint endless=False):
        cdef int64_t i
        self.data = data
        self.frames = NULL
        self.frame_count = 0
        self.endless = endless
        if frames is not None:
            # One offset more than packets: the last is the end.
            self.frame_count = len(frames) - 1
            self.frames = <uint32_t*>malloc(len(frames) * sizeof(uint32_t))
            if self.frames == NULL:
                raise MemoryError
            for i in range(len(frames)):
                self.frames[i] = frames[i]

    def __dealloc__(self):
        free(self.frames)


cdef Leg* new_leg() noexcept:
    """A leg on a cache line boundary, all zero; NULL without memory."""
    cdef Leg* leg
    if posix_memalign(<void**>&leg, LINE_BYTES, sizeof(Leg)) != 0:
        return NULL
    memset(leg, 0, sizeof(Leg))
    leg.rtp_fd = leg.rtcp_fd = leg.guard_fd = -1
    return leg


cdef address_text(Event* event):
    if event.family == sockets.AF_INET6:
        return sockets.inet_ntop(sockets.AF_INET6, event.address[:16])
    return sockets.inet_ntop(sockets.AF_INET, event.address[:4])


cdef int fill_address(str address, int port, int family, sockaddr_storage* out) except -1:
    """Numeric address and port into a sockaddr; returns its length."""
    cdef bytes packed
    cdef uint8_t* raw = <uint8_t*>out
    cdef uint16_t native_family = family
    memset(out, 0, sizeof(sockaddr_storage))
    memcpy(raw, &native_family, 2)
    raw[2] = (port >> 8) & 0xFF
    raw[3] = port & 0xFF
    try:
        packed = sockets.inet_pton(family, address)
    except OSError:
        raise ValueError(f"{address!r} is not an address of the leg's family") from None
    if family == sockets.AF_INET:
        memcpy(raw + 4, <char*>packed, 4)
        return 16
    memcpy(raw + 8, <char*>packed, 16)
    return 28


cdef void drop_all(int fd) noexcept:
    """Have the kernel drop whatever still comes for a closed leg, so that draining costs no memory."""
    cdef sock_filter refuse
    cdef sock_fprog program
    refuse.code = 0x06
    refuse.jt = 0
    refuse.jf = 0
    refuse.k = 0
    program.len = 1
    program.filter = &refuse
    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program))


cdef read_stats(Leg* leg):
    clock = leg.config.codecs[0].clock_rate or 8000
    lost = packets_lost(leg)
    late = leg.incoming.late + (leg.jitter.late if leg.jitter != NULL else 0)
    return {
        "packets_received": leg.incoming.packets,
        "packets_sent": leg.outgoing.packets,
        "octets_received": leg.incoming.octets,
        "octets_sent": leg.outgoing.octets,
        "lost": max(lost, 0),
        "duplicates": leg.incoming.duplicates,
        "late": late,
        "rejected": leg.incoming.rejected,
        "jitter_ms": leg.incoming.jitter / 16.0 / clock * 1000.0,
        "round_trip_ms": leg.rtcp.round_trip_us / 1000.0 if leg.rtcp.round_trip_us >= 0 else None,
        "remote_lost": leg.rtcp.remote_lost if leg.rtcp.remote_lost >= 0 else None,
    }


cdef void free_leg(Leg* leg) noexcept:
    if leg.rtp_fd >= 0:
        close(leg.rtp_fd)
    if leg.rtcp_fd >= 0:
        close(leg.rtcp_fd)
    if leg.guard_fd >= 0:
        close(leg.guard_fd)
    free(leg.hearing)
    free(leg.sinks)
    free(leg.jitter)
    free(leg.tap)
    close_ears(leg.ears)
    free(leg)


cdef void free_recorder(Recorder* recorder) noexcept:
    free(recorder.ring[0])
    free(recorder.ring[1])
    free(recorder)


cdef int fill_route(dict legs, Route* route, object spec) except -1:
    """Build what a RouteSpec says. Raises KeyError for a leg that is not in `legs` (number -> address)."""
    cdef int i
    cdef int heard = len(spec.hears)
    cdef int sinks = len(spec.sinks)
    cdef int capacity
    route.leg = <Leg*><uintptr_t>legs[spec.leg]
    route.relayed = spec.relayed
    route.mixing = spec.mixing
    route.decoding = spec.decoding
    if spec.mixing:
        # Room for what the old table still fades out.
        capacity = heard * 2 + 34
        route.hearing = <Hearing*>calloc(1, sizeof(Hearing) + capacity * sizeof(Pair))
        if route.hearing == NULL:
            raise MemoryError
        route.hearing.capacity = capacity
        route.hearing.count = heard
        for i in range(heard):
            route.hearing.pairs[i].source = <Leg*><uintptr_t>legs[spec.hears[i][0]]
            route.hearing.pairs[i].gain = spec.hears[i][1]
    if sinks:
        route.sinks = <Sinks*>calloc(1, sizeof(Sinks) + sinks * sizeof(void*))
        if route.sinks == NULL:
            raise MemoryError
        route.sinks.count = sinks
        for i in range(sinks):
            route.sinks.legs[i] = <Leg*><uintptr_t>legs[spec.sinks[i]]
    if spec.decoding:
        route.jitter = <Jitter*>calloc(1, sizeof(Jitter))
        if route.jitter == NULL:
            raise MemoryError
        route.jitter.target = 2
    return 0
