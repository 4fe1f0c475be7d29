"""What the control side orders."""

from media.engine.types cimport Loop

cdef void obey_commands(Loop* loop) noexcept nogil
