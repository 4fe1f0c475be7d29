"""The façade and its neighbours: identification, authentication, registrar, requester, guard (pbx.sip.policy)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sipmessage import URI, Request

from pbx.core.ids import SeededIds
from pbx.core.timers import Deadline
from pbx.sip.commands import Flow
from pbx.sip.events import Dropped, IncomingCall, Origin, Output, SecurityAlert, TextMessage, TrunkState, Unregistered
from pbx.sip.identity import Addresses, Listener, LocalIdentity
from pbx.sip.policy import (
    Authenticated,
    Challenge,
    Challenged,
    Refuse,
    RegisterReply,
    Rejected,
    RequestDone,
    SendRequest,
    Trusted,
)
from pbx.sip.stack import Stack
from pbx.sip.wire import Packet, read_packet
from tests.unit.sip.peer import FLOW, LISTENERS, OFFER, PEER, Peer

ALERT = SecurityAlert(what="wrong_credentials", flow=FLOW, detail="1001")


class Judge:
    """A policy and an authenticator that do as they are told."""

    def __init__(self, verdict: Trusted | Challenge | Refuse, result: object = None) -> None:
        self.verdict = verdict
        self.result = result

    def identify(self, request: Request, flow: Flow) -> Trusted | Challenge | Refuse:
        return self.verdict

    def authenticate(
        self, request: Request, realm: str, flow: Flow, now: float
    ) -> Authenticated | Challenged | Rejected:
        assert realm == "here" and isinstance(self.result, Authenticated | Challenged | Rejected)
        return self.result


def judged(verdict: Trusted | Challenge | Refuse, result: object = None) -> Peer:
    peer = Peer()
    judge = Judge(verdict, result)
    peer.stack = Stack(
        judge,
        LocalIdentity(listeners=LISTENERS),
        SeededIds(3),
        authenticator=judge if result is not None else None,
    )
    return peer


class Recorder:
    """A registrar, requester and guard in one that notes what it is asked."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.done: list[RequestDone] = []
        self.due: float | None = None
        self.outputs: list[Output] = []
        self.refusal = ""

    def register(
        self, request: Request, origin: Origin, flow: Flow, now: float
    ) -> tuple[RegisterReply, Sequence[Output]]:
        gone = Unregistered(extension=origin.name, contact="sip:old", reason="replaced")
        return RegisterReply(200, headers=(("Contact", "<sip:a@b>;expires=60"),)), (gone,)

    def request_done(self, done: RequestDone, now: float) -> Sequence[Output]:
        self.done.append(done)
        return (TrunkState(trunk="t", state="up", reason=done.key),)

    def flow_closed(self, flow: Flow, now: float) -> Sequence[Output]:
        self.calls.append("flow_closed")
        return ()

    def expire(self, now: float) -> Sequence[Output]:
        self.calls.append("expire")
        self.due = None
        outputs, self.outputs = self.outputs, []
        return outputs

    def next_deadline(self) -> Deadline | None:
        return None if self.due is None else Deadline(self.due, "recorder")

    def admit(self, packet: bytes, flow: Flow, now: float) -> str:
        return self.refusal

    def drain(self) -> Sequence[Output]:
        return (ALERT,) if self.refusal else ()


# --- who it is ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "SUBSCRIBE", "REGISTER"])
def test_challenge(method: str) -> None:
    peer = judged(Challenge("here"), Challenged((("WWW-Authenticate", "Digest a"), ("WWW-Authenticate", "Digest b"))))
    if method == "REGISTER":
        peer.stack = Stack(
            Judge(Challenge("here")),
            LocalIdentity(listeners=LISTENERS),
            SeededIds(3),
            authenticator=Judge(Challenge("here"), Challenged((("WWW-Authenticate", "Digest a"),) * 2)),
            registrar=Recorder(),
        )
    peer.receive(peer.request(method, "Event: dialog"))
    answer = peer.last(f"401 {method}")
    assert len(answer.headers.getlist("www-authenticate")) == 2 and not peer.events


def test_authenticated_caller() -> None:
    peer = judged(Challenge("here"), Authenticated(Origin("extension", "1001")))
    peer.call_in()
    assert peer.event(IncomingCall).origin == Origin("extension", "1001")


def test_wrong_credentials_raise_the_alarm() -> None:
    peer = judged(Challenge("here"), Rejected(403, "No", outputs=(ALERT,)))
    peer.receive(peer.request("INVITE", body=OFFER))
    assert peer.event(SecurityAlert) == ALERT and peer.last("403 INVITE").response.phrase == "No"
    assert peer.stack.leg_ids() == []


def test_nobody_to_check_credentials() -> None:
    peer = judged(Challenge("here"))
    peer.receive(peer.request("INVITE", body=OFFER))
    assert peer.lines() == ["403 INVITE"]


def test_strangers_get_a_refusal_or_silence() -> None:
    loud = judged(Refuse(403, "Who Are You"))
    for method in ("INVITE", "OPTIONS", "MESSAGE"):
        loud.receive(loud.request(method))
    assert loud.lines() == ["403 INVITE", "403 OPTIONS", "403 MESSAGE"]
    silent = judged(Refuse(0))
    silent.receive(silent.request("OPTIONS"))
    assert silent.sent == [] and not any(silent.stack.live().values())


def test_silent_refusal_of_an_invite_sends_nothing_at_all() -> None:
    peer = judged(Refuse(0))
    peer.receive(peer.request("INVITE", body=OFFER))
    assert peer.sent == [] and not any(peer.stack.live().values())


# --- registrar, requester, guard ------------------------------------------------------------------------------------


def test_register_goes_to_the_registrar() -> None:
    peer = Peer(origin=Origin("extension", "1001"), registrar=Recorder())
    peer.receive(peer.request("REGISTER", uri="sip:here"))
    assert peer.last("200 REGISTER").header("Contact") == "<sip:a@b>;expires=60"
    assert peer.event(Unregistered).reason == "replaced"


def test_register_without_a_registrar() -> None:
    peer = Peer()
    peer.receive(peer.request("REGISTER", uri="sip:here"))
    assert peer.lines() == ["405 REGISTER"]


def options() -> Request:
    request = Request("OPTIONS", URI.parse(f"sip:{PEER}"))
    for name, value in (
        ("From", "<sip:us@here>;tag=1"),
        ("To", f"<sip:{PEER}>"),
        ("Call-ID", "probe"),
        ("CSeq", "7 OPTIONS"),
        ("Via", "to be replaced"),
        ("X-Own", "yes"),
    ):
        request.headers.add(name, value)
    return request


def test_request_outside_dialogs_and_its_result() -> None:
    machine = Recorder()
    peer = Peer(requester=machine)
    peer.take(peer.stack.send_request("probe-1", options(), FLOW, peer.now))
    sent = peer.last("OPTIONS")
    assert (sent.cseq, sent.call_id, sent.header("X-Own")) == (7, "probe", "yes")
    assert sent.headers.getlist("via") == [f"SIP/2.0/UDP 192.0.2.2:5060;branch={sent.branch};rport"]
    assert sent.header("Contact") == "<sip:tandem@192.0.2.2:5060>" and sent.header("User-Agent") == "Tandem"
    peer.receive(peer.response(sent, 100))
    assert not machine.done
    peer.receive(peer.response(sent, 200))
    (done,) = machine.done
    assert done.key == "probe-1" and done.response is not None and done.response.code == 200
    assert peer.event(TrunkState).reason == "probe-1"
    peer.assert_idle()


def test_request_without_an_answer() -> None:
    machine = Recorder()
    peer = Peer(requester=machine)
    machine.due = peer.now + 1
    machine.outputs = [SendRequest(key="probe-2", request=options(), flow=FLOW)]
    peer.wait(40)
    (done,) = machine.done
    assert (done.response, done.failure) == (None, "timeout")
    assert not [event for event in peer.events if isinstance(event, SendRequest | RequestDone)], "both stay inside"


def test_request_on_a_connection_that_breaks() -> None:
    machine = Recorder()
    peer = Peer(requester=machine)
    tcp = Flow("tcp", PEER, 5060)
    peer.take(peer.stack.send_request("probe-3", options(), tcp, peer.now))
    peer.take(peer.stack.flow_closed(tcp, peer.now))
    assert machine.done[0].failure == "transport" and machine.calls == ["flow_closed"]


def test_guard_stands_before_the_parser() -> None:
    guard = Recorder()
    peer = Peer(guard=guard)
    guard.refusal = "banned"
    peer.receive(peer.request("OPTIONS"))
    assert peer.sent == [] and peer.event(SecurityAlert) == ALERT and peer.event(Dropped).reason == "banned"
    guard.refusal = ""
    peer.receive(peer.request("OPTIONS"))
    assert peer.lines() == ["200 OPTIONS"]


def test_next_deadline_is_the_earliest_of_all_machines() -> None:
    machine = Recorder()
    peer = Peer(registrar=machine)
    assert peer.stack.next_deadline() is None
    peer.call_out()
    first = peer.stack.next_deadline()
    assert first is not None and (first.at, first.reason) == (100.5, "Transaction A")
    machine.due = 100.2
    assert peer.stack.next_deadline() == Deadline(100.2, "recorder")
    peer.wait(0.3)
    assert machine.calls == ["expire"]


def test_unknown_leg_has_no_flow() -> None:
    assert Peer().stack.get_flow("nobody") is None and Peer().stack.export_leg("nobody") is None


def test_message_from_a_known_peer() -> None:
    peer = Peer()
    peer.receive(peer.request("MESSAGE", body=b"x", content_type="text/plain"))
    assert peer.event(TextMessage).origin == Origin("trunk", "carrier")


# --- identity -------------------------------------------------------------------------------------------------------


def test_contact_and_via_by_listener_transport_and_family() -> None:
    addresses = Addresses(
        LocalIdentity(
            listeners=(
                Listener("a", "udp", "192.0.2.2", 5060),
                Listener("b", "udp", "2001:db8::2", 5060),
                Listener("c", "udp", "192.0.2.3", 5080),
                Listener("d", "wss", "192.0.2.2", 443),
                Listener("e", "tls", "192.0.2.2", 5061),
            ),
            contact_user="us",
        )
    )
    assert addresses.get(Flow("udp", "192.0.2.9", 1, "c"))[1] == "sip:us@192.0.2.3:5080"
    assert addresses.get(Flow("udp", "2001:db8::9", 1)) == (
        "SIP/2.0/UDP [2001:db8::2]:5060",
        "sip:us@[2001:db8::2]:5060",
    )
    assert addresses.get(Flow("udp", "192.0.2.9", 1))[1] == "sip:us@192.0.2.2:5060"
    assert addresses.get(Flow("wss", "192.0.2.9", 1)) == (
        "SIP/2.0/WSS 192.0.2.2:443",
        "sip:us@192.0.2.2:443;transport=ws",
    )
    assert addresses.get(Flow("tls", "192.0.2.9", 1))[1].endswith(":5061;transport=tls")
    assert addresses.has_transport("tls") and not addresses.has_transport("tcp")


def test_names_are_never_local() -> None:
    local = LocalIdentity(
        listeners=(Listener("a", "udp", "10.0.0.2", 5060),),
        external_host="198.51.100.7",
        local_networks=("10.0.0.0/8",),
    )
    addresses = Addresses(local)
    assert "198.51.100.7" in addresses.get(Flow("udp", "sip.example.com", 5060))[1]
    assert "10.0.0.2" in addresses.get(Flow("udp", "10.9.9.9", 5060))[1]


def test_every_message_we_send_is_one_we_would_take() -> None:
    peer = Peer()
    leg = peer.call_in()
    assert leg
    peer.call_out(headers=(("X", "ü\r\nInjected: yes"),))
    for output in peer.raw:
        packet, fault = read_packet(output.data, FLOW)
        assert isinstance(packet, Packet) and fault is None and not packet.headers.getlist("injected")
