"""Opus through libopus, found where it is already installed: in PyAV's wheel, else on the system.

The library is opened once when this module is imported; :func:`opus_ready` says whether it was found. All calls on one
coder come from one thread. Everything is mono: libopus mixes a peer's stereo down by itself.
"""

from libc.stdint cimport int16_t, int32_t, uint8_t
from libc.stdlib cimport calloc, free
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

import ctypes.util
import importlib.util
from pathlib import Path

cdef extern from "<dlfcn.h>" nogil:
    enum:
        RTLD_NOW
        RTLD_LOCAL
    void* dlopen(const char* name, int flags)
    void* dlsym(void* library, const char* name)

ctypedef void* (*create_encoder_fn)(int32_t rate, int channels, int application, int* error) noexcept nogil
ctypedef void* (*create_decoder_fn)(int32_t rate, int channels, int* error) noexcept nogil
ctypedef void (*destroy_fn)(void* coder) noexcept nogil
ctypedef int32_t (*encode_samples_fn)(
    void* coder, const int16_t* samples, int count, uint8_t* out, int32_t capacity) noexcept nogil
ctypedef int (*decode_packet_fn)(
    void* coder, const uint8_t* data, int32_t size, int16_t* out, int capacity, int fec) noexcept nogil
ctypedef int (*control_fn)(void* coder, int request, ...) noexcept nogil

cdef create_encoder_fn create_encoder = NULL
cdef create_decoder_fn create_decoder = NULL
cdef destroy_fn destroy_encoder = NULL
cdef destroy_fn destroy_decoder = NULL
cdef encode_samples_fn encode_samples = NULL
cdef decode_packet_fn decode_packet = NULL
cdef control_fn control_encoder = NULL

# From opus_defines.h.
cdef enum:
    APPLICATION_VOIP = 2048
    SET_BITRATE = 4002
    SET_MAX_BANDWIDTH = 4004
    SET_VBR = 4006
    SET_COMPLEXITY = 4010
    SET_INBAND_FEC = 4012
    SET_PACKET_LOSS_PERC = 4014
    SET_DTX = 4016
    SET_SIGNAL = 4024
    SIGNAL_VOICE = 3001
    BANDWIDTH_NARROW = 1101
    BANDWIDTH_MEDIUM = 1102
    BANDWIDTH_WIDE = 1103
    BANDWIDTH_SUPERWIDE = 1104
    BANDWIDTH_FULL = 1105
    MAX_FRAME_MS = 120


cdef bint opus_ready() noexcept nogil:
    """Whether libopus was found; without it nothing else here may be called."""
    return decode_packet != NULL


cdef int bandwidth_of(int rate) noexcept nogil:
    if rate <= 8000:
        return BANDWIDTH_NARROW
    if rate <= 12000:
        return BANDWIDTH_MEDIUM
    if rate <= 16000:
        return BANDWIDTH_WIDE
    if rate <= 24000:
        return BANDWIDTH_SUPERWIDE
    return BANDWIDTH_FULL


cdef OpusCoder* opus_encoder_new(int rate, const OpusSettings* settings) noexcept nogil:
    """An encoder for samples of ``rate``, or NULL: no library, no memory, or a rate Opus does not take."""
    cdef OpusCoder* coder
    if not opus_ready():
        return NULL
    coder = <OpusCoder*>calloc(1, sizeof(OpusCoder))
    if coder == NULL:
        return NULL
    coder.rate = rate
    coder.frame = rate // 50
    coder.handle = create_encoder(rate, 1, APPLICATION_VOIP, NULL)
    if coder.handle == NULL:
        free(coder)
        return NULL
    control_encoder(coder.handle, SET_SIGNAL, <int>SIGNAL_VOICE)
    control_encoder(coder.handle, SET_COMPLEXITY, settings.complexity)
    control_encoder(coder.handle, SET_INBAND_FEC, settings.fec)
    control_encoder(coder.handle, SET_PACKET_LOSS_PERC, settings.loss_percent)
    control_encoder(coder.handle, SET_DTX, settings.dtx)
    control_encoder(coder.handle, SET_VBR, 0 if settings.cbr else 1)
    if settings.bitrate > 0:
        control_encoder(coder.handle, SET_BITRATE, settings.bitrate)
    if settings.max_bandwidth > 0:
        control_encoder(coder.handle, SET_MAX_BANDWIDTH, bandwidth_of(settings.max_bandwidth))
    return coder


cdef OpusCoder* opus_decoder_new(int rate) noexcept nogil:
    """A decoder that delivers samples of ``rate`` whatever the peer sends, or NULL (see above)."""
    cdef OpusCoder* coder
    if not opus_ready():
        return NULL
    coder = <OpusCoder*>calloc(1, sizeof(OpusCoder))
    if coder == NULL:
        return NULL
    coder.decoder = 1
    coder.rate = rate
    coder.frame = rate // 50
    coder.handle = create_decoder(rate, 1, NULL)
    if coder.handle == NULL:
        free(coder)
        return NULL
    return coder


cdef void opus_free(void* state) noexcept nogil:
    cdef OpusCoder* coder = <OpusCoder*>state
    if coder == NULL:
        return
    if coder.decoder:
        destroy_decoder(coder.handle)
    else:
        destroy_encoder(coder.handle)
    free(coder)


cdef void opus_set_loss(OpusCoder* coder, int loss_percent) noexcept nogil:
    """Tell an encoder what the peer reports in RTCP."""
    control_encoder(coder.handle, SET_PACKET_LOSS_PERC, loss_percent)


cdef int opus_encode(void* state, const int16_t* samples, int count, uint8_t* out, int capacity) noexcept nogil:
    """Code one frame of 2.5, 5, 10, 20, 40 or 60 ms. Returns its bytes (1-2: DTX, need not be sent), negative: error."""
    return encode_samples((<OpusCoder*>state).handle, samples, count, out, capacity)


cdef int opus_decode(void* state, const uint8_t* data, int size, int16_t* out, int capacity) noexcept nogil:
    """Decode one packet; ``size`` 0 conceals the loss of one as long as the last. Returns samples, negative: garbage."""
    cdef OpusCoder* coder = <OpusCoder*>state
    cdef int count
    if size <= 0:
        return decode_packet(coder.handle, NULL, 0, out, coder.frame if coder.frame < capacity else capacity, 0)
    count = decode_packet(coder.handle, data, size, out, capacity, 0)
    if count > 0:
        coder.frame = count
    return count


cdef int opus_recover(void* state, const uint8_t* following, int size, int16_t* out, int count) noexcept nogil:
    """Rebuild the ``count`` samples lost just before the packet ``following`` from its redundancy (FEC); where it
    carries none libopus conceals instead. Returns samples, negative: garbage."""
    return decode_packet((<OpusCoder*>state).handle, following, size, out, count, 1)


def find_library():
    """Path or name of a libopus to open: PyAV's own copy, else the system's; None where there is neither."""
    spec = importlib.util.find_spec("av")
    if spec is not None and spec.origin is not None:
        for folder in ("av.libs", "av/.dylibs"):
            for path in sorted(Path(spec.origin).parent.parent.joinpath(folder).glob("libopus[.-]*")):
                return str(path)
    return ctypes.util.find_library("opus")


cdef bint _open(str name):
    global create_encoder, create_decoder, destroy_encoder, destroy_decoder
    global encode_samples, decode_packet, control_encoder
    encoded = name.encode()
    cdef void* library = dlopen(encoded, RTLD_NOW | RTLD_LOCAL)
    if library == NULL:
        return False
    create_encoder = <create_encoder_fn>dlsym(library, b"opus_encoder_create")
    create_decoder = <create_decoder_fn>dlsym(library, b"opus_decoder_create")
    destroy_encoder = <destroy_fn>dlsym(library, b"opus_encoder_destroy")
    destroy_decoder = <destroy_fn>dlsym(library, b"opus_decoder_destroy")
    encode_samples = <encode_samples_fn>dlsym(library, b"opus_encode")
    control_encoder = <control_fn>dlsym(library, b"opus_encoder_ctl")
    if (
        create_encoder == NULL or create_decoder == NULL or destroy_encoder == NULL or destroy_decoder == NULL
        or encode_samples == NULL or control_encoder == NULL
    ):
        return False
    decode_packet = <decode_packet_fn>dlsym(library, b"opus_decode")
    return decode_packet != NULL


cdef str _library = find_library()
available = _library is not None and _open(_library)


class OpusError(ValueError):
    """A setting or packet libopus refuses."""


cdef class OpusEncoder:
    """One outgoing stream."""

    cdef OpusCoder* _coder

    def __cinit__(self, int rate, *, int bitrate=0, bint fec=True, int loss_percent=5, bint dtx=False, bint cbr=False,
                  int complexity=5, int max_bandwidth=0):
        cdef OpusSettings settings
        settings.bitrate = bitrate
        settings.fec = fec
        settings.loss_percent = loss_percent
        settings.dtx = dtx
        settings.cbr = cbr
        settings.complexity = complexity
        settings.max_bandwidth = max_bandwidth
        self._coder = opus_encoder_new(rate, &settings)
        if self._coder == NULL:
            raise OpusError(f"no Opus encoder for {rate} Hz" if available else "libopus was not found")

    def __dealloc__(self):
        opus_free(self._coder)

    def encode(self, const int16_t[::1] samples not None):
        """Code one frame."""
        cdef int count = <int>samples.shape[0]
        cdef int size
        out = PyBytes_FromStringAndSize(NULL, 1500)
        cdef uint8_t* target = <uint8_t*>PyBytes_AS_STRING(out)
        if count == 0:
            raise OpusError("frame of 0 samples")
        with nogil:
            size = opus_encode(self._coder, &samples[0], count, target, 1500)
        if size < 0:
            raise OpusError(f"frame of {count} samples: libopus error {size}")
        return out[:size]


cdef class OpusDecoder:
    """One incoming stream."""

    cdef OpusCoder* _coder

    def __cinit__(self, int rate):
        self._coder = opus_decoder_new(rate)
        if self._coder == NULL:
            raise OpusError(f"no Opus decoder for {rate} Hz" if available else "libopus was not found")

    def __dealloc__(self):
        opus_free(self._coder)

    def decode(self, const uint8_t[::1] packet not None):
        """Decode one packet."""
        return self._run(packet, 0)

    def conceal(self):
        """What is heard in place of a lost packet."""
        return self._run(b"", 0)

    def recover(self, const uint8_t[::1] following not None):
        """The lost packet, from the one behind it."""
        return self._run(following, 1)

    cdef object _run(self, const uint8_t[::1] packet, int fec):
        import numpy

        cdef int size = <int>packet.shape[0]
        cdef int capacity = self._coder.rate * MAX_FRAME_MS // 1000
        cdef int count
        cdef const uint8_t* data = &packet[0] if size else NULL
        out = numpy.empty(capacity, numpy.int16)
        cdef int16_t[::1] target = out
        with nogil:
            if fec:
                count = opus_recover(self._coder, data, size, &target[0], self._coder.frame)
            else:
                count = opus_decode(self._coder, data, size, &target[0], capacity)
        if count < 0:
            raise OpusError(f"packet of {size} bytes: libopus error {count}")
        return out[:count].copy()
