"""Packet-loss concealment by repeating the last pitch period, after ITU-T G.711 Appendix I, without its delay.

The period is the lag (2.5 to 15 ms) at which the last 5 ms resemble what went before. The repetition goes on getting
quieter as the sound was doing, and fades by 2.5 % a millisecond from 5 ms on: it is silent after 45 ms. Where the
Recommendation holds all audio back to blend the beginning of a loss, here the step from the last sample to the first
repeated one is taken out and let go over a quarter period. Behind a loss the repetition is led over into the real signal,
for longer after a longer loss. The figures were chosen by PESQ on speech in four languages.
"""

from libc.math cimport pow, sqrt
from libc.stdint cimport int16_t
from libc.string cimport memcpy, memmove, memset

cdef enum:
    MAX_RATE = 16000

cdef float FADE_PER_MS = 0.025
cdef float FADE_FROM_MS = 5.0


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


cdef double likeness(const int16_t* end, int lag, int span) noexcept nogil:
    """Correlation of the last ``span`` samples with those ``lag`` before them, normalised by the latter."""
    cdef double product = 0, energy = 1.0
    cdef int i
    for i in range(1, span + 1):
        product += <double>end[-i] * end[-i - lag]
        energy += <double>end[-i - lag] * end[-i - lag]
    return product / sqrt(energy)


cdef int find_period(Plc* plc) noexcept nogil:
    """Pitch period of the history's end; 0 without enough of it."""
    cdef int low = plc.rate // 400, high = plc.rate * 3 // 200
    cdef int span = plc.rate // 200
    cdef int lag, best = low
    cdef double score, best_score = -1.0
    cdef const int16_t* end = plc.history + plc.count
    if plc.count < high + span:
        return 0
    for lag in range(low, high + 1):
        score = likeness(end, lag, span)
        if score > best_score:
            best_score = score
            best = lag
    return best


cdef void build_cycle(Plc* plc) noexcept nogil:
    """Copy the last period; its last quarter leads over into what precedes its beginning."""
    cdef int quarter = plc.period // 4
    cdef int start = plc.count - plc.period
    cdef int i
    cdef float rise, sample
    cdef double last = 1.0, before = 1.0
    for i in range(plc.period):
        plc.cycle[i] = plc.history[start + i]
        sample = plc.history[start - plc.period + i] if start >= plc.period else plc.cycle[i]
        last += plc.cycle[i] * plc.cycle[i]
        before += sample * sample
    plc.level = 1.0
    plc.slope = <float>pow(last / before, 0.5 / plc.period) if last < before else 1.0
    if start < quarter:
        return
    for i in range(quarter):
        rise = (i + <float>0.5) / quarter
        plc.cycle[plc.period - quarter + i] = (
            plc.cycle[plc.period - quarter + i] * (1 - rise) + plc.history[start - quarter + i] * rise
        )


cdef inline float gain_at(Plc* plc, int lost) noexcept nogil:
    """How much of the repetition is left after ``lost`` samples."""
    cdef float gain = 1 - FADE_PER_MS * (<float>lost * 1000 / plc.rate - FADE_FROM_MS)
    if gain >= 1:
        return 1.0
    return gain if gain > 0 else 0.0


cdef void synthesise(Plc* plc, float* out, int count) noexcept nogil:
    """The next samples of the repetition, not yet faded."""
    cdef int quarter = plc.period // 4
    cdef int i, at
    for i in range(count):
        at = plc.lost + i
        out[i] = plc.cycle[plc.offset] * plc.level
        plc.level *= plc.slope
        plc.offset += 1
        if plc.offset >= plc.period:
            plc.offset = 0
        if at < quarter:
            out[i] += plc.jump * (1 - (at + <float>0.5) / quarter)


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
            build_cycle(plc)
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
