"""Who talks when: WebRTC's voice activity detector out of the ``webrtcvad-wheels`` package, called without the GIL.

Its C functions are visible in the extension module of that package; they are looked up there once. Its word counts only
for frames of at least -55 dBFS and 5 dB above a noise floor that follows the quietest frames; where it is missing, 9 dB
above the floor is speech. Frames are 20 ms at 8 kHz.
"""

from libc.math cimport log10
from libc.stddef cimport size_t
from libc.stdint cimport int16_t, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

import importlib.util

cdef extern from "<dlfcn.h>" nogil:
    enum:
        RTLD_NOW
        RTLD_LOCAL
    void* dlopen(const char* name, int flags)
    void* dlsym(void* library, const char* name)

ctypedef int (*create_fn)(void** handle) noexcept nogil
ctypedef int (*init_fn)(void* handle) noexcept nogil
ctypedef int (*mode_fn)(void* handle, int mode) noexcept nogil
ctypedef int (*process_fn)(void* handle, int rate, const int16_t* frame, size_t count) noexcept nogil
ctypedef void (*destroy_fn)(void* handle) noexcept nogil

cdef create_fn create = NULL
cdef init_fn init = NULL
cdef mode_fn set_mode = NULL
cdef process_fn process = NULL
cdef destroy_fn destroy = NULL

cdef float MARGIN_DB = 9.0     # of the energy detector, over the noise floor
cdef float NATIVE_MARGIN_DB = 5.0
cdef float LEAST_DB = -55.0    # quieter frames are never speech
cdef float FLOOR_DB = -65.0    # the floor sinks no lower, or it would not be back in time for noise


cdef bint vad_native() noexcept nogil:
    """Whether WebRTC's detector was found."""
    return process != NULL


cdef Vad* vad_new(int aggressiveness) noexcept nogil:
    """A detector; ``aggressiveness`` 0-3 is how much it filters out. NULL without memory."""
    cdef Vad* vad = <Vad*>calloc(1, sizeof(Vad))
    if vad == NULL:
        return NULL
    vad.floor_db = -60.0
    if process != NULL:
        if create(&vad.handle) != 0:
            vad.handle = NULL
        if vad.handle != NULL and (init(vad.handle) != 0 or set_mode(vad.handle, aggressiveness) != 0):
            destroy(vad.handle)
            vad.handle = NULL
    return vad


cdef void vad_free(Vad* vad) noexcept nogil:
    if vad == NULL:
        return
    if vad.handle != NULL:
        destroy(vad.handle)
    free(vad)


cdef float frame_level_db(const int16_t* frame, int count) noexcept nogil:
    """RMS of a frame in dBFS, -96 for silence."""
    cdef int64_t energy = 0
    cdef int n
    for n in range(count):
        energy += <int64_t>frame[n] * frame[n]
    if energy == 0 or count <= 0:
        return -96.0
    return <float>(10.0 * log10(<double>energy / count / 1073741824.0))


cdef bint vad_voiced(Vad* vad, const int16_t* frame, float energy_db) noexcept nogil:
    """Whether somebody speaks in this frame; ``energy_db`` is its :c:func:`frame_level_db`."""
    cdef bint native = vad.handle != NULL and process(vad.handle, 8000, frame, VAD_FRAME) == 1
    # Down at once, up 3 dB a second: speech does not raise the floor.
    if energy_db < vad.floor_db:
        vad.floor_db = energy_db if energy_db > FLOOR_DB else FLOOR_DB
    else:
        vad.floor_db += 0.06
    # Also with WebRTC's detector: behind digital silence it takes the faintest noise for speech.
    if energy_db < LEAST_DB:
        return False
    if vad.handle != NULL:
        return native and energy_db > vad.floor_db + NATIVE_MARGIN_DB
    return energy_db > vad.floor_db + MARGIN_DB


cdef void talk_reset(Talk* talk, Vad* vad, int hangover_ms) noexcept nogil:
    """Begin anew. The detector stays the caller's."""
    memset(talk, 0, sizeof(Talk))
    talk.vad = vad
    talk.hangover = hangover_ms // 20


cdef int talk_step(Talk* talk, bint voiced) noexcept nogil:
    """One more frame: 1 talk began with it (3 of the last 4 frames voiced), -1 talk ended, 0 nothing changed.

    ``began`` is then the frame in which it began."""
    cdef unsigned int last
    talk.frame += 1
    talk.history = (talk.history << 1) | (1 if voiced else 0)
    talk.quiet = 0 if voiced else talk.quiet + 1
    if talk.talking:
        if talk.quiet >= talk.hangover:
            talk.talking = 0
            return -1
        return 0
    last = talk.history & 15
    if last == 7 or last == 11 or last == 13 or last == 14 or last == 15:
        talk.talking = 1
        talk.began = talk.frame - 4 if talk.frame > 4 else 0
        return 1
    return 0


cdef bint _open(str path):
    global create, init, set_mode, process, destroy
    encoded = path.encode()
    cdef void* library = dlopen(encoded, RTLD_NOW | RTLD_LOCAL)
    if library == NULL:
        return False
    create = <create_fn>dlsym(library, b"WebRtcVad_Create")
    init = <init_fn>dlsym(library, b"WebRtcVad_Init")
    set_mode = <mode_fn>dlsym(library, b"WebRtcVad_set_mode")
    destroy = <destroy_fn>dlsym(library, b"WebRtcVad_Free")
    if create == NULL or init == NULL or set_mode == NULL or destroy == NULL:
        return False
    process = <process_fn>dlsym(library, b"WebRtcVad_Process")
    return process != NULL


_spec = importlib.util.find_spec("_webrtcvad")
native = _spec is not None and _spec.origin is not None and _open(_spec.origin)


cdef class VoiceDetector:
    """Both detectors and the talk logic, for tests and tools."""

    cdef Vad* _vad
    cdef Talk _talk

    def __cinit__(self, int aggressiveness=2, int hangover_ms=400, *, bint by_energy=False):
        if not 0 <= aggressiveness <= 3:
            raise ValueError(f"aggressiveness {aggressiveness}; expected 0-3")
        self._vad = vad_new(aggressiveness)
        if self._vad == NULL:
            raise MemoryError
        if by_energy and self._vad.handle != NULL:
            destroy(self._vad.handle)
            self._vad.handle = NULL
        talk_reset(&self._talk, self._vad, hangover_ms)

    def __dealloc__(self):
        vad_free(self._vad)

    def voiced(self, const int16_t[::1] samples not None):
        """One flag per whole 20 ms frame."""
        cdef Py_ssize_t frame, at
        cdef Py_ssize_t frames = samples.shape[0] // VAD_FRAME
        cdef unsigned char[::1] flags = bytearray(frames)
        with nogil:
            for frame in range(frames):
                at = frame * VAD_FRAME
                flags[frame] = vad_voiced(self._vad, &samples[at], frame_level_db(&samples[at], VAD_FRAME))
        return [flag != 0 for flag in flags]

    def feed(self, const int16_t[::1] samples not None):
        """Take in whole frames; returns (talking, ms) for every change."""
        cdef int change
        changes = []
        for voiced in self.voiced(samples):
            change = talk_step(&self._talk, voiced)
            if change > 0:
                changes.append((True, self._talk.began * 20))
            elif change < 0:
                changes.append((False, (self._talk.frame - self._talk.quiet) * 20))
        return changes
