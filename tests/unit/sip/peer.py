"""A peer made of bare messages, to say exactly what a stack hears and see exactly what it says."""

from __future__ import annotations

from typing import TypeVar

from sipmessage import Request, Response

from pbx.core.ids import SeededIds
from pbx.sip.commands import Accept, AnyCommand, Credentials, Flow, Hangup, Invite
from pbx.sip.events import IncomingCall, Origin, Output, Transmit
from pbx.sip.identity import Listener, LocalIdentity, Settings
from pbx.sip.policy import Trusted
from pbx.sip.stack import Stack
from pbx.sip.timing import Timing
from pbx.sip.wire import Packet, read_packet

HERE, PEER = "192.0.2.2", "192.0.2.1"
FLOW = Flow("udp", PEER, 5060, "udp")
OFFER = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
ANSWER = OFFER.replace(b"192.0.2.1", b"192.0.2.2")
LISTENERS = tuple(Listener(name, name, HERE, 5061 if name == "tls" else 5060) for name in ("udp", "tcp", "tls", "ws"))

T = TypeVar("T", bound=Output)


class TrustAs:
    def __init__(self, origin: Origin) -> None:
        self.origin = origin

    def identify(self, request: Request, flow: Flow) -> Trusted:
        return Trusted(self.origin)


def challenge_answerer(
    response: Response,
    method: str,
    uri: str,
    credentials: Credentials,
    nonce_counts: dict[str, int],
    cnonce: str,
) -> tuple[str, str] | None:
    """Stands in for digest: says whom it would prove to be."""
    nonce = response.headers["WWW-Authenticate" if response.code == 401 else "Proxy-Authenticate"]
    if nonce in nonce_counts:
        return None
    nonce_counts[nonce] = 1
    return "Authorization", f"Proof {credentials.username} {method} {uri} {nonce}"


class Peer:
    """Talks to one stack. ``now`` is the clock of both."""

    def __init__(
        self,
        *,
        flow: Flow = FLOW,
        settings: Settings | None = None,
        origin: Origin | None = None,
        timing: Timing | None = None,
        **machines: object,
    ) -> None:
        self.flow = flow
        self.now = 100.0
        self.stack = Stack(
            TrustAs(origin or Origin("trunk", "carrier")),
            LocalIdentity(listeners=LISTENERS),
            SeededIds(42),
            timing,
            settings=settings,
            **machines,  # type: ignore[arg-type]
        )
        self.sent: list[Packet] = []
        """What the stack transmitted."""
        self.raw: list[Transmit] = []
        self.events: list[Output] = []
        self._branch = 0
        self.call_id = "call-1@192.0.2.1"
        self.tag = "peer-tag"
        self.to_tag = ""
        self.cseq = 1
        self.invite_branch = ""

    # --- doing --------------------------------------------------------------------------------------------------

    def take(self, outputs: list[Output]) -> list[Output]:
        for output in outputs:
            if isinstance(output, Transmit):
                packet, fault = read_packet(output.data, output.flow)
                assert packet is not None and fault is None, (fault, output.data)
                self.sent.append(packet)
                self.raw.append(output)
            else:
                self.events.append(output)
        return outputs

    def receive(self, data: bytes, flow: Flow | None = None) -> list[Output]:
        return self.take(self.stack.receive(data, flow or self.flow, self.now))

    def command(self, command: AnyCommand) -> list[Output]:
        return self.take(self.stack.command(command, self.now))

    def wait(self, seconds: float) -> None:
        """Let time pass, timer by timer."""
        until = self.now + seconds
        while (deadline := self.stack.next_deadline()) is not None and deadline.at <= until:
            self.now = max(self.now, deadline.at)
            self.take(self.stack.expire(self.now))
        self.now = until

    def clear(self) -> None:
        self.sent.clear()
        self.raw.clear()
        self.events.clear()

    # --- seeing -------------------------------------------------------------------------------------------------

    def event(self, kind: type[T]) -> T:
        """The only event of this kind."""
        found = [event for event in self.events if isinstance(event, kind)]
        assert len(found) == 1, self.events
        return found[0]

    def lines(self) -> list[str]:
        """First words of what was sent: ``INVITE``, ``200 INVITE`` ..."""
        return [packet.method if packet.is_request else f"{packet.status} {packet.method}" for packet in self.sent]

    def last(self, line: str) -> Packet:
        """The latest message sent of that kind."""
        for packet in reversed(self.sent):
            if line == (packet.method if packet.is_request else f"{packet.status} {packet.method}"):
                return packet
        raise AssertionError(f"{line} not in {self.lines()}")

    # --- messages -----------------------------------------------------------------------------------------------

    def branch(self) -> str:
        self._branch += 1
        return f"z9hG4bKpeer{self._branch}"

    def request(
        self,
        method: str,
        *headers: str,
        body: bytes = b"",
        to_tag: str | None = None,
        branch: str = "",
        cseq: int | None = None,
        uri: str = "sip:100@192.0.2.2",
        content_type: str = "application/sdp",
        contact: str = "<sip:peer@192.0.2.1:5060>",
    ) -> bytes:
        if cseq is None:
            if method not in ("ACK", "CANCEL"):
                self.cseq += 1
            cseq = self.cseq
        tag = self.to_tag if to_tag is None else to_tag
        transport = self.flow.transport.upper()
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/{transport} {self.flow.host}:{self.flow.port};branch={branch or self.branch()}",
            "Max-Forwards: 70",
            f"From: Peer <sip:200@192.0.2.1>;tag={self.tag}",
            f"To: <sip:100@192.0.2.2>{';tag=' + tag if tag else ''}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq} {method}",
            *([f"Contact: {contact}"] if contact else []),
            *headers,
            *([f"Content-Type: {content_type}"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body

    def response(
        self,
        packet: Packet,
        status: int,
        *headers: str,
        tag: str = "peer-tag",
        body: bytes = b"",
        contact: str = "<sip:peer@192.0.2.1:5060>",
        content_type: str = "application/sdp",
    ) -> bytes:
        """Our answer to a request of the stack."""
        to = packet.header("To") + ("" if packet.to_tag or status == 100 else f";tag={tag}")
        lines = [
            f"SIP/2.0 {status} X",
            *[f"Via: {value}" for value in packet.headers.getlist("via")],
            f"From: {packet.header('From')}",
            f"To: {to}",
            f"Call-ID: {packet.call_id}",
            f"CSeq: {packet.cseq} {packet.method}",
            *([f"Contact: {contact}"] if contact and status < 400 else []),
            *headers,
            *([f"Content-Type: {content_type}"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body

    # --- whole steps --------------------------------------------------------------------------------------------

    def call_in(self, *headers: str, body: bytes = OFFER, uri: str = "sip:100@192.0.2.2") -> str:
        """An INVITE of the peer; returns the leg."""
        self.invite_branch = self.branch()
        self.receive(self.request("INVITE", *headers, body=body, branch=self.invite_branch, uri=uri))
        return self.event(IncomingCall).leg

    def ack(self, body: bytes = b"", *, cseq: int | None = None) -> None:
        """ACK of the latest 200 to INVITE."""
        packet = self.last("200 INVITE")
        self.to_tag = packet.to_tag
        self.receive(self.request("ACK", body=body, cseq=packet.cseq if cseq is None else cseq))

    def call_out(self, leg: str = "out", sdp: bytes | None = OFFER, **options: object) -> Packet:
        """An INVITE of the stack; returns it."""
        settings: dict = {
            "uri": f"sip:200@{PEER}",
            "flow": self.flow,
            "from_uri": f"sip:100@{HERE}",
        } | options
        self.command(Invite(leg=leg, sdp=sdp, **settings))
        invite = self.last("INVITE")
        self.call_id, self.tag = invite.call_id, "peer-tag"
        return invite

    def answer(
        self,
        invite: Packet,
        *headers: str,
        body: bytes = ANSWER,
        tag: str = "peer-tag",
        contact: str = "<sip:peer@192.0.2.1:5060>",
    ) -> None:
        """200 to the stack's INVITE, and from now on speak inside that dialog."""
        self.receive(self.response(invite, 200, *headers, body=body, tag=tag, contact=contact))
        self.to_tag, self.tag = invite.from_tag, tag
        self.call_id = invite.call_id

    def assert_idle(self) -> None:
        """After every timer has fired nothing is left."""
        self.wait(100.0)
        assert not any(self.stack.live().values()), self.stack.live()
        assert self.stack.next_deadline() is None


HOLD = OFFER + b"a=sendonly\r\n"
HELD = ANSWER + b"a=recvonly\r\n"


def talk(*headers: str, **options: object) -> tuple[Peer, str]:
    """A confirmed call of the peer to us."""
    peer = Peer(**options)  # type: ignore[arg-type]
    leg = peer.call_in(*headers)
    peer.command(Accept(leg=leg, sdp=ANSWER))
    peer.ack()
    peer.clear()
    return peer, leg


def talk_out(*headers: str, **options: object) -> Peer:
    """A confirmed call of ours to the peer, leg ``out``."""
    peer = Peer(**options)  # type: ignore[arg-type]
    invite = peer.call_out()
    peer.answer(invite, *headers)
    peer.clear()
    peer.cseq = 10
    return peer


def end(peer: Peer, leg: str) -> None:
    peer.command(Hangup(leg=leg))
    peer.receive(peer.response(peer.last("BYE"), 200))
    peer.assert_idle()
