"""Inside a call: PRACK, session timers, INFO, MESSAGE (RFC 3262, RFC 4028, RFC 6086, RFC 3428)."""

import pytest

from pbx.sip.commands import (
    Accept,
    Hangup,
    Progress,
    SendInfo,
    SendMessage,
)
from pbx.sip.events import (
    Acknowledged,
    Ended,
    Info,
    InfoDigit,
    Ringing,
    TextMessage,
)
from pbx.sip.identity import Settings
from tests.unit.sip.peer import ANSWER, FLOW, OFFER, Peer, end, talk, talk_out

# --- PRACK ----------------------------------------------------------------------------------------------------------


def test_reliable_provisional_is_repeated_until_prack_and_delays_the_answer() -> None:
    """RFC 3262 section 3."""
    peer = Peer()
    leg = peer.call_in("Supported: 100rel")
    peer.command(Progress(leg=leg, status=183, sdp=ANSWER))
    peer.command(Progress(leg=leg, status=180, sdp=ANSWER))
    peer.command(Accept(leg=leg, sdp=ANSWER))
    peer.wait(2.0)
    assert peer.lines() == ["100 INVITE", "183 INVITE", "183 INVITE", "183 INVITE"]
    early = peer.last("183 INVITE")
    assert early.header("Require") == "100rel"
    peer.to_tag = early.to_tag
    rseq = int(early.header("RSeq"))
    peer.receive(peer.request("PRACK", f"RAck: {rseq + 5} {early.cseq} INVITE"))
    assert peer.lines()[-1] == "481 PRACK"
    peer.receive(peer.request("PRACK", "RAck: nonsense"))
    assert peer.lines()[-1] == "400 PRACK"
    peer.receive(peer.request("PRACK", f"RAck: {rseq} {early.cseq} INVITE"))
    assert peer.lines()[-2:] == ["200 PRACK", "180 INVITE"]
    ringing = peer.last("180 INVITE")
    assert int(ringing.header("RSeq")) == rseq + 1
    peer.receive(peer.request("PRACK", f"RAck: {rseq + 1} {early.cseq} INVITE"))
    assert peer.lines()[-2:] == ["200 PRACK", "200 INVITE"]
    assert not peer.last("200 INVITE").body, "the answer went out in the 183 already"
    peer.ack()
    end(peer, leg)


def test_offer_of_ours_in_a_reliable_provisional_is_answered_by_prack() -> None:
    """RFC 3262 section 5, RFC 6337 pattern 4: the INVITE had no offer and requires 100rel."""
    peer = Peer()
    leg = peer.call_in("Require: 100rel", body=b"")
    peer.command(Progress(leg=leg, status=183, sdp=OFFER))
    early = peer.last("183 INVITE")
    assert early.body == OFFER
    peer.to_tag = early.to_tag
    peer.receive(peer.request("PRACK", f"RAck: {early.header('RSeq')} {early.cseq} INVITE", body=ANSWER))
    assert peer.lines()[-1] == "200 PRACK"
    peer.command(Accept(leg=leg, sdp=OFFER))
    assert not peer.last("200 INVITE").body
    peer.ack()
    assert peer.event(Acknowledged).sdp == ANSWER


def test_reliable_provisional_without_prack_fails_the_call() -> None:
    peer = Peer()
    leg = peer.call_in("Require: 100rel")
    peer.command(Progress(leg=leg, status=180))
    peer.wait(33)
    assert "504 INVITE" in peer.lines()
    assert peer.event(Ended) == Ended(leg=leg, by="timeout", status=504, cause=102, reason="no PRACK")
    peer.assert_idle()


def test_cancel_with_a_reliable_provisional_outstanding() -> None:
    peer = Peer()
    leg = peer.call_in("Require: 100rel")
    peer.command(Progress(leg=leg, status=180))
    peer.receive(peer.request("CANCEL", branch=peer.invite_branch))
    assert peer.lines()[-2:] == ["200 CANCEL", "487 INVITE"]
    peer.assert_idle()


def test_reliable_responses_of_the_peer_are_acknowledged_in_order() -> None:
    """RFC 3262 section 4."""
    peer = Peer()
    invite = peer.call_out()
    first = peer.response(invite, 183, "Require: 100rel", "RSeq: 7", body=ANSWER)
    peer.receive(first)
    prack = peer.last("PRACK")
    assert prack.header("RAck") == f"7 {invite.cseq} INVITE" and prack.cseq == invite.cseq + 1
    peer.receive(peer.response(prack, 200))
    peer.receive(first)
    peer.receive(peer.response(invite, 180, "Require: 100rel", "RSeq: 9"))
    assert peer.lines().count("PRACK") == 1 and peer.event(Ringing).status == 183
    peer.receive(peer.response(invite, 180, "Require: 100rel", "RSeq: 8"))
    assert peer.last("PRACK").header("RAck") == f"8 {invite.cseq} INVITE"
    peer.answer(invite)
    peer.command(Hangup(leg="out"))
    assert peer.last("BYE").cseq == invite.cseq + 3, "CSeq goes on from the PRACKs"


def test_provisional_is_unreliable_where_the_peer_cannot() -> None:
    peer = Peer()
    leg = peer.call_in()
    peer.command(Progress(leg=leg, status=183, sdp=ANSWER))
    assert not peer.last("183 INVITE").header("Require")
    peer.command(Accept(leg=leg, sdp=ANSWER))
    assert peer.last("200 INVITE").body == ANSWER


# --- session timers -------------------------------------------------------------------------------------------------


def test_session_interval_too_small() -> None:
    peer = Peer()
    peer.receive(peer.request("INVITE", "Session-Expires: 30", "Supported: timer", body=OFFER))
    assert peer.last("422 INVITE").header("Min-SE") == "90" and not peer.events
    assert peer.stack.leg_ids() == []
    peer.assert_idle()


def test_peer_refreshes_and_is_watched() -> None:
    peer = Peer()
    leg = peer.call_in("Supported: timer", "Session-Expires: 200;refresher=uac")
    peer.command(Accept(leg=leg, sdp=ANSWER))
    assert peer.last("200 INVITE").header("Session-Expires") == "200;refresher=uac"
    assert peer.last("200 INVITE").header("Require") == "timer"
    peer.ack()
    peer.wait(160)
    peer.receive(peer.request("UPDATE", "Supported: timer", "Session-Expires: 200;refresher=uac"))
    peer.wait(160)
    assert not [event for event in peer.events if isinstance(event, Ended)]
    peer.wait(10)
    assert peer.event(Ended).reason == "session expired" and peer.lines()[-1] == "BYE"


def test_we_refresh_for_a_peer_without_timers() -> None:
    peer = Peer()
    leg = peer.call_in("Session-Expires: 200")
    peer.command(Accept(leg=leg, sdp=ANSWER))
    answer = peer.last("200 INVITE")
    assert answer.header("Session-Expires") == "200;refresher=uas" and not answer.header("Require")
    peer.ack()
    peer.clear()
    peer.wait(100)
    refresh = peer.last("INVITE")
    assert refresh.body == ANSWER, "the same description, since the peer did not allow UPDATE"
    peer.receive(peer.response(refresh, 200, "Session-Expires: 200;refresher=uac", body=OFFER))
    assert not peer.events, "a refresh is nobody's business"
    peer.wait(99)
    assert peer.lines() == ["INVITE", "ACK"]
    peer.wait(1)
    assert peer.lines() == ["INVITE", "ACK", "INVITE"]


def test_refresh_by_update_without_sdp() -> None:
    peer = talk_out("Allow: UPDATE", "Session-Expires: 200;refresher=uac", "Supported: timer")
    peer.wait(100)
    update = peer.last("UPDATE")
    assert not update.body and update.header("Session-Expires") == "200;refresher=uac"
    peer.receive(peer.response(update, 422, "Min-SE: 300"))
    again = peer.last("UPDATE")
    assert again.header("Session-Expires").startswith("300") and again.header("Min-SE") == "300"
    peer.receive(peer.response(again, 500))
    assert not peer.events
    peer.wait(50)
    assert peer.lines().count("UPDATE") == 3, "tried once more before the session expires"


def test_call_is_repeated_with_a_longer_interval() -> None:
    peer = Peer()
    invite = peer.call_out()
    peer.receive(peer.response(invite, 422, "Min-SE: 4000"))
    assert peer.last("INVITE").header("Session-Expires") == "4000"
    assert peer.last("INVITE").header("Min-SE") == "4000"
    peer.receive(peer.response(peer.last("INVITE"), 422, "Min-SE: 5000"))
    assert peer.event(Ended).status == 422


def test_no_timers_where_they_are_off() -> None:
    peer = Peer(settings=Settings(session_expires=0))
    assert not peer.call_out().header("Session-Expires")
    leg = peer.stack.leg_ids()[0]
    peer.command(Hangup(leg=leg))


# --- INFO, MESSAGE --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body", "digit", "duration"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=250\r\n", "5", 250),
        ("application/dtmf-relay", b"Signal= 11\nDuration= 100\n", "#", 100),
        ("application/dtmf-relay", b"signal=*\r\n", "*", 160),
        ("application/dtmf", b"7", "7", 160),
        ("application/dtmf", b"10\r\n", "*", 160),
    ],
)
def test_digits_by_info(kind: str, body: bytes, digit: str, duration: int) -> None:
    peer, leg = talk()
    peer.receive(peer.request("INFO", body=body, content_type=kind))
    assert peer.event(InfoDigit) == InfoDigit(leg=leg, digit=digit, duration_ms=duration)
    assert peer.lines() == ["200 INFO"]


@pytest.mark.parametrize("kind", ["application/dtmf-relay", "application/dtmf"])
def test_digit_nobody_has(kind: str) -> None:
    peer, _ = talk()
    peer.receive(peer.request("INFO", body=b"Signal=99", content_type=kind))
    assert peer.lines() == ["400 INFO"] and not peer.events


def test_other_info_both_ways() -> None:
    peer, leg = talk()
    peer.receive(peer.request("INFO", body=b"<media_control/>", content_type="application/media_control+xml"))
    assert peer.event(Info) == Info(leg=leg, content_type="application/media_control+xml", body=b"<media_control/>")
    peer.command(SendInfo(leg=leg, content_type="application/dtmf", body=b"5"))
    info = peer.last("INFO")
    assert info.header("Content-Type") == "application/dtmf" and info.body == b"5"
    peer.receive(peer.response(info, 200))
    end(peer, leg)


def test_messages() -> None:
    peer, leg = talk()
    peer.receive(peer.request("MESSAGE", body=b"hello", content_type="text/plain"))
    assert peer.event(TextMessage).body == b"hello" and peer.lines() == ["202 MESSAGE"]
    outside = Peer()
    outside.receive(outside.request("MESSAGE", body="你好".encode(), content_type="text/plain"))
    assert outside.event(TextMessage).to == "100"
    outside.command(
        SendMessage(
            uri="sip:200@192.0.2.1", flow=FLOW, from_uri="sip:100@192.0.2.2", content_type="text/plain", body=b"yes"
        )
    )
    assert outside.last("MESSAGE").body == b"yes"
    outside.receive(outside.response(outside.last("MESSAGE"), 200))
    outside.assert_idle()
