"""Players: frames out of shared, encoded audio."""

from libc.stdint cimport int16_t, uint8_t

from media.engine.types cimport Leg, Loop, Player

cdef int fill_bytes(Loop* loop, Leg* leg, uint8_t* out, int size) noexcept nogil
cdef int next_packet(Loop* loop, Leg* leg, uint8_t* out, int capacity) noexcept nogil
cdef int fill_samples(Loop* loop, Leg* leg, int16_t* out, int count) noexcept nogil
cdef void end_player(Loop* loop, Leg* leg, int reason) noexcept nogil
cdef void end_players(Loop* loop, Leg* leg, int reason) noexcept nogil
cdef void seek_player(Player* player, int ms) noexcept nogil
