"""New offers inside a call: re-INVITE and UPDATE (RFC 3261 section 14, RFC 3311, RFC 5407)."""

import pytest

from pbx.sip.commands import (
    Accept,
    Acknowledge,
    AnswerReoffer,
    Credentials,
    Flow,
    Hangup,
    Progress,
    RefuseReoffer,
    Reoffer,
    SendInfo,
    SendRefer,
)
from pbx.sip.events import (
    Acknowledged,
    Answered,
    Ended,
    IncomingCall,
    ReferProgress,
    ReofferAnswered,
    Reoffered,
    ReofferRefused,
    Ringing,
)
from tests.unit.sip.peer import ANSWER, HELD, HOLD, OFFER, PEER, Peer, challenge_answerer, end, talk, talk_out

# --- re-INVITE ------------------------------------------------------------------------------------------------------


def test_peer_holds_us() -> None:
    peer, leg = talk()
    peer.receive(peer.request("INVITE", body=HOLD, contact="<sip:new@192.0.2.1:5060>"))
    assert peer.event(Reoffered) == Reoffered(leg=leg, sdp=HOLD)
    peer.command(AnswerReoffer(leg=leg, sdp=HELD))
    assert peer.last("200 INVITE").body == HELD
    peer.ack()
    peer.wait(40)
    assert peer.lines() == ["100 INVITE", "200 INVITE"]
    peer.command(Hangup(leg=leg))
    assert str(peer.last("BYE").request.uri) == "sip:new@192.0.2.1:5060", "the target was refreshed"


def test_refused_reinvite_leaves_the_call_alone() -> None:
    peer, leg = talk()
    peer.receive(peer.request("INVITE", body=HOLD))
    peer.command(RefuseReoffer(leg=leg))
    assert peer.lines()[-1] == "488 INVITE"
    end(peer, leg)


def test_unchanged_offer_is_answered_by_the_stack() -> None:
    peer, leg = talk()
    peer.receive(peer.request("INVITE", body=OFFER))
    assert peer.lines() == ["100 INVITE", "200 INVITE"] and peer.last("200 INVITE").body == ANSWER
    assert not peer.events
    peer.ack()
    end(peer, leg)


def test_reinvite_without_offer_asks_for_ours() -> None:
    peer, leg = talk()
    peer.receive(peer.request("INVITE"))
    assert peer.event(Reoffered).sdp is None
    peer.command(AnswerReoffer(leg=leg, sdp=OFFER))
    peer.ack(HELD)
    assert peer.event(Acknowledged) == Acknowledged(leg=leg, sdp=HELD)


def test_second_reinvite_meets_500_while_the_first_is_open() -> None:
    peer, leg = talk()
    peer.receive(peer.request("INVITE", body=HOLD))
    peer.receive(peer.request("INVITE", body=OFFER))
    refusal = peer.last("500 INVITE")
    assert 0 <= int(refusal.header("Retry-After")) <= 10
    peer.command(AnswerReoffer(leg=leg, sdp=HELD))
    assert peer.last("200 INVITE").body == HELD


def test_cancelled_reinvite() -> None:
    peer, leg = talk()
    branch = peer.branch()
    peer.receive(peer.request("INVITE", body=HOLD, branch=branch))
    peer.receive(peer.request("CANCEL", branch=branch))
    assert peer.lines()[-2:] == ["200 CANCEL", "487 INVITE"]
    assert peer.command(AnswerReoffer(leg=leg, sdp=HELD)) == []
    end(peer, leg)


def test_reinvite_before_the_late_ack_counts_as_the_ack() -> None:
    """RFC 5407 section 3.1.4: the exchange of the first INVITE is complete without it."""
    peer = Peer()
    leg = peer.call_in()
    peer.command(Accept(leg=leg, sdp=ANSWER))
    peer.to_tag = peer.last("200 INVITE").to_tag
    peer.receive(peer.request("INVITE", body=HOLD))
    assert peer.event(Acknowledged).leg == leg and peer.event(Reoffered).sdp == HOLD


def test_lost_ack_of_a_reinvite_ends_the_call() -> None:
    peer, leg = talk()
    peer.receive(peer.request("INVITE", body=HOLD))
    peer.command(AnswerReoffer(leg=leg, sdp=HELD))
    peer.wait(33)
    assert peer.event(Ended).reason == "no ACK" and "BYE" in peer.lines()
    peer.assert_idle()


def test_bye_while_we_decide() -> None:
    peer, leg = talk()
    peer.receive(peer.request("INVITE", body=HOLD))
    peer.receive(peer.request("BYE"))
    assert sorted(peer.lines()[-2:]) == ["200 BYE", "487 INVITE"]
    assert peer.event(Ended).by == "remote"
    peer.assert_idle()


def test_we_hold_the_peer() -> None:
    peer, leg = talk()
    peer.command(Reoffer(leg=leg, sdp=HOLD))
    invite = peer.last("INVITE")
    peer.receive(peer.response(invite, 100))
    good = peer.response(invite, 200, body=HELD)
    peer.receive(good)
    assert peer.event(ReofferAnswered) == ReofferAnswered(leg=leg, sdp=HELD)
    assert peer.lines() == ["INVITE", "ACK"]
    peer.receive(good)
    assert peer.lines() == ["INVITE", "ACK", "ACK"]
    end(peer, leg)


def test_offers_of_ours_queue_up() -> None:
    peer, leg = talk()
    for index in range(12):
        peer.command(Reoffer(leg=leg, sdp=OFFER + b"a=x:%d\r\n" % index))
    assert peer.lines() == ["INVITE"]
    refused = [event for event in peer.events if isinstance(event, ReofferRefused)]
    assert len(refused) == 3, "one is running and eight wait"
    for index in range(9):
        invite = peer.last("INVITE")
        assert invite.body.endswith(b"a=x:%d\r\n" % index)
        peer.receive(peer.response(invite, 200, body=ANSWER))
    end(peer, leg)


def test_late_offer_reinvite_of_ours() -> None:
    peer, leg = talk()
    peer.command(Reoffer(leg=leg, sdp=None))
    peer.receive(peer.response(peer.last("INVITE"), 200, body=OFFER))
    assert peer.event(ReofferAnswered).sdp == OFFER and "ACK" not in peer.lines()
    peer.receive(peer.request("INVITE", body=HOLD))
    assert peer.lines()[-1] == "491 INVITE"
    peer.command(Acknowledge(leg=leg, sdp=ANSWER))
    assert peer.last("ACK").body == ANSWER
    end(peer, leg)


def test_hangup_while_our_late_answer_is_owed() -> None:
    peer, leg = talk()
    peer.command(Reoffer(leg=leg, sdp=None))
    peer.receive(peer.response(peer.last("INVITE"), 200, body=OFFER))
    peer.command(Hangup(leg=leg))
    assert peer.lines()[-2:] == ["ACK", "BYE"]


def test_refused_reoffer_of_ours() -> None:
    peer, leg = talk()
    peer.command(Reoffer(leg=leg, sdp=HOLD))
    peer.receive(peer.response(peer.last("INVITE"), 488))
    assert peer.event(ReofferRefused) == ReofferRefused(leg=leg, status=488)
    end(peer, leg)


@pytest.mark.parametrize("status", [481, 408])
def test_reinvite_that_finds_nobody_ends_the_call(status: int) -> None:
    """RFC 3261 section 12.2.1.2."""
    peer, leg = talk()
    peer.command(Reoffer(leg=leg, sdp=HOLD))
    peer.receive(peer.response(peer.last("INVITE"), status))
    assert peer.event(Ended).by == "remote" and peer.lines()[-1] == "BYE"


def test_reinvite_without_any_answer_ends_the_call() -> None:
    peer, leg = talk()
    peer.command(Reoffer(leg=leg, sdp=HOLD))
    peer.wait(33)
    assert peer.event(Ended).by == "timeout"
    peer.assert_idle()


def test_reinvite_that_is_never_decided_ends_the_call() -> None:
    peer, leg = talk()
    peer.command(Reoffer(leg=leg, sdp=HOLD))
    peer.receive(peer.response(peer.last("INVITE"), 100))
    peer.wait(179)
    assert not peer.events
    peer.wait(2)
    assert peer.event(Ended).by == "timeout"
    peer.assert_idle()


@pytest.mark.parametrize("early", [True, False])
def test_undecided_reinvite_is_let_go_after_the_call(early: bool) -> None:
    peer, leg = talk()
    peer.command(Reoffer(leg=leg, sdp=HOLD))
    invite = peer.last("INVITE")
    if early:
        peer.receive(peer.response(invite, 100))
    peer.command(Hangup(leg=leg))
    if not early:
        peer.receive(peer.response(invite, 100))
    peer.receive(peer.response(peer.last("BYE"), 200))
    peer.assert_idle()


def test_answer_to_a_reinvite_after_we_hung_up_is_acknowledged() -> None:
    peer, leg = talk()
    peer.command(Reoffer(leg=leg, sdp=HOLD))
    invite = peer.last("INVITE")
    peer.command(Hangup(leg=leg))
    peer.receive(peer.response(invite, 200, body=HELD))
    assert peer.lines()[-1] == "ACK"
    peer.receive(peer.response(peer.last("BYE"), 200))
    peer.assert_idle()


@pytest.mark.parametrize(("owner", "low", "high"), [(True, 2.1, 4.0), (False, 0.0, 2.0)])
def test_glare_is_retried_after_the_rfcs_delay(owner: bool, low: float, high: float) -> None:
    """RFC 3261 section 14.1."""
    peer, leg = (talk_out(), "out") if owner else talk()
    peer.command(Reoffer(leg=leg, sdp=HOLD))
    peer.receive(peer.request("INVITE", body=HOLD))
    assert peer.lines()[-1] == "491 INVITE"
    peer.receive(peer.response(peer.last("INVITE"), 491))
    deadline = peer.stack.next_deadline()
    start = peer.now
    while "INVITE" not in peer.lines()[3:]:
        deadline = peer.stack.next_deadline()
        assert deadline is not None
        peer.now = deadline.at
        peer.take(peer.stack.expire(peer.now))
    assert low <= peer.now - start <= high
    peer.receive(peer.response(peer.last("INVITE"), 200, body=HELD))
    assert peer.event(ReofferAnswered).sdp == HELD


def test_endless_glare_is_given_up() -> None:
    peer, leg = talk()
    peer.command(Reoffer(leg=leg, sdp=HOLD))
    for _ in range(5):
        peer.receive(peer.response(peer.last("INVITE"), 491))
        peer.wait(2.0)
    assert peer.event(ReofferRefused).status == 491


def test_retry_waits_for_the_peers_own_offer() -> None:
    peer, leg = talk()
    peer.command(Reoffer(leg=leg, sdp=HOLD))
    first = peer.last("INVITE")
    peer.receive(peer.response(first, 491))
    peer.receive(peer.request("INVITE", body=HOLD))
    assert peer.event(Reoffered).sdp == HOLD
    peer.wait(2.0)
    assert peer.last("INVITE") is first, "not while the peer's offer is open"
    peer.command(AnswerReoffer(leg=leg, sdp=HELD))
    peer.ack()
    peer.wait(1.0)
    assert peer.last("INVITE") is not first


def test_foreign_body_in_a_reinvite() -> None:
    peer, leg = talk()
    peer.receive(peer.request("INVITE", body=b"<x/>", content_type="application/xml"))
    assert peer.lines()[-1] == "415 INVITE"


def test_sdp_inside_a_multipart() -> None:
    peer = Peer()
    body = (
        b"--b\r\nContent-Type: application/isup\r\n\r\nxx\r\n--b\r\nContent-Type: multipart/alternative;boundary=c\r\n"
        b"\r\n--c\r\nContent-Type: application/sdp\r\n\r\n" + OFFER + b"\r\n--c--\r\n--b--\r\n"
    )
    peer.receive(peer.request("INVITE", body=body, content_type='multipart/mixed;boundary="b"'))
    assert peer.event(IncomingCall).sdp == OFFER


# --- UPDATE ---------------------------------------------------------------------------------------------------------


def test_update_with_and_without_offer() -> None:
    peer, leg = talk()
    peer.receive(peer.request("UPDATE"))
    assert peer.lines() == ["200 UPDATE"] and not peer.events
    peer.receive(peer.request("UPDATE", body=HOLD))
    peer.command(AnswerReoffer(leg=leg, sdp=HELD))
    assert peer.last("200 UPDATE").body == HELD
    end(peer, leg)


def test_update_before_the_first_exchange_is_complete() -> None:
    peer = Peer()
    leg = peer.call_in()
    peer.command(Progress(leg=leg, status=180))
    peer.to_tag = peer.last("180 INVITE").to_tag
    peer.receive(peer.request("UPDATE", body=HOLD))
    assert peer.lines()[-1] == "500 UPDATE" and "Retry-After" in peer.sent[-1].headers.keys()


def test_early_update_after_a_reliable_answer() -> None:
    peer = Peer()
    leg = peer.call_in("Supported: 100rel")
    peer.command(Progress(leg=leg, status=183, sdp=ANSWER))
    early = peer.last("183 INVITE")
    peer.to_tag = early.to_tag
    peer.receive(peer.request("PRACK", f"RAck: {early.header('RSeq')} {early.cseq} INVITE"))
    peer.receive(peer.request("UPDATE", body=HOLD))
    assert peer.event(Reoffered).sdp == HOLD
    peer.command(AnswerReoffer(leg=leg, sdp=HELD))
    assert peer.lines()[-1] == "200 UPDATE"


def test_early_offer_of_ours_goes_by_update() -> None:
    peer = Peer()
    invite = peer.call_out()
    peer.receive(peer.response(invite, 183, "Allow: UPDATE", body=ANSWER))
    peer.command(Reoffer(leg="out", sdp=HOLD))
    assert "UPDATE" not in peer.lines(), "our dialog is chosen by the answer only"
    peer.answer(invite)
    assert peer.last("INVITE").body == HOLD


# --- corners --------------------------------------------------------------------------------------------------------


def test_challenged_reinvite_is_repeated_with_proof() -> None:
    peer = Peer(answer_challenge=challenge_answerer)
    peer.answer(peer.call_out(credentials=Credentials("me", "secret")))
    peer.command(Reoffer(leg="out", sdp=HOLD))
    first = peer.last("INVITE")
    peer.receive(peer.response(first, 407, "Proxy-Authenticate: n1"))
    again = peer.last("INVITE")
    assert again is not first and again.header("Authorization").startswith("Proof me INVITE") and again.body == HOLD
    peer.receive(peer.response(again, 407, "Proxy-Authenticate: n1"))
    assert peer.event(ReofferRefused).status == 407


def test_lost_connection_refuses_the_offer_but_not_the_call() -> None:
    tcp = Flow("tcp", PEER, 50123, "tcp", 3)
    peer = talk_out(flow=tcp)
    peer.command(Reoffer(leg="out", sdp=HOLD))
    peer.take(peer.stack.flow_closed(tcp, peer.now))
    assert peer.event(ReofferRefused).status == 503 and peer.stack.leg_ids() == ["out"]


def test_update_we_cannot_take() -> None:
    peer, leg = talk()
    peer.receive(peer.request("UPDATE", "Session-Expires: 20", "Supported: timer"))
    assert peer.last("422 UPDATE").header("Min-SE") == "90"
    peer.receive(peer.request("UPDATE", body=b"<x/>", content_type="text/xml"))
    assert peer.lines()[-1] == "415 UPDATE"
    peer.receive(peer.request("INVITE", "Session-Expires: 20", "Supported: timer", body=HOLD))
    assert peer.lines()[-1] == "422 INVITE"
    peer.command(Reoffer(leg=leg, sdp=HOLD))
    peer.receive(peer.request("UPDATE", body=HOLD))
    assert peer.lines()[-1] == "491 UPDATE"


def test_reinvite_on_a_ringing_call() -> None:
    peer = Peer()
    leg = peer.call_in()
    peer.command(Progress(leg=leg))
    peer.to_tag = peer.last("180 INVITE").to_tag
    peer.receive(peer.request("INVITE", body=HOLD))
    assert peer.lines()[-1] == "500 INVITE"


def test_offer_in_prack_is_refused() -> None:
    peer = Peer()
    leg = peer.call_in("Supported: 100rel")
    peer.command(Progress(leg=leg, status=183, sdp=ANSWER))
    early = peer.last("183 INVITE")
    peer.to_tag = early.to_tag
    peer.receive(peer.request("PRACK", f"RAck: {early.header('RSeq')} {early.cseq} INVITE", body=HOLD))
    assert peer.lines()[-1] == "488 PRACK"
    peer.command(Accept(leg=leg, sdp=ANSWER))
    assert peer.lines()[-1] == "200 INVITE"


def test_unreliable_rseq_of_the_peer_is_not_acknowledged() -> None:
    peer = Peer()
    invite = peer.call_out()
    peer.receive(peer.response(invite, 183, "Require: 100rel", "RSeq: many"))
    assert "PRACK" not in peer.lines() and peer.event(Ringing).status == 183


def test_callee_that_says_bye_before_it_answered_loses_only_that_fork() -> None:
    peer = Peer()
    invite = peer.call_out()
    peer.receive(peer.response(invite, 180, tag="one"))
    peer.call_id, peer.tag, peer.to_tag = invite.call_id, "one", invite.from_tag
    peer.receive(peer.request("BYE"))
    assert peer.lines()[-1] == "200 BYE" and peer.stack.live()["dialogs"] == 0
    peer.answer(invite, tag="two")
    assert peer.event(Answered).leg == "out"


def test_bye_before_our_late_answer() -> None:
    peer = Peer()
    invite = peer.call_out(sdp=None)
    peer.answer(invite, body=OFFER)
    peer.receive(peer.response(invite, 200, body=OFFER))
    peer.receive(peer.request("BYE"))
    assert peer.lines()[-2:] == ["200 BYE", "ACK"] and peer.event(Ended).by == "remote"
    peer.assert_idle()


def test_provisional_without_a_tag_makes_no_dialog() -> None:
    peer = Peer()
    invite = peer.call_out()
    peer.receive(peer.response(invite, 180, tag="").replace(b";tag=\r\n", b"\r\n"))
    assert peer.event(Ringing).status == 180 and peer.stack.live()["dialogs"] == 0


def test_endless_forks_are_bounded() -> None:
    peer = Peer()
    invite = peer.call_out()
    for index in range(100):
        peer.receive(peer.response(invite, 183, tag=f"fork{index}", body=ANSWER))
    assert peer.stack.live()["dialogs"] == 16


def test_info_only_in_confirmed_calls() -> None:
    peer = Peer()
    peer.call_out()
    assert peer.command(SendInfo(leg="out", content_type="application/dtmf", body=b"5")) == []


def test_requests_after_the_end_of_a_call_whose_bye_is_out() -> None:
    peer, leg = talk()
    peer.command(Hangup(leg=leg))
    peer.receive(peer.request("INFO"))
    peer.receive(peer.request("INVITE", body=HOLD))
    peer.receive(peer.request("BYE"))
    assert peer.lines() == ["BYE", "481 INFO", "481 INVITE", "200 BYE"]
    peer.assert_idle()


# --- peers with quirks ----------------------------------------------------------------------------------------------


def test_no_100rel_and_no_update_where_a_peer_cannot() -> None:
    peer = Peer()
    invite = peer.call_out(reliable=False, update=False)
    assert "100rel" not in invite.header("Supported")
    peer.answer(invite, "Allow: UPDATE", "Session-Expires: 200;refresher=uac", "Supported: timer")
    peer.wait(100)
    assert peer.last("INVITE").body == OFFER and "UPDATE" not in peer.lines()


def test_incoming_call_of_a_peer_with_quirks() -> None:
    peer = Peer()
    leg = peer.call_in("Supported: 100rel, timer", "Allow: UPDATE", "Session-Expires: 200;refresher=uas")
    peer.command(Progress(leg=leg, status=183, sdp=ANSWER, reliable=False))
    assert not peer.last("183 INVITE").header("RSeq")
    peer.command(Accept(leg=leg, sdp=ANSWER, update=False))
    peer.ack()
    peer.wait(100)
    assert "INVITE" in peer.lines() and "UPDATE" not in peer.lines()


def test_busy_peer_is_asked_again_when_it_says() -> None:
    """RFC 3261 section 14.2: 500 with Retry-After, because an INVITE of its own was open."""
    peer, leg = talk()
    peer.command(Reoffer(leg=leg, sdp=HOLD))
    first = peer.last("INVITE")
    peer.receive(peer.response(first, 500, "Retry-After: 3"))
    peer.wait(2.9)
    assert peer.last("INVITE") is first and not peer.events
    peer.wait(0.7)
    again = peer.last("INVITE")
    assert again is not first and again.body == HOLD
    peer.receive(peer.response(again, 500, "Retry-After: 300"))
    assert peer.event(ReofferRefused).status == 500


@pytest.mark.parametrize("method", ["INFO", "REFER"])
def test_challenged_requests_inside_a_call(method: str) -> None:
    peer = Peer(answer_challenge=challenge_answerer)
    peer.answer(peer.call_out(credentials=Credentials("me", "secret")))
    if method == "INFO":
        peer.command(SendInfo(leg="out", content_type="application/dtmf", body=b"5"))
    else:
        peer.command(SendRefer(leg="out", target="sip:300@example.com"))
    peer.receive(peer.response(peer.last(method), 401, "WWW-Authenticate: n1"))
    again = peer.last(method)
    assert again.header("Authorization").startswith(f"Proof me {method}")
    peer.receive(peer.response(again, 202))
    assert peer.lines().count(method) == 2 and not [event for event in peer.events if isinstance(event, ReferProgress)]


def test_dialog_of_a_leg_as_others_name_it() -> None:
    peer = Peer()
    invite = peer.call_out()
    assert peer.stack.get_dialog("out") == (invite.call_id, invite.from_tag, "")
    peer.receive(peer.response(invite, 180, tag="one"))
    peer.receive(peer.response(invite, 180, tag="two"))
    assert peer.stack.get_dialog("out") == (invite.call_id, invite.from_tag, "two")
    peer.answer(invite, tag="one")
    assert peer.stack.get_dialog("out") == (invite.call_id, invite.from_tag, "one")
    assert peer.stack.get_dialog("nobody") is None
