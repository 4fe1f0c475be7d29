"""Packet-loss concealment for decoded audio at 8 or 16 kHz (Opus brings its own), without added delay."""

from libc.stdint cimport int16_t


cdef enum:
    PLC_HISTORY = 800          # samples: 3.25 pitch periods of 15 ms at 16 kHz, and a little more


cdef struct Plc:
    int rate
    int count                  # samples of history
    int16_t history[800]       # what was played last, oldest first
    int lost                   # samples concealed in the loss under way; 0: none
    int period                 # pitch period, 0: nothing to repeat
    int periods                # how many of them are repeated, 1-3
    int offset                 # place in them
    float jump                 # step between the last good sample and the first repeated one
    float[780] cycle           # the repeated periods, their end led over into their beginning


cdef void plc_reset(Plc* plc, int rate) noexcept nogil
cdef void plc_good(Plc* plc, int16_t* samples, int count) noexcept nogil
cdef void plc_lost(Plc* plc, int16_t* out, int count) noexcept nogil
