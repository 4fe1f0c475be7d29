"""Bounded single-producer, single-consumer rings between the engine's threads and the control side.

A producer that finds a ring full is told so; nothing waits. ``wake`` writes the ring's eventfd once for
everything pushed since the last wake.
"""

from libc.stdint cimport uint64_t
from posix.unistd cimport write

from media.engine.types cimport (
    COMMAND_SLOTS,
    Command,
    CommandRing,
    EVENT_SLOTS,
    Event,
    EventRing,
    Recorder,
    WriterQueue,
)


cdef extern from *:
    """
    #include <stdint.h>
    static inline uint64_t tandem_load(uint64_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
    static inline void tandem_store(uint64_t *p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
    """
    uint64_t load_acquire "tandem_load"(uint64_t* pointer) noexcept nogil
    void store_release "tandem_store"(uint64_t* pointer, uint64_t value) noexcept nogil


cdef inline void signal_fd(int fd) noexcept nogil:
    cdef uint64_t one = 1
    cdef ssize_t done = write(fd, &one, 8)
    # A full eventfd counter means that the reader has not looked yet: it is awake anyway.
    if done < 0:
        return


cdef inline Event* begin_event(EventRing* ring) noexcept nogil:
    """The next free slot, or NULL. `commit_event` hands it over."""
    cdef uint64_t head = ring.head
    if head - load_acquire(&ring.tail) >= EVENT_SLOTS:
        ring.dropped += 1
        return NULL
    return &ring.slots[head & (EVENT_SLOTS - 1)]


cdef inline void commit_event(EventRing* ring) noexcept nogil:
    store_release(&ring.head, ring.head + 1)
    ring.pending = 1


cdef inline int push_event(EventRing* ring, int type, unsigned int leg, long long a, long long b, long long c,
                           void* pointer) noexcept nogil:
    cdef Event* event = begin_event(ring)
    if event == NULL:
        return 0
    event.type = type
    event.leg = leg
    event.a = a
    event.b = b
    event.c = c
    event.pointer = pointer
    event.family = 0
    commit_event(ring)
    return 1


cdef inline void wake_events(EventRing* ring) noexcept nogil:
    if ring.pending:
        ring.pending = 0
        signal_fd(ring.wake_fd)


cdef inline Command* begin_command(CommandRing* ring) noexcept nogil:
    if ring.head - load_acquire(&ring.tail) >= COMMAND_SLOTS:
        return NULL
    return &ring.slots[ring.head & (COMMAND_SLOTS - 1)]


cdef inline void commit_command(CommandRing* ring) noexcept nogil:
    store_release(&ring.head, ring.head + 1)
    signal_fd(ring.wake_fd)


cdef inline int push_recorder(WriterQueue* queue, Recorder* recorder) noexcept nogil:
    """Tell the writer that `recorder.flush_to` moved. Returns 0 when the queue is full: try again later."""
    if queue.head - load_acquire(&queue.tail) >= EVENT_SLOTS:
        return 0
    queue.slots[queue.head & (EVENT_SLOTS - 1)] = recorder
    store_release(&queue.head, queue.head + 1)
    return 1
