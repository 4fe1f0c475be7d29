"""Recording: audio into a ring by the engine thread, from the ring to the file by the writer thread."""

from libc.stdint cimport int16_t, int64_t, uint8_t, uint32_t, uint64_t

from media.engine.types cimport EventRing, Loop, Recorder, WriterQueue

cdef int64_t recorder_position(Recorder* recorder, int64_t now) noexcept nogil
cdef void record_codes(Recorder* recorder, int side, int law, uint32_t ssrc, uint32_t ts, const uint8_t* data, int count,
                       int64_t now) noexcept nogil
cdef void record_samples(Recorder* recorder, int side, uint32_t ssrc, uint32_t ts, uint32_t clock, const int16_t* samples,
                         int count, uint32_t rate, int64_t now) noexcept nogil
cdef void blank_ahead(Recorder* recorder, int64_t position) noexcept nogil
cdef bint publish_block(Loop* loop, Recorder* recorder, int64_t now) noexcept nogil
cdef void publish_end(Loop* loop, Recorder* recorder, int64_t now) noexcept nogil
cdef int build_header(Recorder* recorder, uint8_t* header) noexcept nogil
cdef void run_writer(WriterQueue* queue, EventRing* events, uint64_t* running) noexcept nogil
