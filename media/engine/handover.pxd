"""What crosses between Python and the engine."""

from libc.stdint cimport int64_t, uint32_t

from media.engine.types cimport Event, Leg, Recorder, Route, sockaddr_storage


cdef class Clip:
    cdef readonly bytes data
    cdef uint32_t* frames
    cdef int64_t frame_count
    cdef readonly bint endless


cdef Leg* new_leg() noexcept
cdef address_text(Event* event)
cdef int fill_address(str address, int port, int family, sockaddr_storage* out) except -1
cdef void drop_all(int fd) noexcept
cdef read_stats(Leg* leg)
cdef void free_leg(Leg* leg) noexcept
cdef void free_recorder(Recorder* recorder) noexcept
cdef int fill_route(dict legs, Route* route, object spec) except -1
