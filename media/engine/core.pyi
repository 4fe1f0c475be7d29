"""The engine as the control side sees it: objects by number, audio by :class:`Clip`, facts by :meth:`Engine.drain`."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from media.engine.handover import Clip
from media.engine.terms import CodecSpec, LegSetup, RouteSpec

class RingFull(RuntimeError):
    """The engine has not kept up with the commands; the command was not carried out."""

class Engine:
    def __init__(
        self,
        first_port: int,
        last_port: int,
        address4: str,
        address6: str = "",
        capacity: int = 4000,
        drain_s: float = 10.0,
        rtcp_interval_s: int = 5,
        seed: int = 1,
    ) -> None:
        """Raises OSError when the kernel refuses epoll, timer or event descriptors."""
    capacity: int
    coder_factory: Callable[[CodecSpec], tuple[object, int] | None] | None

    @property
    def event_fd(self) -> int:
        """Readable when :meth:`drain` has something."""
    slot_legs: int
    """How many legs that hear prompts share a slot before another is opened; before the start."""

    @property
    def leg_count(self) -> int: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def open_leg(self, leg: int, family: str, ssrc: int, seq: int, ts: int) -> int:
        """Bind a port pair; returns the RTP port. Raises PortsExhausted, RingFull, OSError."""
    def configure_leg(self, leg: int, setup: LegSetup) -> None:
        """Raises KeyError, ValueError (address, SRTP suite or key), RingFull."""
    def confirm(self, number: int) -> None:
        """Have ``("confirmed", 0, number)`` reported when every command before this one has been obeyed."""
    def close_leg(self, leg: int) -> None: ...
    def set_ears(self, leg: int, rate: int, wants: Iterable[str]) -> None:
        """Replace the leg's detectors: talk, dtmf, fax, answering_machine, progress; empty for none."""
    def start_tap(self, leg: int) -> None:
        """Have the leg's decoded audio kept for :meth:`read_tap`; one that runs is replaced.

        Only a leg whose route is decoding has any."""
    def stop_tap(self, leg: int) -> None: ...
    def read_tap(self, leg: int) -> bytes:
        """16-bit host-order samples that came since the last time; empty without a tap."""
    def set_routes(self, routes: Sequence[RouteSpec]) -> None:
        """Swap tables of several legs in one step. Raises KeyError, RingFull."""
    def play(
        self,
        leg: int,
        player: int,
        clips: Sequence[tuple[Clip, int]],
        loop: bool,
        mixed: bool,
        linear: bool,
        stop_digits: str,
        stop_on_speech: bool,
        enqueue: bool,
        bytes_per_ms: int,
    ) -> None: ...
    def stop_play(self, leg: int, player: int) -> None: ...
    def control_play(self, leg: int, player: int, pause: bool | None, seek_ms: int, gain: float | None) -> None: ...
    def send_digits(self, leg: int, digits: str, duration_ms: int, gap_ms: int, inband: bool, batch: int) -> None: ...
    def start_recording(self, recorder: int, leg: int, fd: int, format: str, law: int, rate: int) -> None:
        """Record into the open file `fd`, which stays the caller's. `law` 0 or 1: the ring keeps G.711; -1: linear."""
    def set_recording(self, recorder: int, leg: int, state: int) -> None:
        """0 record, 1 pause, 2 mask, 3 report the offset."""
    def stop_recording(self, recorder: int, leg: int) -> None: ...
    def recorded_samples(self, recorder: int) -> int:
        """How much of the recorder's time line is in the file."""
    def lateness(self) -> tuple[tuple[int, ...], int, float]:
        """How late ticks and slots came since the start: how many up to each of LATENESS_BOUNDS_US (`engine.pace`) and
        above the one before it, how many beyond the last, and the sum in seconds."""
    def stats(self, leg: int) -> dict[str, Any]: ...
    def drain(self, now: float) -> list[tuple[Any, ...]]:
        """Everything that happened since the last call, in order:

        ``("digit", leg, character, method)``, ``("play", leg, player, reason, played_ms)``,
        ``("digits_sent", leg, batch)``, ``("started", leg, address, port)``, ``("timeout", leg, silent_ms)``,
        ``("intruder", leg, address, port, packets)``, ``("gone", leg, stats)``, ``("codec", leg, kind)``,
        ``("confirmed", 0, number)``,
        ``("rec_state", recorder, state, offset)``, ``("rec_done", recorder, errno, samples)``,
        ``("rec_failed", recorder, errno)``, ``("overrun", late_us, count)``,
        ``("talk", leg, on, talked_ms, tapped)``, ``("tap", leg)``,
        ``("detected", leg, what, after_ms)``.
        """
