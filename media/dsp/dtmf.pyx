"""In-band DTMF: a detector that stays inside the limits of ITU-T Q.24, and a generator.

The detector takes 8 kHz samples in pieces of any length and works in hops of 8 ms. A hop costs sixteen dot products of
64 samples; it names the strongest frequency of each group, if those two hold most of the energy. A run of hops that
agree adds up to a tone of a certain length (a hop only partly filled counts for its part). When that could be enough,
the last 24 ms are verified:

- a length of at least 28 ms (23 ms must be refused, 40 ms must be accepted),
- both frequencies, measured by their phase, within 2.4 % (1.5 % must pass, 3.5 % must not),
- twist between -10 and +6 dB (high over low; -8 to +4 must pass) and level of each at least -27 dBm0,
- what is left when the two sines, fitted by least squares, are taken away, under 12 % of the energy: speech and
  music fail here.

A digit ends when it has not been heard for three hops, so interruptions of 10 ms are passed over and pauses of 40 ms
are not. 0 dBm0 is -6.15 dBFS RMS (G.711: a full-scale sine is +3.14 dBm0).
"""

from libc.math cimport M_PI, atan2, cos, fabs, fmin, pow, sin, sqrt
from libc.stdint cimport int16_t, int32_t, int64_t
from libc.string cimport memcpy, memmove, memset

cdef enum:
    HOP = DTMF_HOP
    WINDOW = DTMF_WINDOW
    PART = 96                  # samples between the two windows whose phases are compared; each is as long

cdef double* FREQUENCIES = [697.0, 770.0, 852.0, 941.0, 1209.0, 1336.0, 1477.0, 1633.0]
cdef char* KEYS = b"123A456B789C*0#D"

cdef double FULL_SCALE = 32768.0
cdef double DBM0_DBFS = -6.15
cdef float HOP_SHARE = 0.55    # of a hop's energy in the two components: only a first sieve
cdef float KEEP_SHARE = 0.35   # the same while a digit is already heard
cdef float LIKELY_HOPS = 3.2   # as estimated against the strongest hop, which neighbours' leakage makes uncertain
cdef double LEAST_HOPS = 3.5   # 28 ms, against the fitted amplitude
cdef double MAX_OFFSET = 0.024
cdef double MAX_TWIST_DB = 6.0
cdef double MIN_TWIST_DB = -10.0
cdef double MAX_RESIDUE = 0.12

cdef float[8][64] COS
cdef float[8][64] SIN
cdef float[96] HANN


cdef void make_tables() noexcept:
    cdef int f, n
    cdef double angle
    for f in range(8):
        for n in range(HOP):
            angle = 2 * M_PI * FREQUENCIES[f] * n / 8000.0
            COS[f][n] = <float>cos(angle)
            SIN[f][n] = <float>sin(angle)
    for n in range(PART):
        HANN[n] = <float>(0.5 - 0.5 * cos(2 * M_PI * (n + 0.5) / PART))


make_tables()


cdef void dtmf_reset(DtmfDetector* detector, float least_dbm0) noexcept nogil:
    """Begin anew. ``least_dbm0``: least level of each component; -27 is what Q.24 leads to."""
    memset(detector, 0, sizeof(DtmfDetector))
    detector.candidate = -1
    detector.digit = -1
    detector.threshold = <float>(pow(10.0, (least_dbm0 + DBM0_DBFS) / 10.0) * FULL_SCALE * FULL_SCALE)


cdef inline float component(const float* x, int f) noexcept nogil:
    """Squared correlation of a hop with one frequency, scaled to the mean square it stands for."""
    cdef float re = 0, im = 0
    cdef const float* c = COS[f]
    cdef const float* s = SIN[f]
    cdef int n
    for n in range(HOP):
        re += x[n] * c[n]
        im += x[n] * s[n]
    # A sine of amplitude a gives |sum| = a·HOP/2 and has the mean square a²/2.
    return (re * re + im * im) * <float>(2.0 / (HOP * HOP))


cdef void windowed(const int16_t* x, double hz, double* re, double* im) noexcept nogil:
    """Correlation of PART samples under a Hann window with a frequency; phase counts from the first of them."""
    cdef double step = 2 * M_PI * hz / 8000.0
    cdef double turn_re = cos(step), turn_im = sin(step)
    cdef double c = 1.0, s = 0.0, next_c, value
    cdef int n
    re[0] = im[0] = 0.0
    for n in range(PART):
        value = x[n] * HANN[n]
        re[0] += value * c
        im[0] -= value * s
        next_c = c * turn_re - s * turn_im
        s = s * turn_re + c * turn_im
        c = next_c


cdef double measure(const int16_t* x, double hz) noexcept nogil:
    """The frequency really there near ``hz``, by how far the phase turns between two windows."""
    cdef double re0 = 0, im0 = 0, re1 = 0, im1 = 0, turn, expected
    windowed(x, hz, &re0, &im0)
    windowed(x + PART, hz, &re1, &im1)
    turn = atan2(im1, re1) - atan2(im0, re0)
    expected = 2 * M_PI * hz * PART / 8000.0
    turn -= expected
    turn -= 2 * M_PI * <double>(<int64_t>(turn / (2 * M_PI)))
    if turn > M_PI:
        turn -= 2 * M_PI
    elif turn < -M_PI:
        turn += 2 * M_PI
    return hz + turn * 8000.0 / (2 * M_PI * PART)


cdef double fit(const int16_t* x, double low_hz, double high_hz, double* low_power, double* high_power) noexcept nogil:
    """Least-squares fit of two sines. Returns the share of the energy they leave; their powers as mean squares."""
    cdef double[4][5] m        # normal equations, right-hand side in the last column
    cdef double[4] basis
    cdef double[4] turn
    cdef double energy = 0.0, explained = 0.0, value, factor, swap
    cdef int n, i, j, k
    for i in range(4):
        for j in range(5):
            m[i][j] = 0.0
    basis[0], basis[1], basis[2], basis[3] = 1.0, 0.0, 1.0, 0.0
    turn[0], turn[1] = cos(2 * M_PI * low_hz / 8000.0), sin(2 * M_PI * low_hz / 8000.0)
    turn[2], turn[3] = cos(2 * M_PI * high_hz / 8000.0), sin(2 * M_PI * high_hz / 8000.0)
    for n in range(WINDOW):
        value = x[n]
        energy += value * value
        for i in range(4):
            for j in range(i, 4):
                m[i][j] += basis[i] * basis[j]
            m[i][4] += basis[i] * value
        swap = basis[0] * turn[0] - basis[1] * turn[1]
        basis[1] = basis[1] * turn[0] + basis[0] * turn[1]
        basis[0] = swap
        swap = basis[2] * turn[2] - basis[3] * turn[3]
        basis[3] = basis[3] * turn[2] + basis[2] * turn[3]
        basis[2] = swap
    if energy <= 0:
        return 1.0
    for i in range(4):
        basis[i] = m[i][4]     # kept to know what the solution explains
        for j in range(i):
            m[i][j] = m[j][i]
    # The matrix is symmetric and, with frequencies this far apart, strongly diagonal: no pivoting.
    for i in range(4):
        for k in range(i + 1, 4):
            factor = m[k][i] / m[i][i]
            for j in range(i, 5):
                m[k][j] -= factor * m[i][j]
    for i in range(3, -1, -1):
        for j in range(i + 1, 4):
            m[i][4] -= m[i][j] * m[j][4]
        m[i][4] /= m[i][i]
        explained += m[i][4] * basis[i]
    low_power[0] = (m[0][4] * m[0][4] + m[1][4] * m[1][4]) / 2
    high_power[0] = (m[2][4] * m[2][4] + m[3][4] * m[3][4]) / 2
    return 1.0 - explained / energy


cdef double verify(DtmfDetector* detector, int pair) noexcept nogil:
    """How many hops the digit has lasted, if the last 24 ms really are one; 0 if not, negative: not long enough yet."""
    cdef double low = FREQUENCIES[pair >> 2], high = FREQUENCIES[4 + (pair & 3)]
    cdef double low_hz = measure(detector.ring, low)
    cdef double high_hz = measure(detector.ring, high)
    cdef double low_power = 0, high_power = 0, ratio, length
    if fabs(low_hz - low) > MAX_OFFSET * low or fabs(high_hz - high) > MAX_OFFSET * high:
        return 0.0
    if fit(detector.ring, low_hz, high_hz, &low_power, &high_power) > MAX_RESIDUE:
        return 0.0
    if low_power < detector.threshold or high_power < detector.threshold:
        return 0.0
    ratio = high_power / low_power
    if ratio < pow(10.0, MIN_TWIST_DB / 10) or ratio > pow(10.0, MAX_TWIST_DB / 10):
        return 0.0
    length = fmin(detector.low_sum / sqrt(low_power), detector.high_sum / sqrt(high_power))
    return length if length >= LEAST_HOPS else -1.0


cdef int classify(DtmfDetector* detector, float* low_amplitude, float* high_amplitude) noexcept nogil:
    """The pair a hop most likely is part of, or -1."""
    cdef float[64] x
    cdef float energy = 0, power, low_power = 0, high_power = 0, share
    cdef int low = 0, high = 0
    cdef int n, f
    for n in range(HOP):
        x[n] = detector.hop[n]
        energy += x[n] * x[n]
    energy /= HOP
    # Half of the least level of two components: a hop may be only partly filled.
    if energy < detector.threshold * 0.5:
        return -1
    for f in range(4):
        power = component(x, f)
        if power > low_power:
            low_power = power
            low = f
    for f in range(4, 8):
        power = component(x, f)
        if power > high_power:
            high_power = power
            high = f - 4
    share = (low_power + high_power) / energy
    if share < (HOP_SHARE if detector.digit < 0 else KEEP_SHARE):
        return -1
    low_amplitude[0] = <float>sqrt(low_power)
    high_amplitude[0] = <float>sqrt(high_power)
    return low * 4 + high


cdef int take_hop(DtmfDetector* detector, DtmfEvent* event) noexcept nogil:
    """One full hop. Returns 1 if ``event`` was filled."""
    cdef float low = 0, high = 0, length
    cdef double verified
    cdef int pair = classify(detector, &low, &high)
    memmove(&detector.ring[0], &detector.ring[HOP], (WINDOW - HOP) * sizeof(int16_t))
    memcpy(&detector.ring[WINDOW - HOP], &detector.hop[0], HOP * sizeof(int16_t))

    if detector.digit >= 0:
        if pair == detector.digit:
            detector.misses = 0
            return 0
        detector.misses += 1
        if detector.misses < 3:
            return 0
        event.started = 0
        event.digit = KEYS[detector.digit]
        event.position = detector.position - 3 * HOP
        event.samples = event.position - detector.began
        detector.digit = -1
        # What was heard in the missing hops may be the beginning of the next digit.
        detector.candidate = -1
        detector.hops = 0
        start_run(detector, pair, low, high)
        return 1

    if pair < 0 or pair != detector.candidate:
        start_run(detector, pair, low, high)
        return 0
    detector.hops += 1
    detector.low_sum += low
    detector.high_sum += high
    if low > detector.low_peak:
        detector.low_peak = low
    if high > detector.high_peak:
        detector.high_peak = high
    length = detector.low_sum / detector.low_peak
    if detector.high_sum / detector.high_peak < length:
        length = detector.high_sum / detector.high_peak
    if length < LIKELY_HOPS or detector.refused >= 3:
        return 0
    verified = verify(detector, pair)
    if verified < 0:
        return 0
    if verified == 0:
        # A run that fails thrice (a click at its start, say, has passed by then) is no digit.
        detector.refused += 1
        return 0
    detector.digit = pair
    detector.misses = 0
    detector.began = detector.position - <int64_t>(verified * HOP)
    event.started = 1
    event.digit = KEYS[pair]
    event.position = detector.began
    event.samples = 0
    return 1


cdef inline void start_run(DtmfDetector* detector, int pair, float low, float high) noexcept nogil:
    detector.candidate = pair
    detector.hops = 1 if pair >= 0 else 0
    detector.low_sum = detector.low_peak = low
    detector.high_sum = detector.high_peak = high
    detector.refused = 0


cdef int dtmf_detect(
    DtmfDetector* detector, const int16_t* samples, int count, DtmfEvent* events, int capacity) noexcept nogil:
    """Take in 8 kHz samples. Returns how many events were written; one per 24 ms at most can arise."""
    cdef int written = 0
    cdef int part
    cdef DtmfEvent event
    while count > 0:
        part = HOP - detector.filled
        if part > count:
            part = count
        memcpy(&detector.hop[detector.filled], samples, part * sizeof(int16_t))
        detector.filled += part
        detector.position += part
        samples += part
        count -= part
        if detector.filled == HOP:
            detector.filled = 0
            if take_hop(detector, &event) and written < capacity:
                events[written] = event
                written += 1
    return written


# --- generator --------------------------------------------------------------------------------------------------------


cdef int key_index(char digit) noexcept nogil:
    cdef int i
    if digit >= c'a' and digit <= c'd':
        digit -= 32
    for i in range(16):
        if KEYS[i] == digit:
            return i
    return -1


cdef bint dtmf_generator_start(
    DtmfGenerator* generator, int rate, char digit, int on_ms, int off_ms, float level_dbfs) noexcept nogil:
    """Make a digit ready; ``level_dbfs`` is the RMS of each component. False: no such digit."""
    cdef int index = key_index(digit)
    if index < 0:
        return False
    generator.rate = rate
    generator.low_step = 2 * M_PI * FREQUENCIES[index >> 2] / rate
    generator.high_step = 2 * M_PI * FREQUENCIES[4 + (index & 3)] / rate
    generator.low_phase = generator.high_phase = 0
    generator.low_level = generator.high_level = <float>(pow(10.0, level_dbfs / 20.0) * sqrt(2.0) * FULL_SCALE)
    generator.on = on_ms * rate // 1000
    generator.off = off_ms * rate // 1000
    generator.done = 0
    generator.total = generator.on
    return True


cdef int dtmf_generate(DtmfGenerator* generator, int16_t* out, int count) noexcept nogil:
    """The next samples of tone and pause, silence behind them. Returns how many are not yet behind the end."""
    cdef int n, edge = generator.rate // 500
    cdef double value, gain
    cdef int real = 0
    for n in range(count):
        if generator.on > 0:
            value = (
                generator.low_level * sin(generator.low_phase) + generator.high_level * sin(generator.high_phase)
            )
            # 2 ms of rise and fall: no click
            gain = 1.0
            if generator.done < edge:
                gain = (generator.done + 0.5) / edge
            elif generator.on <= edge:
                gain = (generator.on - 0.5) / edge
            generator.low_phase += generator.low_step
            generator.high_phase += generator.high_step
            generator.on -= 1
            generator.done += 1
            value *= gain
            out[n] = <int16_t>(32767 if value > 32767 else -32768 if value < -32768 else value)
            real += 1
        elif generator.off > 0:
            generator.off -= 1
            out[n] = 0
            real += 1
        else:
            out[n] = 0
    return real


# --- for Python -------------------------------------------------------------------------------------------------------


cdef class DtmfListener:
    """The detector for Python."""

    cdef DtmfDetector _detector

    def __cinit__(self, float least_dbm0=-27.0):
        dtmf_reset(&self._detector, least_dbm0)

    def feed(self, const int16_t[::1] samples not None):
        """Take in samples; returns what began or ended in them."""
        cdef DtmfEvent[64] events
        cdef Py_ssize_t taken = 0, part
        cdef int count, i
        found = []
        while taken < samples.shape[0]:
            part = min(samples.shape[0] - taken, 4096)
            with nogil:
                count = dtmf_detect(&self._detector, &samples[taken], <int>part, events, 64)
            taken += part
            for i in range(count):
                found.append((bool(events[i].started), chr(events[i].digit), events[i].position, events[i].samples))
        return found


def generate_dtmf(str digits, int rate, int on_ms=100, int off_ms=70, float level_dbfs=-10.0):
    """Samples of digits, by the generator the engine uses."""
    import numpy

    cdef DtmfGenerator generator
    cdef int count = (on_ms + off_ms) * rate // 1000
    out = numpy.zeros(count * len(digits), numpy.int16)
    cdef int16_t[::1] view = out
    cdef int i
    for i, digit in enumerate(digits):
        if len(digit.encode()) != 1 or not dtmf_generator_start(&generator, rate, ord(digit), on_ms, off_ms, level_dbfs):
            raise ValueError(f"{digit!r} is not a DTMF digit")
        dtmf_generate(&generator, &view[i * count], count)
    return out
