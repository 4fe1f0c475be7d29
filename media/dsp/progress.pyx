"""Call-progress tones (busy, congestion, ring-back, special information) and fax tones (CNG, CED).

A frame of 20 ms is described by its level, by the share of its energy in one sine (found by a two-tap linear predictor:
a sine obeys x[n] + x[n-2] = 2·cos(w)·x[n-1]; then refined by phase), and by the share of its energy between 300 and 700 Hz, where ITU-T E.180 puts
dial, ring-back, busy and congestion tones of nearly all networks, one frequency or two. Bursts of such frames are
judged by their cadence alone, so no country needs to be set:

- busy, congestion: bursts and pauses about equally long, three in a row; a period of 580 ms and more is busy, a shorter one
  congestion (a few networks have it the other way round: both mean that nobody will answer),
- ring-back: a burst of at least 350 ms, or two of them, and 1.4 s of silence,
- special information tone: 950, 1400, 1800 Hz one after the other (E.180 section 8),
- CNG 1100 Hz and CED 2100 Hz as in ITU-T T.30 section 4.
"""

from libc.math cimport M_PI, acos, atan2, cos, fabs, floor, fmaxf, log10, sin
from libc.stdint cimport int16_t
from libc.string cimport memset

cdef enum:
    FRAME = 160
    BINS = 9                   # 300, 350 ... 700 Hz
    BRIDGE = 3                 # frames without tone that do not yet end a burst: modulated tones flutter
    RING_OFF = 70              # 1.4 s
    EDGES = 2                  # frames half burst, half pause; more that are loud but no tone is somebody speaking

cdef float QUIET_DB = -48.0
cdef float TONE_SHARE = 0.80
cdef float PURE = 0.85

cdef float[9][160] COS
cdef float[9][160] SIN


cdef void make_tables() noexcept:
    cdef int k, n
    for k in range(BINS):
        for n in range(FRAME):
            COS[k][n] = <float>cos(2 * M_PI * (300 + 50 * k) * n / 8000.0)
            SIN[k][n] = <float>sin(2 * M_PI * (300 + 50 * k) * n / 8000.0)


make_tables()


cdef void correlate(const float* x, int count, double hz, double* re, double* im) noexcept nogil:
    cdef double step = 2 * M_PI * hz / 8000.0
    cdef double turn_re = cos(step), turn_im = sin(step)
    cdef double c = 1.0, s = 0.0, next_c
    cdef int n
    re[0] = im[0] = 0.0
    for n in range(count):
        re[0] += x[n] * c
        im[0] -= x[n] * s
        next_c = c * turn_re - s * turn_im
        s = s * turn_re + c * turn_im
        c = next_c


cdef void refine(const float* x, double energy, FrameSound* sound) noexcept nogil:
    """Noise draws the predictor's frequency towards 2 kHz: correct it by how the phase turns from the first half of
    the frame to the second, and see how much of the energy really is there."""
    cdef double re0 = 0, im0 = 0, re1 = 0, im1 = 0, turn
    correlate(x, FRAME // 2, sound.hz, &re0, &im0)
    correlate(x + FRAME // 2, FRAME // 2, sound.hz, &re1, &im1)
    turn = atan2(im1, re1) - atan2(im0, re0) - 2 * M_PI * sound.hz * (FRAME // 2) / 8000.0
    turn -= 2 * M_PI * floor(turn / (2 * M_PI) + 0.5)
    sound.hz += <float>(turn * 8000.0 / (2 * M_PI * (FRAME // 2)))
    correlate(x, FRAME, sound.hz, &re0, &im0)
    sound.purity = <float>((re0 * re0 + im0 * im0) * 2 / FRAME / energy)


cdef void analyse_frame(const int16_t* frame, FrameSound* sound) noexcept nogil:
    """Describe 160 samples. Of quiet frames only the level is found."""
    cdef float[160] x
    cdef double energy = 0, middle = 0, cross = 0, ends = 0, share = 0, c, re, im
    cdef int n, k
    for n in range(FRAME):
        x[n] = frame[n]
        energy += x[n] * x[n]
    sound.hz = 0
    sound.purity = 0
    sound.low_share = 0
    sound.level_db = -96.0 if energy <= 0 else <float>(10 * log10(energy / FRAME / 1073741824.0))
    if sound.level_db < QUIET_DB:
        return
    for n in range(2, FRAME):
        cross += x[n - 1] * (x[n] + x[n - 2])
        middle += x[n - 1] * x[n - 1]
        ends += (x[n] + x[n - 2]) * (x[n] + x[n - 2])
    if middle > 0:
        c = cross / (2 * middle)
        if fabs(c) < 1:
            sound.hz = <float>(acos(c) * 8000.0 / (2 * M_PI))
            # What the predictor leaves, against what it had to explain: little, for a sine and for dark noise too.
            if ends - 2 * c * cross < 0.4 * middle:
                refine(x, energy, sound)
    for k in range(BINS):
        re = im = 0
        for n in range(FRAME):
            re += x[n] * COS[k][n]
            im += x[n] * SIN[k][n]
        share += re * re + im * im
    sound.low_share = <float>(share * 2 / FRAME / energy)


cdef void progress_reset(Progress* progress) noexcept nogil:
    memset(progress, 0, sizeof(Progress))


cdef int report(Progress* progress, int tone) noexcept nogil:
    if progress.reported & (1u << tone):
        return PROGRESS_NONE
    progress.reported |= 1u << tone
    return tone


cdef int fax_step(Progress* progress, const FrameSound* sound) noexcept nogil:
    """CNG after 400 ms of 1100 Hz, CED after 500 ms of 2100 Hz, each told once."""
    cdef int kind = 0
    if sound.purity > PURE:
        if fabs(sound.hz - 1100) < 40:
            kind = PROGRESS_CNG
        elif fabs(sound.hz - 2100) < 30:
            kind = PROGRESS_CED
    if kind != 0 and kind == progress.fax_class:
        progress.fax_frames += 1
        progress.fax_gap = 0
    elif progress.fax_class != 0 and progress.fax_gap < 1:
        # One frame may be spoilt: V.8 reverses the phase of its 2100 Hz every 450 ms.
        progress.fax_gap += 1
    else:
        progress.fax_class = kind
        progress.fax_frames = 1 if kind else 0
        progress.fax_gap = 0
    if progress.fax_class == PROGRESS_CNG and progress.fax_frames >= 20:
        return report(progress, PROGRESS_CNG)
    if progress.fax_class == PROGRESS_CED and progress.fax_frames >= 25:
        return report(progress, PROGRESS_CED)
    return PROGRESS_NONE


cdef int sit_step(Progress* progress, const FrameSound* sound) noexcept nogil:
    """The three rising tones, each of at least 240 ms."""
    cdef int kind = 0
    if sound.purity > PURE:
        if fabs(sound.hz - 950) < 60:
            kind = 1
        elif fabs(sound.hz - 1400) < 60:
            kind = 2
        elif fabs(sound.hz - 1800) < 60:
            kind = 3
    if kind != 0 and kind == progress.sit_stage:
        progress.sit_frames += 1
        progress.sit_gap = 0
    elif kind == 1 or (kind == progress.sit_stage + 1 and progress.sit_frames >= 12):
        progress.sit_stage = kind
        progress.sit_frames = 1
        progress.sit_gap = 0
    else:
        progress.sit_gap += 1
        if progress.sit_gap > 4 or kind != 0:
            progress.sit_stage = 0
            progress.sit_frames = 0
    if progress.sit_stage == 3 and progress.sit_frames >= 12:
        return report(progress, PROGRESS_SIT)
    return PROGRESS_NONE


cdef inline bint alike(int a, int b) noexcept nogil:
    """Two lengths in frames that may be the same: within 60 ms or a sixth."""
    cdef int difference = a - b if a > b else b - a
    return difference <= 3 or difference * 6 <= b


cdef void end_burst(Progress* progress) noexcept nogil:
    """The pause behind a burst has begun."""
    progress.tone = 0
    progress.off = progress.gap


cdef int begin_burst(Progress* progress) noexcept nogil:
    """A pause is over: judge the cadence so far."""
    cdef int on = progress.on, off = progress.off
    cdef int found = PROGRESS_NONE
    # Equal bursts and pauses of 160 to 900 ms
    if 8 <= on <= 45 and on <= 2 * off and off <= 2 * on and progress.foreign <= EDGES:
        if progress.bursts > 0 and alike(on, progress.last_on) and alike(off, progress.last_off):
            progress.bursts += 1
        else:
            progress.bursts = 1
        if progress.bursts >= 2:
            found = report(progress, PROGRESS_BUSY if on + off >= 29 else PROGRESS_CONGESTION)
    else:
        progress.bursts = 0
    progress.last_on = on
    progress.last_off = off
    progress.tone = 1
    progress.on = 1
    progress.gap = 0
    progress.foreign = 0
    progress.level_db = -96
    return found


cdef int progress_step(Progress* progress, const FrameSound* sound) noexcept nogil:
    """One more frame; a :c:enum:`ProgressTone` if one is certain now."""
    cdef bint tonal = sound.level_db > QUIET_DB and sound.low_share > TONE_SHARE
    # Line noise in the pauses is no sound that matters.
    cdef bint loud = sound.level_db > QUIET_DB and sound.level_db > progress.level_db - 15
    cdef int found = sit_step(progress, sound)
    if found:
        return found
    if progress.tone:
        if tonal:
            # A short flutter belongs to the burst.
            progress.on += 1 + progress.gap
            progress.gap = 0
            progress.level_db = fmaxf(progress.level_db, sound.level_db)
            return PROGRESS_NONE
        progress.gap += 1
        if loud:
            progress.foreign += 1
        if progress.gap > BRIDGE:
            end_burst(progress)
        return PROGRESS_NONE
    if tonal:
        return begin_burst(progress)
    progress.off += 1
    if loud:
        progress.foreign += 1
    # The last burst of a busy tone that was switched off is no ring.
    if progress.off == RING_OFF and progress.foreign <= EDGES and 17 <= progress.on <= 110 and progress.bursts < 2:
        return report(progress, PROGRESS_RINGBACK)
    return PROGRESS_NONE
