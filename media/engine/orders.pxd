"""What the control side orders, built as the engine's structures."""

from libc.stdint cimport uint32_t

from media.engine.types cimport DigitOut, LegConfig, Player, Recorder

cdef int fill_config(LegConfig* config, object setup, int family) except -1
cdef Player* new_player(uint32_t number, object clips, bint loop, bint mixed, bint linear, str stop_digits,
                        bint stop_on_speech, int bytes_per_ms) except NULL
cdef DigitOut* new_digits(str digits, int duration_ms, int gap_ms, bint inband, uint32_t batch,
                          uint32_t clock) except NULL
cdef Recorder* new_recorder(uint32_t number, int fd, str format, int law, uint32_t rate) except NULL
