"""The legs of this gateway, by the name call control gave them and by the engine's number."""

from __future__ import annotations

from dataclasses import dataclass, field

from media.control.routing import G711_KINDS, LegView
from media.engine.terms import KIND_BY_NAME, CodecSpec, LegSetup
from media.protocol import Codec, ConfigureLeg, Srtp

SUPPORTED = frozenset({"PCMU", "PCMA", "G722", "OPUS", "L16"})


class UnknownObject(LookupError):
    """No leg, bridge, player or recording has that id."""


@dataclass(slots=True, eq=False)
class LegRecord:
    """One leg as call control asked for it."""

    name: str
    call: str
    number: int
    port: int
    family: str
    configured: ConfigureLeg | None = None
    codecs: tuple[CodecSpec, ...] = ()
    receives: int = -1
    """Kind of the codec the peer last used; -1 before its first packet."""
    bridge: str = ""
    mixed_players: int = 0
    detect: frozenset[str] = frozenset()
    """Detectors call control asked for."""
    speech_players: int = 0
    """Players that end when the leg speaks: they need the talk detector."""
    listening: bool = False
    """Utterances are cut out of what comes from it."""
    talking: bool = False
    """As the talk detector said last."""
    ears: tuple[int, frozenset[str]] = (0, frozenset())
    """Rate and detectors the engine has now."""
    recordings: list[str] = field(default_factory=list)
    players: list[str] = field(default_factory=list)
    opened: float = 0.0
    reported: float = 0.0

    @property
    def sends(self) -> int:
        return self.codecs[0].kind

    @property
    def law(self) -> int:
        """The law of G.711 the leg is sent, -1 for another codec."""
        return self.sends if self.sends in G711_KINDS else -1

    def wanted_ears(self) -> tuple[int, frozenset[str]]:
        wants = self.detect | {"talk"} if self.speech_players or self.listening else self.detect
        return (self.codecs[0].pcm_rate if wants else 0, wants)

    def view(self) -> LegView:
        spec = self.codecs[0]
        wide = spec.kind not in G711_KINDS
        return LegView(
            number=self.number,
            sends=spec.kind,
            receives=self.receives if self.receives >= 0 else spec.kind,
            clock_rate=spec.clock_rate,
            channels=spec.channels,
            must_mix=bool(self.mixed_players) or (wide and bool(self.recordings)),
            must_decode=(wide and bool(self.recordings)) or bool(self.ears[1]),
        )


class LegTable:
    """All legs. Names are reusable as soon as a leg is closed, numbers are not."""

    def __init__(self) -> None:
        self._by_name: dict[str, LegRecord] = {}
        self._by_number: dict[int, LegRecord] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._by_name)

    def records(self) -> list[LegRecord]:
        return list(self._by_name.values())

    def next_number(self) -> int:
        self._last += 1
        return self._last

    def add(self, record: LegRecord) -> None:
        self._by_name[record.name] = record
        self._by_number[record.number] = record

    def find(self, name: str) -> LegRecord:
        """Raises UnknownObject."""
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownObject(f"no leg {name!r}") from None

    def get(self, name: str) -> LegRecord | None:
        return self._by_name.get(name)

    def numbered(self, number: int) -> LegRecord | None:
        """The leg of an engine event; also one that was closed and has not gone yet."""
        return self._by_number.get(number)

    def close(self, record: LegRecord) -> None:
        if self._by_name.get(record.name) is record:
            del self._by_name[record.name]

    def forget(self, number: int) -> None:
        self._by_number.pop(number, None)


def read_codec(codec: Codec) -> CodecSpec:
    """Raises ValueError for one this gateway cannot handle."""
    name = codec.name.upper()
    if name not in SUPPORTED:
        raise ValueError(f"codec {codec.name!r} is not supported")
    if not 0 <= codec.payload_type <= 127:
        raise ValueError(f"payload type {codec.payload_type} is not one")
    if name == "L16":
        if codec.clock_rate not in (8000, 16000) or codec.channels != 1:
            raise ValueError(f"L16 of {codec.clock_rate} Hz and {codec.channels} channels is not supported")
        rate = codec.clock_rate
    else:
        rate = 8000 if name in ("PCMU", "PCMA") else 16000
    clock = {"OPUS": 48000, "L16": codec.clock_rate}.get(name, 8000)
    return CodecSpec(KIND_BY_NAME[name], codec.payload_type, clock, codec.channels, rate, codec.fmtp)


def read_setup(command: ConfigureLeg, before: ConfigureLeg | None) -> LegSetup:
    """The engine's form of a configuration. Raises ValueError naming what is wrong with it."""
    if not command.codecs:
        raise ValueError("a leg needs at least one codec")
    if not 0 <= command.remote_port <= 65535:
        raise ValueError(f"port {command.remote_port} is not one")
    moved = before is None or (before.remote_address, before.remote_port) != (
        command.remote_address,
        command.remote_port,
    )
    return LegSetup(
        remote_address=command.remote_address,
        remote_port=command.remote_port,
        codecs=tuple(read_codec(codec) for codec in command.codecs),
        dtmf_payload_type=-1 if command.dtmf_payload_type is None else command.dtmf_payload_type,
        cn_payload_type=-1 if command.cn_payload_type is None else command.cn_payload_type,
        send=command.send,
        receive=command.receive,
        ptime_ms=command.ptime_ms,
        rtcp_mux=command.rtcp_mux,
        srtp_send=_keys(command.srtp_send),
        srtp_receive=_keys(command.srtp_receive),
        lock_source=command.lock_source,
        timeout_ms=command.timeout_ms,
        detect=frozenset(command.detect) | ({"dtmf"} if command.dtmf_inband else set()),
        remote_changed=moved,
    )


def _keys(srtp: Srtp | None) -> tuple[str, bytes] | None:
    return None if srtp is None else (srtp.suite, srtp.key)
