"""Codec state for a leg of the engine: what :attr:`media.engine.core.Engine.coder_factory` is set to.

:func:`open_coder` turns a negotiated codec into the engine's ``Coder``, a pair of native functions with their states.
Codecs without state (G.711, L16) need none. The owner it returns keeps the states alive; drop it when the engine has
let go of the address.
"""

from libc.stdint cimport int16_t, uint8_t, uintptr_t

from media.codecs.g722 cimport g722_decode, g722_encode, g722_free, g722_new
from media.codecs.opus cimport (
    OpusSettings,
    opus_decode,
    opus_decoder_new,
    opus_encode,
    opus_encoder_new,
    opus_free,
)
from media.engine.types cimport Coder, KIND_G722, KIND_OPUS

from media.codecs.fmtp import parse_opus

DEFAULT_BITRATE = 24_000
"""Opus, bit/s, where the peer sets no limit: wideband speech."""
OPUS_COMPLEXITY = 4
"""0-10; about 4 ms of CPU per second of speech at 16 kHz."""
EXPECTED_LOSS_PERCENT = 5
"""How much redundancy forward error correction carries, where the peer wants it."""


cdef class CoderOwner:
    """Keeps one leg's codec states."""

    cdef Coder _coder

    def __dealloc__(self):
        if self._coder.kind == KIND_G722:
            g722_free(self._coder.encoder)
            g722_free(self._coder.decoder)
        elif self._coder.kind == KIND_OPUS:
            opus_free(self._coder.encoder)
            opus_free(self._coder.decoder)

    @property
    def address(self):
        """Address of the engine's ``Coder``."""
        return <uintptr_t>&self._coder

    cdef bint open_g722(self):
        self._coder.kind = KIND_G722
        self._coder.pcm_rate = 16_000
        self._coder.encoder = g722_new()
        self._coder.decoder = g722_new()
        self._coder.encode = g722_encode
        self._coder.decode = g722_decode
        return self._coder.encoder != NULL and self._coder.decoder != NULL

    cdef bint open_opus(self, int rate, str fmtp):
        cdef OpusSettings settings
        wanted = parse_opus(fmtp)
        settings.bitrate = min(wanted.bitrate or DEFAULT_BITRATE, DEFAULT_BITRATE)
        settings.fec = wanted.fec
        settings.loss_percent = EXPECTED_LOSS_PERCENT if wanted.fec else 0
        settings.dtx = wanted.dtx
        settings.cbr = wanted.cbr
        settings.complexity = OPUS_COMPLEXITY
        settings.max_bandwidth = wanted.max_rate
        self._coder.kind = KIND_OPUS
        self._coder.pcm_rate = rate
        self._coder.encoder = opus_encoder_new(rate, &settings)
        self._coder.decoder = opus_decoder_new(rate)
        self._coder.encode = opus_encode
        self._coder.decode = opus_decode
        return self._coder.encoder != NULL and self._coder.decoder != NULL


def open_coder(spec):
    """State for a codec (``kind``, ``pcm_rate`` and ``fmtp`` of the engine's ``CodecSpec``) as (owner, address), or
    None for one that needs none. Raises MemoryError without memory or, for Opus, without libopus."""
    cdef CoderOwner owner
    cdef bint opened
    if spec.kind == KIND_G722:
        owner = CoderOwner()
        opened = owner.open_g722()
    elif spec.kind == KIND_OPUS:
        owner = CoderOwner()
        opened = owner.open_opus(spec.pcm_rate, spec.fmtp)
    else:
        return None
    if not opened:
        raise MemoryError("no codec state: out of memory, or libopus is missing")
    return owner, owner.address


def run_coder(address, samples):
    """Encode 20 ms frames and decode them again through the function pointers the engine uses (for tests)."""
    import numpy

    cdef Coder* coder = <Coder*><uintptr_t>address
    cdef int frame = coder.pcm_rate // 50
    cdef const int16_t[::1] source = numpy.ascontiguousarray(samples, dtype=numpy.int16)
    cdef int16_t[::1] target
    cdef uint8_t[1400] payload
    cdef int at = 0, size, count
    heard = numpy.zeros(len(samples), numpy.int16)
    target = heard
    sizes = []
    while at + frame <= source.shape[0]:
        size = coder.encode(coder.encoder, &source[at], frame, payload, 1400)
        count = coder.decode(coder.decoder, payload, size, &target[at], frame)
        if count != frame:
            raise ValueError(f"{size} bytes decoded to {count} samples")
        sizes.append(size)
        at += frame
    return heard, sizes
