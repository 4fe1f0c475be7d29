"""The door between the control side (asyncio, one Python thread) and the engine's threads.

Every structure is built for it (`orders`), handed over by a command and freed here when an event brings it back. What
is left of the events are facts (`reports`). The engine thread and the writer thread are Python threads that give the
GIL away for good before they start working.
"""

import contextlib
import errno as errors
import os
import socket as sockets
import threading
from collections import deque

cimport cython
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset
from posix.unistd cimport close

from media.engine.belongings cimport Belongings
from media.engine.ears cimport close_ears, open_ears
from media.engine.handover cimport drop_all, fill_route, free_leg, free_recorder, new_leg, read_stats
from media.engine.kernel cimport (
    CLOCK_MONOTONIC, EFD_CLOEXEC, EFD_NONBLOCK, EPOLLIN, EPOLL_CLOEXEC, EPOLL_CTL_ADD, TFD_CLOEXEC, TFD_NONBLOCK,
    epoll_create1, epoll_ctl, epoll_event, eventfd, timerfd_create,
)
from media.engine.loop cimport monotonic_ns, run_loop
from media.engine.orders cimport fill_config, new_digits, new_player, new_recorder
from media.engine.output cimport open_output
from media.engine.recorder cimport build_header, run_writer
from media.engine.reports cimport read_event
from media.engine.rings cimport begin_command, commit_command, load_acquire, store_release
from media.engine.ports import PortPool, PortsExhausted
from media.engine.tap cimport read_tap
from media.engine.terms import EAR_BITS
from media.engine.types cimport (
    CMD_ADD, CMD_CONFIGURE, CMD_CONFIRM, CMD_CONTROL_PLAY, CMD_DIGITS, CMD_EARS, CMD_PLAY, CMD_RECORD, CMD_REC_STATE,
    CMD_REC_STOP, CMD_REMOVE, CMD_ROUTES, CMD_STOP, CMD_STOP_PLAY, CMD_TAP, COMMAND_SLOTS, Command, DigitOut,
    EVENT_SLOTS, EV_FREE, EV_FREE_CODER, EV_FREE_EARS, EV_FREE_SRTP, EV_FREE_TAP, EV_LEG_GONE, EV_PLAYER_FREE,
    EV_REC_DONE, Event, EventRing, HEADROOM, KIND_NONE, LATENESS_BOUNDS, Leg, LegConfig, Loop, PACKET_BYTES, Player,
    Recorder, Route, SLOTS, Tap,
)


ENGINE_NICE = -11
# About a millisecond of work; a slot more is fifty wake-ups a second more.
SLOT_LEGS = 256


class RingFull(RuntimeError):
    """The engine has not kept up with the commands; the command was not carried out."""


# The destructor walks the tables: the collector must not empty them before.
@cython.no_gc_clear
cdef class Engine:
    """One engine thread, one writer thread, and the tables of what they were given."""

    cdef Loop loop
    cdef EventRing writer_events
    cdef uint64_t writer_running
    cdef dict _legs             # number -> address of Leg
    cdef dict _families
    cdef dict _players          # number -> clips kept alive
    cdef dict _recorders        # number -> address of Recorder
    cdef dict _taps             # leg -> address of the Tap the engine has or will have
    cdef Belongings _belongings
    cdef object _draining       # (release time, leg address)
    cdef object _ports
    cdef list _threads
    cdef str _address4
    cdef str _address6
    cdef double _drain_s
    cdef readonly int capacity
    cdef public object coder_factory

    def __cinit__(self, int first_port, int last_port, str address4, str address6="", int capacity=4000,
                  double drain_s=10.0, int rtcp_interval_s=5, uint32_t seed=1):
        cdef int i
        memset(&self.loop, 0, sizeof(Loop))
        memset(&self.writer_events, 0, sizeof(EventRing))
        self.loop.epoll_fd = self.loop.timer_fd = -1
        self.loop.commands.wake_fd = self.loop.events.wake_fd = self.loop.writer.wake_fd = -1
        self._legs = {}
        self._families = {}
        self._players = {}
        self._recorders = {}
        self._taps = {}
        self._belongings = Belongings()
        self._draining = deque()
        self._ports = PortPool(first_port, last_port)
        self._threads = []
        self._address4 = address4
        self._address6 = address6
        self._drain_s = drain_s
        self.capacity = min(capacity, self._ports.size)
        self.coder_factory = None
        self.loop.rtcp_interval_s = rtcp_interval_s
        self.loop.seed = seed
        self.loop.leg_capacity = self.capacity
        self.loop.slot_legs = SLOT_LEGS
        self.loop.commands.slots = <Command*>calloc(COMMAND_SLOTS, sizeof(Command))
        self.loop.events.slots = <Event*>calloc(EVENT_SLOTS, sizeof(Event))
        self.loop.writer.slots = <Recorder**>calloc(EVENT_SLOTS, sizeof(void*))
        self.writer_events.slots = <Event*>calloc(EVENT_SLOTS, sizeof(Event))
        self.loop.legs = <Leg**>calloc(self.capacity + 1, sizeof(void*))
        # Room for all legs in each roster: pages that nobody uses cost nothing.
        self.loop.tick.legs = <Leg**>calloc((self.capacity + 1) * (1 + SLOTS), sizeof(void*))
        if self.loop.tick.legs != NULL:
            for i in range(SLOTS):
                self.loop.slots[i].legs = self.loop.tick.legs + (self.capacity + 1) * (i + 1)
        self.loop.packet = <uint8_t*>calloc(1, HEADROOM + 2 * PACKET_BYTES)
        if NULL in (self.loop.commands.slots, self.loop.events.slots, self.loop.writer.slots,
                    self.writer_events.slots, self.loop.legs, self.loop.tick.legs, self.loop.packet):
            raise MemoryError
        self._open_descriptors()

    cdef int _open_descriptors(self) except -1:
        cdef epoll_event event
        self.loop.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
        self.loop.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
        self.loop.commands.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        self.loop.events.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        self.loop.writer.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        self.writer_events.wake_fd = self.loop.events.wake_fd
        if min(self.loop.epoll_fd, self.loop.timer_fd, self.loop.commands.wake_fd, self.loop.events.wake_fd,
               self.loop.writer.wake_fd) < 0:
            raise OSError(errors.EMFILE, "no descriptors left for the media engine")
        event.events = EPOLLIN
        event.data.u64 = 1
        epoll_ctl(self.loop.epoll_fd, EPOLL_CTL_ADD, self.loop.timer_fd, &event)
        event.data.u64 = 2
        epoll_ctl(self.loop.epoll_fd, EPOLL_CTL_ADD, self.loop.commands.wake_fd, &event)
        return 0

    def __dealloc__(self):
        # The threads hold a reference: here they have ended.
        self._free_all()
        for fd in (self.loop.epoll_fd, self.loop.timer_fd, self.loop.commands.wake_fd, self.loop.events.wake_fd,
                   self.loop.writer.wake_fd):
            if fd >= 0:
                close(fd)
        free(self.loop.commands.slots)
        free(self.loop.events.slots)
        free(self.loop.writer.slots)
        free(self.writer_events.slots)
        free(self.loop.legs)
        free(self.loop.tick.legs)
        free(self.loop.packet)

    # --- threads ------------------------------------------------------------------------------------------

    @property
    def event_fd(self):
        return self.loop.events.wake_fd

    @property
    def slot_legs(self):
        return self.loop.slot_legs

    @slot_legs.setter
    def slot_legs(self, int legs):
        self.loop.slot_legs = legs

    @property
    def leg_count(self):
        return len(self._legs)

    def start(self):
        """Start both threads; the first tick is 20 ms from then."""
        store_release(&self.loop.running, 1)
        store_release(&self.writer_running, 1)
        for name, run in (("media-engine", self._run_engine), ("media-writer", self._run_writer)):
            thread = threading.Thread(target=run, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self):
        """Stop both threads and close all sockets; the writer finishes what it was given first."""
        if not self._threads:
            return
        self._push(CMD_STOP, NULL, 0, 0, 0, 0.0, NULL)
        self._threads[0].join()
        store_release(&self.writer_running, 0)
        os.eventfd_write(self.loop.writer.wake_fd, 1)
        self._threads[1].join()
        self._threads.clear()
        self._free_all()

    cdef int _free_all(self) except -1:
        for address in self._legs.values():
            free_leg(<Leg*><uintptr_t>address)
        for _, address in self._draining:
            free_leg(<Leg*><uintptr_t>address)
        for address in self._recorders.values():
            free_recorder(<Recorder*><uintptr_t>address)
        self._legs.clear()
        self._draining.clear()
        self._recorders.clear()
        return 0

    def _run_engine(self):
        # Ahead of everything that is not voice, where the system lets us (root, CAP_SYS_NICE or a nice limit).
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), ENGINE_NICE)
        with nogil:
            run_loop(&self.loop)

    def _run_writer(self):
        with nogil:
            run_writer(&self.loop.writer, &self.writer_events, &self.writer_running)

    cdef int _push(self, int type, Leg* leg, int64_t a, int64_t b, int64_t c, double gain, void* pointer) except -1:
        cdef Command* command = begin_command(&self.loop.commands)
        if command == NULL:
            raise RingFull("the media engine does not keep up with its commands")
        command.type = type
        command.leg = leg
        command.a = a
        command.b = b
        command.c = c
        command.gain = gain
        command.pointer = pointer
        commit_command(&self.loop.commands)
        return 0

    cdef Leg* _leg(self, object number) except NULL:
        return <Leg*><uintptr_t>self._legs[number]

    # --- legs ---------------------------------------------------------------------------------------------

    def open_leg(self, int leg, str family, uint32_t ssrc, uint16_t seq, uint32_t ts):
        cdef Leg* fresh
        cdef int native = sockets.AF_INET6 if family == "ipv6" else sockets.AF_INET
        cdef str address = self._address6 if family == "ipv6" else self._address4
        if not address:
            raise ValueError(f"this gateway has no {family} address")
        if len(self._legs) >= self.capacity:
            raise PortsExhausted(errors.EAGAIN, "the gateway holds as many legs as it may")
        self._release_drained()
        rtp_fd, rtcp_fd, port = self._ports.bind(native, address)
        fresh = new_leg()
        if fresh == NULL:
            os.close(rtp_fd)
            os.close(rtcp_fd)
            raise MemoryError
        fresh.rtp_fd = rtp_fd
        fresh.rtcp_fd = rtcp_fd
        fresh.guard_fd = -1
        fresh.handle = leg
        fresh.index = port
        fresh.incoming.kind = KIND_NONE
        fresh.rtcp.round_trip_us = -1
        fresh.rtcp.remote_lost = -1
        fresh.opened_ns = monotonic_ns()
        open_output(fresh, ssrc, seq, ts)
        try:
            self._push(CMD_ADD, fresh, 0, 0, 0, 0.0, NULL)
        except RingFull:
            free_leg(fresh)
            self._ports.release(port)
            raise
        self._legs[leg] = <uintptr_t>fresh
        self._families[leg] = (native, port)
        return port

    def configure_leg(self, int leg, setup):
        cdef Leg* target = self._leg(leg)
        cdef Command* command
        cdef LegConfig config
        family, _ = self._families[leg]
        fill_config(&config, setup, family)
        command = begin_command(&self.loop.commands)
        if command == NULL:
            raise RingFull("the media engine does not keep up with its commands")
        self._belongings.fit(leg, setup, self.coder_factory, &config)
        command.type = CMD_CONFIGURE
        command.leg = target
        command.config = config
        commit_command(&self.loop.commands)

    def confirm(self, int64_t number):
        self._push(CMD_CONFIRM, NULL, number, 0, 0, 0.0, NULL)

    def close_leg(self, int leg):
        self._push(CMD_REMOVE, self._leg(leg), 0, 0, 0, 0.0, NULL)

    def _release_drained(self, float now=-1.0):
        """Close the sockets whose time is up and give their ports back."""
        cdef Leg* old
        if now < 0:
            now = monotonic_ns() / 1e9
        while self._draining and self._draining[0][0] <= now:
            _, address = self._draining.popleft()
            old = <Leg*><uintptr_t>address
            self._ports.release(old.index)
            free_leg(old)

    def set_ears(self, int leg, uint32_t rate, wants):
        """Replace the leg's detectors; `wants` of talk, dtmf, fax, answering_machine, progress, empty for none."""
        cdef Leg* target = self._leg(leg)
        cdef int bits = 0
        cdef void* fresh = NULL
        for name in wants:
            bits |= EAR_BITS[name]
        if bits:
            fresh = open_ears(rate, bits)
            if fresh == NULL:
                raise MemoryError
        try:
            self._push(CMD_EARS, target, 0, 0, 0, 0.0, fresh)
        except RingFull:
            close_ears(fresh)
            raise

    def start_tap(self, int leg):
        """Have the leg's decoded audio kept for `read_tap`; a running tap is replaced."""
        cdef Leg* target = self._leg(leg)
        cdef Tap* fresh = <Tap*>calloc(1, sizeof(Tap))
        if fresh == NULL:
            raise MemoryError
        try:
            self._push(CMD_TAP, target, 0, 0, 0, 0.0, fresh)
        except RingFull:
            free(fresh)
            raise
        self._taps[leg] = <uintptr_t>fresh

    def stop_tap(self, int leg):
        self._push(CMD_TAP, self._leg(leg), 0, 0, 0, 0.0, NULL)
        self._taps.pop(leg, None)

    def read_tap(self, int leg):
        """16-bit host-order samples that came since the last time; empty without a tap."""
        address = self._taps.get(leg)
        return b"" if address is None else read_tap(<Tap*><uintptr_t>address)

    # --- bridges ------------------------------------------------------------------------------------------

    def set_routes(self, routes):
        cdef int count = len(routes)
        cdef Route* table = <Route*>calloc(count + 1, sizeof(Route))
        if table == NULL:
            raise MemoryError
        try:
            for i, spec in enumerate(routes):
                fill_route(self._legs, &table[i], spec)
            self._push(CMD_ROUTES, NULL, count, 0, 0, 0.0, table)
        except BaseException:
            for i in range(count):
                free(table[i].hearing)
                free(table[i].sinks)
                free(table[i].jitter)
            free(table)
            raise

    # --- players ------------------------------------------------------------------------------------------

    def play(self, int leg, uint32_t player, clips, bint loop, bint mixed, bint linear, str stop_digits,
             bint stop_on_speech, bint enqueue, int bytes_per_ms):
        cdef Leg* target = self._leg(leg)
        cdef Player* fresh = new_player(player, clips, loop, mixed, linear, stop_digits, stop_on_speech, bytes_per_ms)
        try:
            self._push(CMD_PLAY, target, enqueue, 0, 0, 0.0, fresh)
        except RingFull:
            free(fresh)
            raise
        self._players[player] = tuple(clips)

    def stop_play(self, int leg, uint32_t player):
        self._push(CMD_STOP_PLAY, self._leg(leg), player, 0, 0, 0.0, NULL)

    def control_play(self, int leg, uint32_t player, pause, int seek_ms, gain):
        self._push(CMD_CONTROL_PLAY, self._leg(leg), player, -1 if pause is None else int(pause), seek_ms,
                   -1.0 if gain is None else gain, NULL)

    def send_digits(self, int leg, str digits, int duration_ms, int gap_ms, bint inband, uint32_t batch):
        cdef Leg* target = self._leg(leg)
        cdef DigitOut* fresh = new_digits(digits, duration_ms, gap_ms, inband, batch,
                                          target.config.codecs[0].clock_rate or 8000)
        try:
            self._push(CMD_DIGITS, target, 0, 0, 0, 0.0, fresh)
        except RingFull:
            free(fresh)
            raise

    # --- recorders ----------------------------------------------------------------------------------------

    def start_recording(self, uint32_t recorder, int leg, int fd, str format, int law, uint32_t rate):
        cdef Leg* target = self._leg(leg)
        cdef uint8_t[128] header
        cdef Recorder* fresh = new_recorder(recorder, fd, format, law, rate)
        fresh.header_bytes = build_header(fresh, header)
        try:
            os.pwrite(fd, header[:fresh.header_bytes], 0)
            self._push(CMD_RECORD, target, 0, 0, 0, 0.0, fresh)
        except (OSError, RingFull):
            free_recorder(fresh)
            raise
        self._recorders[recorder] = <uintptr_t>fresh

    def set_recording(self, uint32_t recorder, int leg, int state):
        self._push(CMD_REC_STATE, self._leg(leg), recorder, state, 0, 0.0, NULL)

    def stop_recording(self, uint32_t recorder, int leg):
        self._push(CMD_REC_STOP, self._leg(leg), recorder, 0, 0, 0.0, NULL)

    def recorded_samples(self, uint32_t recorder):
        """Samples that are safely in the file's time line so far."""
        cdef Recorder* target = <Recorder*><uintptr_t>self._recorders[recorder]
        return <int64_t>load_acquire(&target.written)

    # --- what happened ------------------------------------------------------------------------------------

    def stats(self, int leg):
        """Counters of a leg, read while the engine writes them: each is right, the set may be a packet apart."""
        return read_stats(self._leg(leg))

    def lateness(self):
        """How late ticks and slots came since the start: counts for LATENESS_BOUNDS_US, those beyond, total seconds."""
        cdef int i
        counts = [self.loop.lateness[i] for i in range(LATENESS_BOUNDS)]
        return tuple(counts), self.loop.lateness[LATENESS_BOUNDS], self.loop.late_ns / 1e9

    def drain(self, double now):
        cdef list out = []
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.loop.events.wake_fd)
        self._drain_ring(&self.loop.events, now, out)
        self._drain_ring(&self.writer_events, now, out)
        self._release_drained(now)
        return out

    cdef int _drain_ring(self, EventRing* ring, double now, list out) except -1:
        cdef Event* event
        while ring.tail != load_acquire(&ring.head):
            event = &ring.slots[ring.tail & (EVENT_SLOTS - 1)]
            try:
                self._take(event, now, out)
            finally:
                store_release(&ring.tail, ring.tail + 1)
        return 0

    cdef int _take(self, Event* event, double now, list out) except -1:
        """Take back what is ours to free or forget; what is left is a fact for the control side."""
        cdef int type = event.type
        if type == EV_FREE or type == EV_FREE_TAP:
            free(event.pointer)
        elif type == EV_PLAYER_FREE:
            self._players.pop(event.a, None)
            free(event.pointer)
        elif type == EV_LEG_GONE:
            self._take_gone(<Leg*>event.pointer, now, out)
        elif type == EV_FREE_SRTP:
            self._belongings.forget_session(event.pointer)
        elif type == EV_FREE_CODER:
            self._belongings.forget_coder(event.pointer)
        elif type == EV_FREE_EARS:
            close_ears(event.pointer)
        else:
            if type == EV_REC_DONE:
                free_recorder(<Recorder*><uintptr_t>self._recorders.pop(event.a))
            out.append(read_event(event))
        return 0

    cdef int _take_gone(self, Leg* leg, double now, list out) except -1:
        cdef uint32_t number = leg.handle
        out.append(("gone", number, read_stats(leg)))
        self._legs.pop(number, None)
        self._taps.pop(number, None)
        _, port = self._families.pop(number)
        self._belongings.forget_leg(number, &leg.config)
        leg.index = port
        drop_all(leg.rtp_fd)
        drop_all(leg.rtcp_fd)
        if leg.guard_fd >= 0:
            drop_all(leg.guard_fd)
        self._draining.append((now + self._drain_s, <uintptr_t>leg))
        return 0


