"""Packet-loss concealment in the manner of ITU-T G.711 Appendix I, but without its delay of 3.75 ms.

What was heard last is repeated pitch period by pitch period: one period in the first 10 ms, two in the next, three from
then on, so that it does not buzz; from 10 ms on it gets quieter by a fifth every 10 ms and is silent after 60. Where
the recommendation holds all audio back to blend the beginning of a loss, here the step from the last sample to the
first repeated one is taken out and let go over a quarter period. Behind a loss the repetition is led over into the
real signal, for longer after a longer loss.
"""

from libc.math cimport sqrt
from libc.stdint cimport int16_t
from libc.string cimport memcpy, memmove, memset

cdef enum:
    MAX_RATE = 16000

cdef float FADE_PER_10MS = 0.2
cdef double VOICED = 0.4       # normalised correlation from which on a period is believed


cdef void plc_reset(Plc* plc, int rate) noexcept nogil:
    """Begin anew for 8000 or 16000 Hz."""
    memset(plc, 0, sizeof(Plc))
    plc.rate = rate if rate < MAX_RATE else MAX_RATE


cdef inline int16_t limit(float value) noexcept nogil:
    if value > 32767:
        return 32767
    if value < -32768:
        return -32768
    return <int16_t>(value + (0.5 if value >= 0 else -0.5))


cdef void remember(Plc* plc, const int16_t* samples, int count) noexcept nogil:
    cdef int keep
    if count >= PLC_HISTORY:
        memcpy(plc.history, samples + count - PLC_HISTORY, PLC_HISTORY * sizeof(int16_t))
        plc.count = PLC_HISTORY
        return
    keep = PLC_HISTORY - count
    if keep > plc.count:
        keep = plc.count
    memmove(plc.history, plc.history + plc.count - keep, keep * sizeof(int16_t))
    memcpy(plc.history + keep, samples, count * sizeof(int16_t))
    plc.count = keep + count


cdef double likeness(const int16_t* end, int lag, int span, int step) noexcept nogil:
    """Normalised correlation of the last ``span`` samples with those ``lag`` before them."""
    cdef double product = 0, energy = 1.0
    cdef int i = 1
    while i <= span:
        product += <double>end[-i] * end[-i - lag]
        energy += <double>end[-i - lag] * end[-i - lag]
        i += step
    return product / sqrt(energy)


cdef int find_period(Plc* plc) noexcept nogil:
    """Pitch period of the history's end, 5 to 15 ms (twice a shorter one serves as well); 0 without enough of it."""
    cdef int low = plc.rate // 200, high = plc.rate * 3 // 200
    cdef int span = plc.rate // 50
    cdef int step = plc.rate // 4000
    cdef int lag, best = low
    cdef double score, best_score = -1.0
    cdef const int16_t* end = plc.history + plc.count
    if plc.count < high + span:
        span = plc.count - high
        if span < low:
            return 0
    # Coarse at a quarter of the work, then each lag around the best.
    lag = low
    while lag <= high:
        score = likeness(end, lag, span, step)
        if score > best_score:
            best_score = score
            best = lag
        lag += step
    low = best - step + 1
    high = best + step - 1 if best + step - 1 < high else high
    for lag in range(low, high + 1):
        score = likeness(end, lag, span, 1)
        if score > best_score or lag == low:
            best_score = score
            best = lag
    return best


cdef void build_cycle(Plc* plc, int periods) noexcept nogil:
    """Copy the last ``periods`` periods; their last quarter period leads over into what precedes the first."""
    cdef int quarter = plc.period // 4
    cdef int length, start, i
    cdef float rise
    while periods > 1 and periods * plc.period + quarter > plc.count:
        periods -= 1
    plc.periods = periods
    length = periods * plc.period
    start = plc.count - length
    for i in range(length):
        plc.cycle[i] = plc.history[start + i]
    if start < quarter:
        return
    for i in range(quarter):
        rise = (i + 0.5) / quarter
        plc.cycle[length - quarter + i] = (
            plc.cycle[length - quarter + i] * (1 - rise) + plc.history[start - quarter + i] * rise
        )


cdef inline float next_sample(Plc* plc) noexcept nogil:
    cdef float value = plc.cycle[plc.offset]
    plc.offset += 1
    if plc.offset >= plc.period * plc.periods:
        plc.offset = 0
    return value


cdef inline float gain_at(Plc* plc, int lost) noexcept nogil:
    """How loud the repetition still is after ``lost`` samples."""
    cdef int ten = plc.rate // 100
    cdef float gain = 1.0 - FADE_PER_10MS * (<float>(lost - ten) / ten)
    if gain >= 1:
        return 1.0
    return gain if gain > 0 else 0.0


cdef void lengthen(Plc* plc, float* blend, int quarter) noexcept nogil:
    """One more period in the cycle. ``blend`` gets the next quarter period of the old one, to lead over from."""
    cdef int i, before = plc.periods
    for i in range(quarter):
        blend[i] = next_sample(plc)
    build_cycle(plc, plc.periods + 1)
    # The same phase of the pitch: the old offset, less the quarter just taken, in the last periods.
    plc.offset = (plc.offset + before * plc.period - quarter) % (before * plc.period) if before == plc.periods else (
        (plc.offset + before * plc.period - quarter) % plc.period
    )


cdef void synthesise(Plc* plc, float* out, int count) noexcept nogil:
    """The next samples of the repetition at full level."""
    cdef float[64] blend
    cdef int ten = plc.rate // 100
    cdef int quarter = plc.period // 4
    cdef int left = 0
    cdef int i, at
    cdef float rise
    if quarter > 60:
        quarter = 60
    for i in range(count):
        at = plc.lost + i
        if (at == ten or at == 2 * ten) and plc.periods < 3:
            lengthen(plc, blend, quarter)
            left = quarter
        out[i] = next_sample(plc)
        if left > 0:
            rise = 1 - (left - 0.5) / quarter
            out[i] = blend[quarter - left] * (1 - rise) + out[i] * rise
            left -= 1
        if at < plc.period // 4:
            out[i] += plc.jump * (1 - (at + 0.5) / (plc.period // 4))


cdef void plc_lost(Plc* plc, int16_t* out, int count) noexcept nogil:
    """What to play in place of ``count`` lost samples, at most 20 ms in one call."""
    cdef float[320] made
    cdef int i
    if count > 320:
        memset(out + 320, 0, (count - 320) * sizeof(int16_t))
        count = 320
    if plc.lost == 0:
        plc.period = find_period(plc)
        if plc.period:
            build_cycle(plc, 1)
            plc.offset = 0
            # The first repeated sample follows the one a period ago, not the last one.
            plc.jump = <float>plc.history[plc.count - 1] - plc.history[plc.count - 1 - plc.period]
    if plc.period == 0 or gain_at(plc, plc.lost) <= 0:
        memset(out, 0, count * sizeof(int16_t))
    else:
        synthesise(plc, made, count)
        for i in range(count):
            out[i] = limit(made[i] * gain_at(plc, plc.lost + i))
    plc.lost += count


cdef void plc_good(Plc* plc, int16_t* samples, int count) noexcept nogil:
    """Take in decoded samples; the first ones behind a loss are changed in place, to lead over into them."""
    cdef float[320] made
    cdef int i, overlap
    cdef int ten = plc.rate // 100
    cdef float rise
    if plc.lost > 0:
        overlap = plc.period // 4 + (plc.lost - ten) * 4 // 10
        if overlap > ten:
            overlap = ten
        if overlap > count:
            overlap = count
        if plc.period == 0 or gain_at(plc, plc.lost) <= 0:
            # Nothing was playing: only rise from silence, for 2 ms.
            overlap = ten // 5 if ten // 5 < count else count
            for i in range(overlap):
                samples[i] = limit(samples[i] * ((i + 0.5) / overlap))
        elif overlap > 0:
            synthesise(plc, made, overlap)
            for i in range(overlap):
                rise = (i + 0.5) / overlap
                samples[i] = limit(made[i] * gain_at(plc, plc.lost + i) * (1 - rise) + samples[i] * rise)
        plc.lost = 0
    remember(plc, samples, count)


cdef class Concealer:
    """Concealment for tests and tools."""

    cdef Plc _plc

    def __cinit__(self, int rate):
        if rate not in (8000, 16000):
            raise ValueError(f"sample rate {rate}; expected 8000 or 16000")
        plc_reset(&self._plc, rate)

    def good(self, const int16_t[::1] samples not None):
        """A frame that arrived; returns it as it is to be played."""
        import numpy

        out = numpy.array(samples)
        cdef int16_t[::1] view = out
        if view.shape[0]:
            plc_good(&self._plc, &view[0], <int>view.shape[0])
        return out

    def lost(self, int count):
        """What to play in place of ``count`` samples, at most 20 ms."""
        import numpy

        if not 0 < count <= self._plc.rate // 50:
            raise ValueError(f"{count} samples; expected 1-{self._plc.rate // 50}")
        out = numpy.zeros(count, numpy.int16)
        cdef int16_t[::1] view = out
        plc_lost(&self._plc, &view[0], count)
        return out
