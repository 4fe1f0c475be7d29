"""Packet-loss concealment for decoded audio at 8 or 16 kHz (Opus brings its own), without added delay."""

from libc.stdint cimport int16_t


cdef enum:
    PLC_HISTORY = 800          # samples: 50 ms at 16 kHz, more than three of the longest periods


cdef struct Plc:
    int rate
    int count                  # samples of history
    int16_t history[800]       # what was played last, oldest first
    int lost                   # samples concealed in the loss under way; 0: none
    int period                 # pitch period, 0: nothing to repeat
    int offset                 # place in it
    float jump                 # step between the last good sample and the first repeated one
    float slope, level         # change of loudness per sample as it was before the loss, and what it came to
    float[240] cycle           # the repeated period, its end led over into its beginning


cdef void plc_reset(Plc* plc, int rate) noexcept nogil
cdef void plc_good(Plc* plc, int16_t* samples, int count) noexcept nogil
cdef void plc_lost(Plc* plc, int16_t* out, int count) noexcept nogil
