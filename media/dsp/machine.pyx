"""Who answered an outbound call: a human says a word or two and waits, a machine speaks on, and beeps.

The method is the classic one: length of the first utterance, number of words, and the silence behind it. Where five
seconds bring no verdict, or nobody speaks for 2.5 s, it is called a human: an agent on a machine costs seconds, a
human cut off costs a customer. The beep is looked for once a machine is known: one steady sine of 400-2500 Hz for
100 ms to 2 s; it is told when it has ended.
"""

from libc.math cimport fabs
from libc.string cimport memset

cdef float BEEP_LEVEL_DB = -40.0
cdef float BEEP_PURITY = 0.88


cdef void machine_reset(Machine* machine) noexcept nogil:
    """Begin at the moment of answer."""
    memset(machine, 0, sizeof(Machine))
    machine.settings.initial_silence = 125
    machine.settings.greeting = 75
    machine.settings.after_greeting = 40
    machine.settings.word = 5
    machine.settings.word_gap = 4
    machine.settings.words = 4
    machine.settings.total = 250


cdef int beep_step(Machine* machine, const FrameSound* sound) noexcept nogil:
    cdef bint pure = sound.purity > BEEP_PURITY and sound.level_db > BEEP_LEVEL_DB and 400 <= sound.hz <= 2500
    cdef int length
    if pure and machine.beep_frames and fabs(sound.hz - machine.beep_hz) < 25:
        machine.beep_frames += 1
        machine.beep_gap = 0
        return MACHINE_NONE
    length = machine.beep_frames
    if pure:
        machine.beep_frames = 1
        machine.beep_hz = sound.hz
        machine.beep_gap = 0
        return MACHINE_NONE
    if length == 0:
        return MACHINE_NONE
    # The frame in which a tone ends is no pure sine; two without it are the end.
    machine.beep_gap += 1
    if machine.beep_gap < 2:
        return MACHINE_NONE
    machine.beep_frames = 0
    if 4 <= length <= 100 and not machine.beep_told:
        machine.beep_told = 1
        return MACHINE_BEEP
    return MACHINE_NONE


cdef int machine_step(Machine* machine, bint voiced, const FrameSound* sound) noexcept nogil:
    """One more frame; a :c:enum:`MachineVerdict` when it is reached: human or machine once, then perhaps a beep."""
    cdef MachineSettings* settings = &machine.settings
    if machine.verdict == MACHINE_HUMAN:
        return MACHINE_NONE
    if machine.verdict == MACHINE_MACHINE:
        return beep_step(machine, sound)
    machine.frames += 1
    # A steady tone is no word, whatever the voice detector says.
    if sound.purity > BEEP_PURITY:
        voiced = False
    if voiced:
        machine.voice += 1
        machine.silence = 0
        if machine.voice == settings.word:
            machine.words += 1
            if not machine.heard:
                machine.heard = 1
                machine.greeting = settings.word
    else:
        machine.silence += 1
        if machine.silence >= settings.word_gap:
            machine.voice = 0
    if machine.heard:
        machine.greeting += 1
        if machine.words > settings.words or machine.greeting - machine.silence >= settings.greeting:
            machine.verdict = MACHINE_MACHINE
        elif machine.silence >= settings.after_greeting:
            machine.verdict = MACHINE_HUMAN
    elif machine.frames >= settings.initial_silence:
        machine.verdict = MACHINE_HUMAN
    if machine.verdict == 0 and machine.frames >= settings.total:
        machine.verdict = MACHINE_HUMAN
    return machine.verdict
