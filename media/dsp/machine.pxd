"""Answering-machine detection for the engine, from 20 ms frames at 8 kHz."""

from media.dsp.progress cimport FrameSound


cdef enum MachineVerdict:
    MACHINE_NONE = 0
    MACHINE_HUMAN = 1
    MACHINE_MACHINE = 2
    MACHINE_BEEP = 3


cdef struct MachineSettings:
    int initial_silence        # frames without a word after which it is a human who waits
    int greeting               # frames of greeting that no human speaks on answering
    int after_greeting         # frames of silence behind a short greeting: a human waits for us
    int word                   # least frames of a word
    int word_gap               # frames of silence that part words
    int words                  # more than so many words is a machine
    int total                  # frames after which a verdict is given whatever was heard


cdef struct Machine:
    MachineSettings settings
    int frames                 # since the start
    int verdict
    int greeting               # frames since the first word
    int heard                  # a word was heard
    int voice, silence         # frames of the run under way
    int words
    int beep_frames, beep_gap
    float beep_hz
    int beep_told


cdef void machine_reset(Machine* machine) noexcept nogil
cdef int machine_step(Machine* machine, bint voiced, const FrameSound* sound) noexcept nogil
