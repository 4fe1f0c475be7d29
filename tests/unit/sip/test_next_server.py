"""A name with several servers: which one an INVITE goes to when one is silent, gone or busy (RFC 3263 section 4.3)."""

from __future__ import annotations

from pbx.sip.commands import Flow, Hangup, Invite
from pbx.sip.events import Answered, Ended, Ringing
from tests.unit.sip.peer import ANSWER, OFFER, Peer

FIRST, SECOND, THIRD = (Flow("udp", f"192.0.2.{number}", 5060, "udp") for number in (11, 12, 13))


def call(*alternatives: Flow, flow: Flow = FIRST) -> Peer:
    peer = Peer(flow=flow)
    peer.command(
        Invite(
            leg="out",
            uri="sip:100@carrier.example",
            flow=flow,
            alternatives=alternatives,
            from_uri="sip:1@192.0.2.2",
            sdp=OFFER,
        )
    )
    return peer


def asked(peer: Peer) -> list[str]:
    """The servers that were asked, in order, repetitions left out."""
    hosts = [sent.flow.host for sent in peer.raw if sent.data.startswith(b"INVITE")]
    return list(dict.fromkeys(hosts))


def answer(peer: Peer, status: int, flow: Flow, body: bytes = b"") -> None:
    invite = [
        sent for sent, raw in zip(peer.sent, peer.raw, strict=True) if raw.flow == flow and sent.method == "INVITE"
    ]
    peer.receive(peer.response(invite[-1], status, body=body), flow)


def test_a_silent_server_is_passed_over() -> None:
    peer = call(SECOND, THIRD)
    peer.wait(3.9)
    assert asked(peer) == ["192.0.2.11"] and len(peer.raw) == 4, "four transmissions"
    peer.wait(0.2)
    assert asked(peer) == ["192.0.2.11", "192.0.2.12"]
    branches = {sent.header("Via") for sent in peer.sent}
    assert len(branches) == 2 and len({sent.call_id for sent in peer.sent}) == 1, (
        "the same request in a new transaction"
    )
    answer(peer, 200, SECOND, ANSWER)
    assert peer.event(Answered).leg == "out"
    assert peer.raw[-1].data.startswith(b"ACK") and peer.raw[-1].flow == SECOND
    peer.command(Hangup(leg="out"))
    assert peer.raw[-1].data.startswith(b"BYE") and peer.raw[-1].flow == SECOND


def test_all_silent() -> None:
    peer = call(SECOND)
    peer.wait(35.9)
    assert not peer.events, "the last one has the time of RFC 3261"
    peer.wait(0.2)
    assert peer.event(Ended).status == 408 and asked(peer) == ["192.0.2.11", "192.0.2.12"]
    peer.wait(40)
    assert peer.stack.live() == dict.fromkeys(peer.stack.live(), 0)


def test_a_server_that_is_busy_sends_on() -> None:
    peer = call(SECOND)
    answer(peer, 503, FIRST)
    assert asked(peer) == ["192.0.2.11", "192.0.2.12"] and not peer.events
    assert any(sent.data.startswith(b"ACK") and sent.flow == FIRST for sent in peer.raw)
    answer(peer, 503, SECOND)
    assert peer.event(Ended).status == 503


def test_any_other_answer_is_final() -> None:
    peer = call(SECOND)
    answer(peer, 486, FIRST)
    assert peer.event(Ended).status == 486 and asked(peer) == ["192.0.2.11"]


def test_a_server_that_works_on_it_is_waited_for() -> None:
    peer = call(SECOND)
    answer(peer, 100, FIRST)
    peer.wait(60)
    assert asked(peer) == ["192.0.2.11"]
    answer(peer, 180, FIRST)
    assert peer.event(Ringing).status == 180
    answer(peer, 503, FIRST)
    assert peer.event(Ended).status == 503 and asked(peer) == ["192.0.2.11"], "somebody heard it ring there"


def test_a_connection_that_fails() -> None:
    first = Flow("tcp", "192.0.2.11", 5060)
    second = Flow("tcp", "192.0.2.12", 5060)
    peer = call(second, flow=first)
    peer.take(peer.stack.flow_closed(first, peer.now))
    assert asked(peer) == ["192.0.2.11", "192.0.2.12"] and not peer.events


def test_who_hung_up_meanwhile_is_not_called_elsewhere() -> None:
    peer = call(SECOND)
    peer.command(Hangup(leg="out"))
    peer.wait(40)
    assert asked(peer) == ["192.0.2.11"] and peer.event(Ended).by == "local"


def test_a_server_that_does_not_listen_is_passed_over_at_once() -> None:
    """ICMP names the address, not which of our listeners asked it (RFC 3261 section 18.4)."""
    peer = call(SECOND)
    other = call()
    peer.take(peer.stack.flow_closed(Flow("udp", FIRST.host, 5060, "main"), peer.now))
    assert asked(peer) == ["192.0.2.11", "192.0.2.12"]
    peer.take(peer.stack.flow_closed(SECOND._replace(port=5062), peer.now))
    assert not peer.events, "another port is another peer"
    other.take(other.stack.flow_closed(FIRST, other.now))
    ended = other.event(Ended)
    assert (ended.by, ended.status, ended.cause) == ("transport", 503, 27)
    other.assert_idle()
