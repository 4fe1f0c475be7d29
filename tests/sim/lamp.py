"""A phone key with a lamp: subscribes by hand, answers challenges and NOTIFYs, keeps what it is told."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pbx.core.timers import Deadline
from pbx.sip.auth import answer_challenge
from pbx.sip.commands import Credentials, Flow
from pbx.sip.events import Output, Transmit
from pbx.sip.wire import Packet, read_packet


class Lamp:
    """Implements ``pbx.testing.netem.Node``."""

    def __init__(self, number: str, host: str, server: Flow, *, event: str, target: str) -> None:
        self.number, self.host, self.server, self.event, self.target = number, host, server, event, target
        self.answers: list[int] = []
        self.notifies: list[Packet] = []
        self.is_deaf = False
        """Does not answer NOTIFYs."""
        self._cseq = 0
        self._to = f"<sip:{target}@{server.host}>"
        self._expires = 0
        self._branch = 0
        self._counts: dict[str, int] = {}

    @property
    def bodies(self) -> list[str]:
        return [packet.body.decode() for packet in self.notifies]

    @property
    def last(self) -> str:
        return self.bodies[-1]

    @property
    def states(self) -> list[tuple[str, ...]]:
        """The ``state`` elements of every dialog-info document."""
        return [tuple(re.findall(r"<state>(\w+)</state>", body)) for body in self.bodies]

    def subscribe(self, expires: int = 600, proof: str = "", password: str = "") -> list[Output]:
        self._cseq += 1
        self._branch += 1
        self._expires = expires
        uri = f"sip:{self.target}@{self.server.host}"
        lines = [
            f"SUBSCRIBE {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.host}:5060;branch=z9hG4bK{self.number}{self._branch};rport",
            "Max-Forwards: 70",
            f"From: <sip:{self.number}@{self.server.host}>;tag=lamp",
            f"To: {self._to}",
            f"Call-ID: lamp-{self.host}",
            f"CSeq: {self._cseq} SUBSCRIBE",
            f"Contact: <sip:{self.number}@{self.host}:5060>",
            f"Event: {self.event}",
            f"Expires: {expires}",
            *([proof] if proof else []),
            "Content-Length: 0",
        ]
        return [self._send("\r\n".join(lines) + "\r\n\r\n")]

    def receive(self, packet: bytes, flow: Flow, now: float) -> Sequence[Output]:
        message, fault = read_packet(packet, flow)
        assert message is not None and fault is None, packet
        if not message.is_request:
            return self._on_answer(message)
        assert message.method == "NOTIFY"
        if self.is_deaf:
            return []
        if not self.notifies or message.cseq > self.notifies[-1].cseq:
            self.notifies.append(message)
        copied = "".join(
            f"{name}: {value}\r\n"
            for name in ("Via", "From", "To", "Call-ID", "CSeq")
            for value in message.headers.getlist(name.lower())
        )
        return [self._send(f"SIP/2.0 200 OK\r\n{copied}Content-Length: 0\r\n\r\n")]

    def expire(self, now: float) -> Sequence[Output]:
        return []

    def next_deadline(self) -> Deadline | None:
        return None

    def _on_answer(self, message: Packet) -> Sequence[Output]:
        self.answers.append(message.status)
        if message.status == 401:
            uri = f"sip:{self.target}@{self.server.host}"
            credentials = Credentials(self.number, f"secret-{self.number}")
            found = answer_challenge(message.response, "SUBSCRIBE", uri, credentials, self._counts, "c")
            assert found is not None
            return self.subscribe(self._expires, f"{found[0]}: {found[1]}")
        if message.status == 200:
            self._to = message.header("To")
        return []

    def _send(self, text: str) -> Transmit:
        return Transmit(flow=self.server, data=text.encode())
