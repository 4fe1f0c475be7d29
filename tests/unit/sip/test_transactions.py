"""The four transaction machines against the RFC's timers, and matching."""

import pytest

from pbx.sip import fsm, fsm_ict, fsm_ist, fsm_nict, fsm_nist
from pbx.sip.commands import Accept, Flow, Hangup, Progress
from pbx.sip.events import Acknowledged, Dropped, Ended
from pbx.sip.timing import Timing
from tests.unit.sip.peer import ANSWER, FLOW, PEER, Peer

TCP = Flow("tcp", PEER, 5060, "tcp", 7)


def times_sent(peer: Peer, seconds: float, line: str) -> list[float]:
    """When a message was sent, relative to now, over the next seconds."""
    start, until, found = peer.now, peer.now + seconds, []
    while (deadline := peer.stack.next_deadline()) is not None and deadline.at <= until:
        before = len(peer.sent)
        peer.now = deadline.at
        peer.take(peer.stack.expire(peer.now))
        found += [round(peer.now - start, 3) for name in peer.lines()[before:] if name == line]
    peer.now = until
    return found


@pytest.mark.parametrize("module", [fsm_ict, fsm_nict, fsm_ist, fsm_nist])
def test_tables_are_closed(module: object) -> None:
    table: fsm.Table = module.TABLE  # type: ignore[attr-defined]
    states = {state for state, _ in table}
    reachable = {target for target, _ in table.values()} | {module.INITIAL[0]}  # type: ignore[attr-defined]
    assert reachable - states <= {fsm.TERMINATED}, "every state but the last has a way on"
    assert fsm.TERMINATED not in states
    assert states <= reachable
    for (_, _), (target, actions) in table.items():
        assert (fsm.FREE in actions) == (target == fsm.TERMINATED)


def test_invite_client_timers_a_and_b() -> None:
    peer = Peer()
    peer.call_out()
    assert times_sent(peer, 40, "INVITE") == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    ended = peer.event(Ended)
    assert (ended.by, ended.status) == ("timeout", 408)
    peer.assert_idle()


def test_what_was_sent_to_a_name_stays_with_the_server_that_answered() -> None:
    """RFC 3263 section 4."""
    peer = Peer(flow=Flow("udp", "sip.example.com", 5060, "udp"))
    invite = peer.call_out()
    peer.receive(peer.response(invite, 180), FLOW)
    peer.command(Hangup(leg="out"))
    assert peer.raw[-1].flow == FLOW and peer.lines()[-1] == "CANCEL"
    peer.receive(peer.response(invite, 487), FLOW)
    assert peer.raw[-1].flow == FLOW and peer.lines()[-1] == "ACK"


def test_no_retransmission_over_tcp() -> None:
    peer = Peer(flow=TCP)
    peer.call_out()
    assert times_sent(peer, 40, "INVITE") == []
    assert peer.event(Ended).by == "timeout"


def test_timers_are_an_argument() -> None:
    peer = Peer(timing=Timing(t1=0.1, t2=0.4, t4=0.5, timer_d=1.0))
    peer.call_out()
    assert times_sent(peer, 10, "INVITE") == [0.1, 0.3, 0.7, 1.5, 3.1, 6.3]


def test_provisional_response_stops_timer_a() -> None:
    peer = Peer()
    invite = peer.call_out()
    peer.receive(peer.response(invite, 100))
    assert times_sent(peer, 100, "INVITE") == []


def test_final_response_is_acknowledged_each_time_and_timer_d_ends_it() -> None:
    peer = Peer()
    invite = peer.call_out()
    busy = peer.response(invite, 486)
    for _ in range(3):
        peer.receive(busy)
    assert peer.lines() == ["INVITE", "ACK", "ACK", "ACK"]
    ack = peer.last("ACK")
    assert ack.branch == invite.branch and ack.to_tag == "peer-tag" and ack.cseq == invite.cseq
    peer.event(Ended)
    peer.wait(32.1)
    peer.receive(busy)
    assert peer.lines().count("ACK") == 3 and peer.event(Dropped).reason == "stray response"
    peer.assert_idle()


def test_non_invite_client_timers_e_and_f() -> None:
    peer = Peer()
    leg = peer.call_in()
    peer.command(Accept(leg=leg, sdp=ANSWER))
    peer.ack()
    peer.command(Hangup(leg=leg))
    assert times_sent(peer, 40, "BYE") == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    peer.assert_idle()


def test_non_invite_client_slows_down_after_a_provisional() -> None:
    peer = Peer()
    leg = peer.call_in()
    peer.command(Accept(leg=leg, sdp=ANSWER))
    peer.ack()
    peer.command(Hangup(leg=leg))
    peer.receive(peer.response(peer.last("BYE"), 100))
    assert times_sent(peer, 14, "BYE") == [0.5, 4.5, 8.5, 12.5]


def test_invite_server_timers_g_and_h() -> None:
    peer = Peer()
    leg = peer.call_in()
    peer.command(Hangup(leg=leg, status=486))
    assert times_sent(peer, 40, "486 INVITE") == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    peer.assert_idle()


def test_ack_of_a_refusal_stops_timer_g_and_is_absorbed() -> None:
    peer = Peer()
    leg = peer.call_in()
    peer.command(Hangup(leg=leg, status=486))
    for _ in range(2):
        peer.receive(peer.request("ACK", branch=peer.invite_branch, to_tag=peer.last("486 INVITE").to_tag))
    assert times_sent(peer, 40, "486 INVITE") == []
    assert not [event for event in peer.events if isinstance(event, Acknowledged)]


def test_repeated_invite_gets_the_last_provisional_again() -> None:
    peer = Peer()
    leg = peer.call_in()
    again = peer.request("INVITE", body=b"x", branch=peer.invite_branch, cseq=peer.cseq)
    peer.receive(again)
    assert peer.lines() == ["100 INVITE", "100 INVITE"]
    peer.command(Progress(leg=leg, status=180))
    peer.receive(again)
    assert peer.lines()[2:] == ["180 INVITE", "180 INVITE"]
    assert peer.raw[-1].note == "retransmission"


def test_repeated_invite_after_the_answer_is_absorbed() -> None:
    """RFC 6026 section 7.1: the TU repeats the 2xx, the transaction only absorbs."""
    peer = Peer()
    leg = peer.call_in()
    peer.command(Accept(leg=leg, sdp=ANSWER))
    before = len(peer.sent)
    peer.receive(peer.request("INVITE", body=b"x", branch=peer.invite_branch, cseq=peer.cseq))
    assert len(peer.sent) == before


def test_2xx_is_repeated_until_the_ack() -> None:
    peer = Peer()
    leg = peer.call_in()
    peer.command(Accept(leg=leg, sdp=ANSWER))
    assert times_sent(peer, 9, "200 INVITE") == [0.5, 1.5, 3.5, 7.5]
    peer.ack()
    assert times_sent(peer, 40, "200 INVITE") == []


def test_peer_that_never_acks_is_hung_up_on() -> None:
    peer = Peer()
    leg = peer.call_in()
    peer.command(Accept(leg=leg, sdp=ANSWER))
    peer.wait(32.5)
    assert "BYE" in peer.lines()
    ended = peer.event(Ended)
    assert (ended.by, ended.reason) == ("timeout", "no ACK")
    peer.assert_idle()


def test_repeated_non_invite_request_gets_the_same_answer() -> None:
    peer = Peer()
    options = peer.request("OPTIONS")
    peer.receive(options)
    peer.receive(options)
    assert peer.lines() == ["200 OPTIONS", "200 OPTIONS"]
    assert peer.raw[0].data == peer.raw[1].data
    peer.assert_idle()


def test_same_branch_of_another_sender_is_another_transaction() -> None:
    """RFC 3261 section 17.2.3: the sent-by value belongs to the key."""
    peer = Peer()
    first = peer.request("OPTIONS", branch="z9hG4bKsame")
    peer.receive(first)
    peer.receive(first.replace(b"192.0.2.1:5060;branch", b"192.0.2.9:5060;branch").replace(b"call-1", b"call-2"))
    assert peer.raw[0].data != peer.raw[1].data


def test_requests_that_came_by_two_ways_are_merged() -> None:
    """RFC 3261 section 8.2.2.2."""
    peer = Peer()
    peer.call_in()
    peer.receive(peer.request("INVITE", body=b"x", cseq=peer.cseq))
    assert peer.lines()[-1] == "482 INVITE"


def test_rfc_2543_request_is_matched_without_a_branch() -> None:
    peer = Peer()
    old = peer.request("OPTIONS").replace(b";branch=z9hG4bKpeer1", b"")
    peer.receive(old)
    peer.receive(old)
    assert peer.raw[0].data == peer.raw[1].data


def test_transport_failure_is_reported() -> None:
    peer = Peer(flow=TCP)
    peer.call_out()
    peer.take(peer.stack.flow_closed(TCP, peer.now))
    ended = peer.event(Ended)
    assert (ended.by, ended.status) == ("transport", 503)


def test_closed_connection_ends_an_unanswered_incoming_call() -> None:
    peer = Peer(flow=TCP)
    peer.call_in()
    peer.take(peer.stack.flow_closed(TCP, peer.now))
    assert peer.event(Ended).by == "transport"
    peer.assert_idle()


def test_response_goes_where_rfc_3581_says() -> None:
    behind_nat = Flow("udp", "203.0.113.9", 40001, "udp")
    peer = Peer()
    peer.receive(peer.request("OPTIONS").replace(b";branch", b";rport;branch"), behind_nat)
    assert peer.raw[-1].flow == behind_nat
    via = peer.last("200 OPTIONS").via.params
    assert (via["received"], via["rport"]) == ("203.0.113.9", "40001")


def test_response_without_rport_goes_to_the_via_port() -> None:
    peer = Peer()
    peer.receive(peer.request("OPTIONS"), Flow("udp", "203.0.113.9", 40001, "udp"))
    assert peer.raw[-1].flow == Flow("udp", "203.0.113.9", 5060, "udp")
    assert peer.last("200 OPTIONS").via.params["received"] == "203.0.113.9"


def test_stray_messages_are_dropped_with_a_reason() -> None:
    peer = Peer()
    for data, reason in (
        (b"\r\n\r\n", "keep-alive"),
        (b"hello", "not SIP"),
        (b"SIP/2.0 abc", "bad status line"),
        (b"\x00" * 40, "keep-alive"),
        (b"A" * 70_000, "message too large"),
        (b"OPTIONS sip:a@b SIP/2.0\r\n" + b"X: y\r\n" * 300 + b"\r\n", "no Via"),
        (peer.request("ACK", to_tag="x"), "stray ACK"),
    ):
        peer.events.clear()
        peer.receive(data, FLOW)
        assert peer.event(Dropped).reason == reason, data[:40]
