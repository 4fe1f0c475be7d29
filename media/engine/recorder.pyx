"""Recorders.

The engine thread puts audio into a ring per channel, at the position its timestamp has on the wall-clock time
line, and every 100 ms publishes how far the ring is final. The writer thread turns what is final into
interleaved samples, writes it, writes the header anew and fills the ring with silence behind itself: a gap
is therefore silence without anybody looking for gaps. The two threads share two counters and no lock.

    packet -> ring[left|right] --flush_to--> writer: interleave, pwrite block, pwrite header
                     ^-------------written--------'

Header: RIFF, a JUNK chunk kept free for RF64 (EBU Tech 3306), fmt, data. It is valid after every block.
"""

from libc.errno cimport EAGAIN, EINTR, ENOSPC, errno
from libc.stdint cimport int16_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from posix.unistd cimport pwrite, read

from media.engine.companding cimport compress, cross_map, expand, expand_table
from media.engine.rings cimport load_acquire, push_event, push_recorder, signal_fd, store_release, wake_events
from media.engine.timeline cimport place_packet
from media.engine.types cimport EV_REC_DONE, EV_REC_FAILED, EVENT_SLOTS, EventRing, KIND_PCMA, Loop, Recorder, WriterQueue


cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd* fds, unsigned long count, int timeout)
    int POLLIN


# A block is final this long after its time: later packets are lost to the recording.
DEF SETTLE_MS = 150
# A block is written once it is this long; with SETTLE_MS the disk is at most 1 s behind.
DEF BLOCK_MS = 750
DEF SCRATCH_SAMPLES = 16384


cdef int64_t recorder_position(Recorder* recorder, int64_t now) noexcept nogil:
    return (now - recorder.start_ns) * recorder.rate // 1000000000


cdef inline void _put(Recorder* recorder, int side, int64_t position, const uint8_t* data, int count) noexcept nogil:
    """Copy `count` samples of the ring's width to `position`; what is outside the open window is dropped."""
    cdef int64_t low = <int64_t>recorder.flush_to
    cdef int64_t high
    cdef int64_t mask = recorder.capacity - 1
    cdef int64_t at, run
    cdef int width = recorder.width
    if position < low:
        recorder.late += low - position if low - position < count else count
        data += (low - position) * width
        count -= <int>(low - position)
        position = low
    high = <int64_t>load_acquire(&recorder.written) + recorder.capacity
    if position + count > high:
        count = <int>(high - position)
    if count <= 0:
        return
    at = position & mask
    run = recorder.capacity - at
    if run >= count:
        memcpy(recorder.ring[side] + at * width, data, count * width)
    else:
        memcpy(recorder.ring[side] + at * width, data, run * width)
        memcpy(recorder.ring[side], data + run * width, (count - run) * width)


cdef void record_codes(Recorder* recorder, int side, int law, uint32_t ssrc, uint32_t ts, const uint8_t* data, int count,
                       int64_t now) noexcept nogil:
    """Take down one G.711 packet. Side 0: heard from the leg; 1: sent to it."""
    cdef int stretch = 0
    cdef int i
    cdef int64_t position
    cdef const uint8_t* table
    cdef uint8_t converted[1500]
    cdef int16_t linear[1500]
    if recorder.paused or count > 1500:
        return
    recorder.line[side].clock = 8000
    position = place_packet(&recorder.line[side], ssrc, ts, recorder_position(recorder, now), &stretch)
    if recorder.width == 1:
        if law != recorder.law:
            table = cross_map(law)
            for i in range(count):
                converted[i] = table[data[i]]
            data = converted
        if stretch:
            _put(recorder, side, position - 1, data, 1)
        _put(recorder, side, position, data, count)
        return
    expand(law, data, count, linear)
    _put_linear(recorder, side, position, stretch, linear, count, 8000)


cdef void _put_linear(Recorder* recorder, int side, int64_t position, int stretch, const int16_t* samples, int count,
                      uint32_t rate) noexcept nogil:
    """Samples into a linear ring (or a companded one), brought to its rate by halving or doubling."""
    cdef int16_t changed[3840]
    cdef uint8_t codes[3840]
    cdef int i
    if rate == recorder.rate * 2:
        count //= 2
        for i in range(count):
            changed[i] = <int16_t>((<int>samples[2 * i] + samples[2 * i + 1]) >> 1)
        samples = changed
    elif rate * 2 == recorder.rate and count <= 1920:
        for i in range(count):
            changed[2 * i] = samples[i]
            changed[2 * i + 1] = <int16_t>((<int>samples[i] + samples[i + 1 if i + 1 < count else i]) >> 1)
        samples = changed
        count *= 2
    elif rate != recorder.rate:
        return
    if count > 3840:
        return
    if recorder.width == 1:
        compress(recorder.law, samples, count, codes)
        if stretch:
            _put(recorder, side, position - 1, codes, 1)
        _put(recorder, side, position, codes, count)
        return
    if stretch:
        _put(recorder, side, position - 1, <const uint8_t*>samples, 1)
    _put(recorder, side, position, <const uint8_t*>samples, count)


cdef void record_samples(Recorder* recorder, int side, uint32_t ssrc, uint32_t ts, uint32_t clock, const int16_t* samples,
                         int count, uint32_t rate, int64_t now) noexcept nogil:
    """Take down one packet of decoded audio of `rate` Hz whose RTP clock is `clock`."""
    cdef int stretch = 0
    cdef int64_t position
    if recorder.paused or count > 3840:
        return
    recorder.line[side].clock = clock
    position = place_packet(&recorder.line[side], ssrc, ts, recorder_position(recorder, now), &stretch)
    _put_linear(recorder, side, position, stretch, samples, count, rate)


cdef void blank_ahead(Recorder* recorder, int64_t position) noexcept nogil:
    """Take back what was put down beyond `position` (its packets came early): a pause begins here, to the sample."""
    cdef int64_t end = <int64_t>load_acquire(&recorder.written) + recorder.capacity
    if position < <int64_t>recorder.flush_to:
        position = <int64_t>recorder.flush_to
    if end > position:
        _clear(recorder, position, end - position)


cdef bint publish_block(Loop* loop, Recorder* recorder, int64_t now) noexcept nogil:
    """Hand the writer what is final, when it is worth a write. True: it must be told."""
    cdef int64_t position = recorder_position(recorder, now - SETTLE_MS * 1000000)
    if position - recorder.queued < <int64_t>recorder.rate * BLOCK_MS // 1000:
        return False
    if position - <int64_t>load_acquire(&recorder.written) > recorder.capacity - recorder.rate // 2:
        # The writer is behind (a slow disk): it still has the last block, and this one can wait.
        position = <int64_t>load_acquire(&recorder.written) + recorder.capacity - recorder.rate // 2
        if position <= <int64_t>recorder.flush_to:
            return False
    store_release(&recorder.flush_to, <uint64_t>position)
    # An entry still in the queue covers this block too, or the next check does.
    if recorder.pushes == load_acquire(&recorder.served) and push_recorder(&loop.writer, recorder):
        recorder.pushes += 1
        recorder.queued = position
        return True
    return False


cdef void publish_end(Loop* loop, Recorder* recorder, int64_t now) noexcept nogil:
    """Hand the writer the rest; it answers with EV_REC_DONE and touches the recorder no more."""
    cdef int64_t position = recorder_position(recorder, now)
    cdef int64_t limit = <int64_t>load_acquire(&recorder.written) + recorder.capacity
    if position < <int64_t>recorder.flush_to:
        position = <int64_t>recorder.flush_to
    if position > limit:
        position = limit
    store_release(&recorder.flush_to, <uint64_t>position)
    recorder.pushes += 1
    store_release(&recorder.final, recorder.pushes)
    # Never full: two entries a recorder at most, and fewer recorders than half the slots.
    push_recorder(&loop.writer, recorder)
    signal_fd(loop.writer.wake_fd)


# --- the writer thread ------------------------------------------------------------------------------------

cdef inline void _u16(uint8_t* p, uint16_t value) noexcept nogil:
    (<uint16_t*>p)[0] = value


cdef inline void _u32(uint8_t* p, uint32_t value) noexcept nogil:
    (<uint32_t*>p)[0] = value


cdef inline void _u64(uint8_t* p, uint64_t value) noexcept nogil:
    (<uint64_t*>p)[0] = value


cdef int build_header(Recorder* recorder, uint8_t* header) noexcept nogil:
    """The header for the data written so far, RIFF up to 4 GiB and RF64 beyond. Returns its length."""
    cdef int sample_bytes = 2 if recorder.format == 0 else 1
    cdef uint64_t data_bytes = <uint64_t>recorder.file_samples * 2 * sample_bytes
    cdef int fmt_bytes = 16 if recorder.format == 0 else 18
    cdef int fact_bytes = 0 if recorder.format == 0 else 12
    cdef int length = 12 + 36 + 8 + fmt_bytes + fact_bytes + 8
    cdef uint64_t riff_bytes = length - 8 + data_bytes
    cdef bint large = (riff_bytes >> 32) != 0
    cdef uint8_t* p = header
    memset(header, 0, length)
    memcpy(p, <const char*>b"RF64" if large else <const char*>b"RIFF", 4)
    _u32(p + 4, <uint32_t>-1 if large else <uint32_t>riff_bytes)
    memcpy(p + 8, b"WAVE", 4)
    p += 12
    memcpy(p, <const char*>b"ds64" if large else <const char*>b"JUNK", 4)
    _u32(p + 4, 28)
    if large:
        _u64(p + 8, riff_bytes)
        _u64(p + 16, data_bytes)
        _u64(p + 24, <uint64_t>recorder.file_samples)
    p += 36
    memcpy(p, b"fmt ", 4)
    _u32(p + 4, fmt_bytes)
    _u16(p + 8, 1 if recorder.format == 0 else (7 if recorder.format == 1 else 6))
    _u16(p + 10, 2)
    _u32(p + 12, recorder.rate)
    _u32(p + 16, recorder.rate * 2 * sample_bytes)
    _u16(p + 20, 2 * sample_bytes)
    _u16(p + 22, 8 * sample_bytes)
    p += 8 + fmt_bytes
    if fact_bytes:
        memcpy(p, b"fact", 4)
        _u32(p + 4, 4)
        _u32(p + 8, <uint32_t>-1 if large else <uint32_t>recorder.file_samples)
        p += 12
    memcpy(p, b"data", 4)
    _u32(p + 4, <uint32_t>-1 if large else <uint32_t>data_bytes)
    return length


cdef int _write_all(int fd, const uint8_t* data, int64_t size, int64_t offset) noexcept nogil:
    """0, or the errno."""
    cdef int64_t done
    while size > 0:
        done = pwrite(fd, data, size, offset)
        if done < 0:
            if errno == EINTR or errno == EAGAIN:
                continue
            return errno
        if done == 0:
            return ENOSPC
        data += done
        size -= done
        offset += done
    return 0


cdef int _write_header(Recorder* recorder) noexcept nogil:
    cdef uint8_t header[128]
    cdef int length = build_header(recorder, header)
    recorder.header_bytes = length
    return _write_all(recorder.fd, header, length, 0)


cdef void _interleave(Recorder* recorder, int64_t at, int64_t count, uint8_t* out) noexcept nogil:
    """`count` samples of both rings from index `at` (no wrap) into the file's form."""
    cdef const uint8_t* left
    cdef const uint8_t* right
    cdef const int16_t* left16
    cdef const int16_t* right16
    cdef const int16_t* table
    cdef const uint8_t* map
    cdef int16_t* out16 = <int16_t*>out
    cdef uint8_t code[2]
    cdef int16_t pair[2]
    cdef int64_t i
    cdef int law
    if recorder.width == 1:
        left = recorder.ring[0] + at
        right = recorder.ring[1] + at
        if recorder.format == 0:
            table = expand_table(recorder.law)
            for i in range(count):
                out16[2 * i] = table[left[i]]
                out16[2 * i + 1] = table[right[i]]
        elif recorder.format - 1 == recorder.law:
            for i in range(count):
                out[2 * i] = left[i]
                out[2 * i + 1] = right[i]
        else:
            map = cross_map(recorder.law)
            for i in range(count):
                out[2 * i] = map[left[i]]
                out[2 * i + 1] = map[right[i]]
        return
    left16 = <const int16_t*>recorder.ring[0] + at
    right16 = <const int16_t*>recorder.ring[1] + at
    if recorder.format == 0:
        for i in range(count):
            out16[2 * i] = left16[i]
            out16[2 * i + 1] = right16[i]
        return
    law = recorder.format - 1
    for i in range(count):
        pair[0] = left16[i]
        pair[1] = right16[i]
        compress(law, pair, 2, code)
        out[2 * i] = code[0]
        out[2 * i + 1] = code[1]


cdef int _write_block(Recorder* recorder, uint8_t* scratch) noexcept nogil:
    """Write [written, flush_to) and the header. Returns 0 or the errno; the file stays valid either way."""
    cdef int64_t start = <int64_t>recorder.written
    cdef int64_t end = <int64_t>load_acquire(&recorder.flush_to)
    cdef int64_t mask = recorder.capacity - 1
    cdef int64_t at, run, count
    cdef int frame = 4 if recorder.format == 0 else 2
    cdef int error
    while start < end:
        at = start & mask
        run = end - start
        count = 0
        if run > SCRATCH_SAMPLES:
            run = SCRATCH_SAMPLES
        if run > recorder.capacity - at:
            count = recorder.capacity - at
            _interleave(recorder, at, count, scratch)
            _interleave(recorder, 0, run - count, scratch + count * frame)
        else:
            _interleave(recorder, at, run, scratch)
        error = _write_all(recorder.fd, scratch, run * frame, recorder.header_bytes + recorder.file_samples * frame)
        if error:
            return error
        recorder.file_samples += run
        _clear(recorder, start, run)
        start += run
        store_release(&recorder.written, <uint64_t>start)
    return _write_header(recorder)


cdef void _clear(Recorder* recorder, int64_t start, int64_t count) noexcept nogil:
    cdef int64_t at = start & (recorder.capacity - 1)
    cdef int64_t run = recorder.capacity - at
    cdef int side
    cdef int width = recorder.width
    if run > count:
        run = count
    for side in range(2):
        memset(recorder.ring[side] + at * width, recorder.silence, run * width)
        if count > run:
            memset(recorder.ring[side], recorder.silence, (count - run) * width)


cdef void serve_recorder(Recorder* recorder, EventRing* events, uint8_t* scratch) noexcept nogil:
    cdef int error = 0
    cdef uint64_t served = recorder.served + 1
    cdef bint last = load_acquire(&recorder.final) == served
    if not recorder.failed:
        error = _write_block(recorder, scratch)
        if error:
            # Leave a valid file: the header of what is on the disk. It replaces bytes that exist already.
            _write_header(recorder)
            store_release(&recorder.failed, <uint64_t>error)
            push_event(events, EV_REC_FAILED, 0, recorder.id, error, recorder.file_samples, NULL)
    if recorder.failed:
        # Keep the ring turning, so that the engine never finds it full.
        store_release(&recorder.written, load_acquire(&recorder.flush_to))
    if last:
        # The control side frees it on this event.
        push_event(events, EV_REC_DONE, 0, recorder.id, <long long>recorder.failed, recorder.file_samples, NULL)
    else:
        store_release(&recorder.served, served)


cdef void run_writer(WriterQueue* queue, EventRing* events, uint64_t* running) noexcept nogil:
    """Serve the queue until `running` is 0 and nothing is left."""
    cdef uint8_t* scratch = <uint8_t*>calloc(SCRATCH_SAMPLES, 4)
    cdef uint64_t count = 0
    cdef pollfd waiting
    cdef Recorder* recorder
    if scratch == NULL:
        return
    while True:
        while queue.tail != load_acquire(&queue.head):
            recorder = queue.slots[queue.tail & (EVENT_SLOTS - 1)]
            serve_recorder(recorder, events, scratch)
            store_release(&queue.tail, queue.tail + 1)
        wake_events(events)
        if not load_acquire(running):
            break
        waiting.fd = queue.wake_fd
        waiting.events = <short>POLLIN
        waiting.revents = 0
        if poll(&waiting, 1, 1000) > 0 and read(queue.wake_fd, &count, 8) < 0:
            continue
    free(scratch)


def make_header(format: str, rate: int, samples: int) -> bytes:
    """The header the writer puts before `samples` stereo samples (for tests: it must be that of :mod:`media.wav`)."""
    cdef Recorder recorder
    cdef uint8_t[128] header
    memset(&recorder, 0, sizeof(Recorder))
    recorder.format = {"pcm16": 0, "pcmu": 1, "pcma": 2}[format]
    recorder.rate = rate
    recorder.file_samples = samples
    return (<char*>header)[:build_header(&recorder, header)]
