"""Text from phone to phone (MESSAGE, RFC 3428) through the whole switch, as both ends see it on the wire."""

from __future__ import annotations

import pytest

from pbx.core.timers import Deadline
from pbx.cti.commands import SetAgentState
from pbx.sip.auth import answer_challenge
from pbx.sip.commands import Credentials, Flow
from pbx.sip.events import Output, TextMessage, Transmit
from pbx.sip.wire import Packet, read_packet
from pbx.testing.phone import ScriptedPhone
from tests.sim.test_desk_commands import Room
from tests.sim.test_whole_switch import ADMINISTRATOR, CARRIER, SWITCH

WAY = Flow("udp", SWITCH, 5060, "udp")
SENDER = "198.51.100.90"


class Writer:
    """A phone that writes; implements ``pbx.testing.netem.Node``."""

    def __init__(self, number: str, password: str = "") -> None:
        self.credentials = Credentials(number, password or f"secret-{number}")
        self.answers: list[Packet] = []
        self._count = 0
        self._last: tuple[str, bytes, str] = ("", b"", "")

    def write(self, to: str, body: bytes, kind: str = "text/plain;charset=UTF-8", proof: str = "") -> Transmit:
        self._last = (to, body, kind)
        self._count += 1
        head = (
            f"MESSAGE sip:{to}@tandem SIP/2.0\r\nVia: SIP/2.0/UDP {SENDER};branch=z9hG4bKw{self._count};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: The Boss <sip:1002@tandem>;tag=w\r\nTo: <sip:{to}@tandem>\r\n"
            "P-Asserted-Identity: <sip:1002@tandem>\r\n"
            f"Call-ID: w\r\nCSeq: {self._count} MESSAGE\r\n{proof}Content-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return Transmit(flow=WAY, data=head.encode() + body)

    def receive(self, packet: bytes, flow: Flow, now: float) -> list[Output]:
        message, _ = read_packet(packet, flow)
        assert message is not None
        if message.status == 401 and "stale" not in message.header("WWW-Authenticate"):
            uri = f"sip:{self._last[0]}@tandem"
            found = answer_challenge(message.response, "MESSAGE", uri, self.credentials, {}, "c")
            assert found is not None
            return [self.write(*self._last, proof=f"{found[0]}: {found[1]}\r\n")]
        self.answers.append(message)
        return []

    def expire(self, now: float) -> list[Output]:
        return []

    def next_deadline(self) -> Deadline | None:
        return None


class Office(Room):
    def __init__(self) -> None:
        super().__init__()
        self.world.keep_wire = True
        self.writer = Writer("1001")
        self.world.add(SENDER, self.writer)

    def write(self, to: str, body: bytes, kind: str = "text/plain;charset=UTF-8") -> Packet:
        self.world.post(SENDER, [self.writer.write(to, body, kind)])
        self.world.run(3)
        return self.writer.answers[-1]

    def delivered(self) -> list[Packet]:
        """The MESSAGEs the switch sent."""
        found = [
            read_packet(data, Flow("udp", target, 5060))[0]
            for _, source, target, data in self.world.wire
            if source == SWITCH and data.startswith(b"MESSAGE")
        ]
        return [packet for packet in found if packet is not None]


@pytest.fixture
def office() -> Office:
    return Office()


def texts(phone: ScriptedPhone) -> list[bytes]:
    return [event.body for _, event in phone.events if isinstance(event, TextMessage)]


def test_every_phone_of_the_extension_shows_it(office: Office) -> None:
    headset = ScriptedPhone("1004", "198.51.100.91", WAY, domain="tandem", password="secret-1004", seed=77)
    office.world.add(headset.host, headset)
    headset.at(office.world.now, headset.register)
    office.world.run(3)
    text = "午饭？\r\nP-Asserted-Identity: <sip:1002@tandem>".encode()
    assert office.write("1004", text).status == 202
    assert texts(office.phones["1004"]) == texts(headset) == [text] and not texts(office.phones["1003"])
    assert len(office.delivered()) == 2, "answered, so not sent again"
    for packet in office.delivered():
        assert packet.header("Content-Type") == "text/plain;charset=UTF-8"
        # Who proved to be 1001 is not believed to be 1002.
        assert packet.header("From").startswith('"李娜" <sip:1001@tandem>;tag=')
        assert packet.headers.getlist("p-asserted-identity") == ['"李娜" <sip:1001@tandem>']


def test_an_agent_is_written_to_at_the_phone_they_are_at(office: Office) -> None:
    assert office.write("8003", b"hello").status == 202
    assert texts(office.phones["1003"]) == [b"hello"]


@pytest.mark.parametrize(
    ("to", "body", "kind", "status"),
    [
        ("7777", b"x", "text/plain", 404),
        ("2001", b"x", "text/plain", 404),
        ("913912345678", b"x", "text/plain", 404),
        ("1004", b"x" * 1300, "text/plain", 202),
        ("1004", b"x" * 1301, "text/plain", 413),
        ("1004", b"<isComposing/>", "application/im-iscomposing+xml", 202),
        ("1004", b"x", "message/cpim", 415),
        ("1004", b"x", "application/sdp", 415),
        ("1004", b"", "text/plain", 415),
    ],
)
def test_what_is_delivered(office: Office, to: str, body: bytes, kind: str, status: int) -> None:
    answer = office.write(to, body, kind)
    assert answer.status == status
    assert texts(office.phones["1004"]) == ([body] if status == 202 else [])
    assert (answer.header("Accept") == "text/plain, application/im-iscomposing+xml") is (status == 415)


def test_the_text_among_other_parts(office: Office) -> None:
    parts = b"--z\r\nContent-Type: image/png\r\n\r\n" + bytes(2000) + b"\r\n--z\r\n\r\nlook\r\n--z--"
    assert office.write("1004", parts, "multipart/mixed;boundary=z").status == 202
    assert texts(office.phones["1004"]) == [b"look"]


def test_a_phone_that_is_not_there(office: Office) -> None:
    office.phones["1004"].at(office.world.now, lambda: office.phones["1004"].register(0))
    office.world.run(3)
    assert office.write("1004", b"x").status == 480


def test_an_agent_without_a_phone(office: Office) -> None:
    request = SetAgentState(state="log_off", agent="8004")
    office.world.post(SWITCH, office.node.command(ADMINISTRATOR, request, "off", office.world.now))
    office.phones["1004"].at(office.world.now, lambda: office.phones["1004"].register(0))
    office.world.run(3)
    assert office.write("8004", b"x").status == 480


def test_strangers_and_carriers_send_none(office: Office) -> None:
    office.writer.credentials = Credentials("1001", "wrong")
    office.world.post(SENDER, [office.writer.write("1004", b"x")])
    office.world.run(3)
    office.world.post(CARRIER, [office.writer.write("1004", b"x")])
    office.world.run(3)
    lines = [data.split(b"\r\n")[0] for _, source, target, data in office.world.wire if target == CARRIER]
    assert b"SIP/2.0 403 Forbidden" in lines
    assert not texts(office.phones["1004"]) and not office.delivered()


@pytest.mark.parametrize(("writer", "reader"), [("1003", "1004"), ("1004", "1003")])
def test_inside_a_call(office: Office, writer: str, reader: str) -> None:
    """From who called and from who was called; a request inside a dialog is proven by its tags."""
    phone = office.phones[writer]
    office.phones["1003"].at(office.world.now, lambda: office.phones["1003"].call("1004"))
    office.world.run(10)
    (talk,) = phone.live_talks()
    state = phone.stack.export_leg(talk.leg)
    assert state is not None
    dialog = state["dialog"]
    text = (
        f"MESSAGE sip:tandem@{SWITCH} SIP/2.0\r\nVia: SIP/2.0/UDP {phone.host};branch=z9hG4bKin;rport\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:1002@tandem>;tag={dialog['local_tag']}\r\n"
        f"To: <sip:{reader}@tandem>;tag={dialog['remote_tag']}\r\nCall-ID: {dialog['call_id']}\r\n"
        "CSeq: 900 MESSAGE\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"
    )
    office.world.post(phone.host, [Transmit(flow=WAY, data=text.encode())])
    office.world.run(3)
    assert texts(office.phones[reader]) == [b"hi"]
    (packet,) = office.delivered()
    assert f"<sip:{writer}@tandem>" in packet.header("From")
