"""Where a packet belongs on a recorder's wall-clock time line."""

from libc.stdint cimport int64_t, uint32_t

from media.engine.types cimport Timeline

cdef void reset_timeline(Timeline* line, uint32_t clock, uint32_t rate) noexcept nogil
cdef int64_t place_packet(Timeline* line, uint32_t ssrc, uint32_t ts, int64_t arrival, int* stretch) noexcept nogil
