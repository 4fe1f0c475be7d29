"""Opus (RFC 6716, RFC 7587) for the engine: mono, by calling the libopus that PyAV carries, without the GIL."""

from libc.stdint cimport int16_t, int32_t, uint8_t


cdef struct OpusCoder:
    void* handle
    int decoder                # 1 decodes, 0 encodes
    int rate                   # of the samples: 8000, 12000, 16000, 24000 or 48000
    int frame                  # samples of the last decoded packet: how much to conceal


cdef struct OpusSettings:
    int bitrate                # bit/s, 0: libopus decides
    int fec                    # in-band forward error correction (useinbandfec)
    int loss_percent           # expected loss, steers the redundancy
    int dtx                    # send nothing in silence (usedtx)
    int cbr
    int complexity             # 0-10
    int max_bandwidth          # audio bandwidth limit as a sample rate in Hz, 0: none (maxplaybackrate)


cdef bint opus_ready() noexcept nogil
cdef OpusCoder* opus_encoder_new(int rate, const OpusSettings* settings) noexcept nogil
cdef OpusCoder* opus_decoder_new(int rate) noexcept nogil
cdef void opus_free(void* coder) noexcept nogil
cdef void opus_set_loss(OpusCoder* coder, int loss_percent) noexcept nogil
cdef int opus_encode(void* coder, const int16_t* samples, int count, uint8_t* out, int capacity) noexcept nogil
cdef int opus_decode(void* coder, const uint8_t* data, int size, int16_t* out, int capacity) noexcept nogil
cdef int opus_recover(void* coder, const uint8_t* following, int size, int16_t* out, int count) noexcept nogil
