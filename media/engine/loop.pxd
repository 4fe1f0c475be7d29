"""The engine thread."""

from media.engine.types cimport Loop

cdef void run_loop(Loop* loop) noexcept nogil
cdef long long monotonic_ns() noexcept nogil
