"""SIP counters for Prometheus: plain numbers by label values, filled from what goes in and out of the stack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from .commands import Flow
from .events import Dropped, Transmit

_METHODS = frozenset(
    b"INVITE ACK BYE CANCEL OPTIONS REGISTER PRACK UPDATE INFO REFER NOTIFY SUBSCRIBE MESSAGE PUBLISH".split()
)
_PEER = ("direction", "transport", "trunk")
_FAMILIES: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "tandem_sip_requests_total": ("SIP requests by method, direction, transport and trunk", ("method", *_PEER)),
    "tandem_sip_responses_total": (
        "SIP responses by code, method, direction, transport and trunk",
        ("code", "method", *_PEER),
    ),
    "tandem_sip_retransmissions_total": ("SIP messages sent again", ("transport",)),
    "tandem_sip_dropped_total": ("SIP packets that were not acted on, by reason", ("reason",)),
}
"""Help and names of the labels."""


class Sample(NamedTuple):
    """One number; has the fields of ``pbx.ports.backend.Metric``."""

    name: str
    help: str
    value: float
    labels: dict[str, str]


class SipCounters:
    """``trunk_of`` names the trunk at a peer's address, empty for phones; label values are bounded."""

    def __init__(self, trunk_of: Callable[[str], str] = lambda host: "") -> None:
        self._trunk_of = trunk_of
        self._counts: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in _FAMILIES}
        """By the values of the labels."""
        self._requests = self._counts["tandem_sip_requests_total"]
        self._responses = self._counts["tandem_sip_responses_total"]

    def received(self, data: bytes, flow: Flow) -> None:
        """A packet from the network."""
        self._count_message(data, flow, "in")

    def sent(self, output: Transmit) -> None:
        self._count_message(output.data, output.flow, "out")
        if output.note == "retransmission":
            self._counts["tandem_sip_retransmissions_total"][(output.flow.transport,)] += 1

    def dropped(self, output: Dropped) -> None:
        counter = self._counts["tandem_sip_dropped_total"]
        key = (output.reason[:40],)
        # Reasons are ours, but some quote the peer: no more than so many of them.
        counter[key if key in counter or len(counter) < 100 else ("other",)] += 1

    def samples(self) -> Iterator[Sample]:
        """All numbers, for the exporter."""
        for name, counter in self._counts.items():
            text, labels = _FAMILIES[name]
            for key, value in sorted(counter.items()):
                yield Sample(name, text, float(value), dict(zip(labels, key, strict=True)))

    def _count_message(self, data: bytes, flow: Flow, direction: str) -> None:
        trunk = self._trunk_of(flow.host)
        if data.startswith(b"SIP/2.0 "):
            code = data[8:11]
            if len(code) == 3 and code.isdigit() and b"1" <= code[:1] <= b"6":
                self._responses[(code.decode(), _find_method(data), direction, flow.transport, trunk)] += 1
            return
        verb = data[:12].partition(b" ")[0]
        name = verb.decode() if verb in _METHODS else "other"
        self._requests[(name, direction, flow.transport, trunk)] += 1


def _find_method(response: bytes) -> str:
    at = response.find(b"\r\nCSeq:")
    if at < 0:
        return "other"
    method = response[at + 7 : at + 40].partition(b"\r\n")[0].strip().rpartition(b" ")[2]
    return method.decode() if method in _METHODS else "other"
