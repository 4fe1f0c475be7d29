"""When each leg has its turn."""

from libc.stdint cimport int64_t

from media.engine.types cimport Leg, Loop

cdef void update_turn(Loop* loop, Leg* leg) noexcept nogil
cdef void give_up_slot(Loop* loop, Leg* leg) noexcept nogil
cdef int64_t next_turn(Loop* loop) noexcept nogil
cdef int64_t turn_due(Loop* loop, int64_t turn) noexcept nogil
cdef void arm_timer(Loop* loop) noexcept nogil
cdef void skip_turns(Loop* loop) noexcept nogil
cdef void note_lateness(Loop* loop, int64_t late) noexcept nogil
