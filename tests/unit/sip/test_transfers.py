"""REFER, NOTIFY and Replaces (RFC 3515, 3891, 4488, 5589)."""

import pytest

from pbx.sip.commands import Accept, AnswerRefer, Hangup, NotifyRefer, Progress, SendRefer
from pbx.sip.events import Ended, IncomingCall, Refer, ReferProgress
from tests.unit.sip.peer import ANSWER, OFFER, Peer


def talk() -> tuple[Peer, str]:
    peer = Peer()
    leg = peer.call_in()
    peer.command(Accept(leg=leg, sdp=ANSWER))
    peer.ack()
    peer.clear()
    return peer, leg


def test_blind_transfer_by_the_peer() -> None:
    peer, leg = talk()
    peer.receive(peer.request("REFER", "Refer-To: <sip:300@192.0.2.2>", "Referred-By: <sip:200@192.0.2.1>"))
    assert peer.event(Refer) == Refer(
        leg=leg, target="sip:300@192.0.2.2", target_user="300", referred_by="<sip:200@192.0.2.1>"
    )
    assert peer.lines() == []
    peer.command(AnswerRefer(leg=leg))
    assert peer.lines() == ["202 REFER", "NOTIFY"]
    first = peer.last("NOTIFY")
    assert first.body == b"SIP/2.0 100 Trying\r\n" and first.header("Content-Type").startswith("message/sipfrag")
    assert first.header("Event") == f"refer;id={peer.cseq}"
    assert first.header("Subscription-State").startswith("active;expires=")
    peer.receive(peer.response(first, 200))
    peer.command(NotifyRefer(leg=leg, status=180))
    peer.receive(peer.response(peer.last("NOTIFY"), 200))
    peer.command(NotifyRefer(leg=leg, status=200))
    final = peer.last("NOTIFY")
    assert final.body == b"SIP/2.0 200 OK\r\n"
    assert final.header("Subscription-State") == "terminated;reason=noresource"
    before = len(peer.sent)
    peer.command(NotifyRefer(leg=leg, status=200))
    assert len(peer.sent) == before, "the subscription is over"


def test_transfer_refused_and_then_another() -> None:
    peer, leg = talk()
    for _ in range(2):
        peer.receive(peer.request("REFER", "Refer-To: sip:300@192.0.2.2"))
        peer.command(AnswerRefer(leg=leg, status=603))
    assert peer.lines() == ["603 REFER", "603 REFER"]


def test_one_transfer_at_a_time() -> None:
    peer, leg = talk()
    peer.receive(peer.request("REFER", "Refer-To: <sip:300@192.0.2.2>"))
    peer.receive(peer.request("REFER", "Refer-To: <sip:301@192.0.2.2>"))
    assert peer.lines() == ["491 REFER"]


def test_peer_that_wants_no_notify() -> None:
    """RFC 4488."""
    peer, leg = talk()
    peer.receive(peer.request("REFER", "Refer-To: <sip:300@192.0.2.2>", "Refer-Sub: false"))
    peer.command(AnswerRefer(leg=leg))
    peer.command(NotifyRefer(leg=leg, status=200))
    assert peer.lines() == ["202 REFER"]
    assert peer.last("202 REFER").header("Refer-Sub") == "false"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((), 400),
        (("Refer-To: <sip:1@x>, <sip:2@x>",), 400),
        (("Refer-To: <sip:1@x",), 400),
        (("Refer-To: <http://example.com>",), 416),
        (("Refer-To: <sip:1@x?Replaces=unknown%3Bto-tag%3Da%3Bfrom-tag%3Db>",), 481),
        (("Refer-To: <sip:1@x?Replaces=incomplete>",), 400),
    ],
)
def test_bad_refer_to(headers: tuple[str, ...], status: int) -> None:
    peer, _ = talk()
    peer.receive(peer.request("REFER", *headers))
    assert peer.lines() == [f"{status} REFER"] and not peer.events


def test_refer_before_the_answer_and_outside_a_call() -> None:
    peer = Peer()
    leg = peer.call_in()
    peer.command(Progress(leg=leg))
    peer.to_tag = peer.last("180 INVITE").to_tag
    peer.receive(peer.request("REFER", "Refer-To: <sip:300@192.0.2.2>"))
    assert peer.lines()[-1] == "403 REFER"
    stranger = Peer()
    stranger.receive(stranger.request("REFER", "Refer-To: <sip:300@192.0.2.2>"))
    assert stranger.lines() == ["403 REFER"]


def test_hangup_before_we_answered_the_refer() -> None:
    peer, leg = talk()
    peer.receive(peer.request("REFER", "Refer-To: <sip:300@192.0.2.2>"))
    peer.receive(peer.request("BYE"))
    assert sorted(peer.lines()) == ["200 BYE", "481 REFER"]
    peer.assert_idle()


def test_attended_transfer_names_the_other_leg() -> None:
    """RFC 5589 section 7: the phone has two calls with us and joins them."""
    peer, leg = talk()
    consult = peer.call_out("consult")
    saved = peer.call_id
    peer.answer(consult)
    ours, theirs = consult.from_tag, "peer-tag"
    peer.clear()
    # From the phone's side its own tag is the from-tag and ours the to-tag (RFC 3891 section 3).
    replaces = f"{saved}%3Bto-tag%3D{ours}%3Bfrom-tag%3D{theirs}".replace("@", "%40")
    peer.call_id, peer.tag = "call-1@192.0.2.1", "peer-tag"
    peer.to_tag = peer.stack.export_leg(leg)["dialog"]["local_tag"]  # type: ignore[index]
    peer.receive(peer.request("REFER", f"Refer-To: <sip:100@192.0.2.2?Replaces={replaces}&Require=replaces>", cseq=20))
    assert peer.event(Refer).replaces == "consult" and peer.event(Refer).target == "sip:100@192.0.2.2"


def test_invite_that_replaces_a_call() -> None:
    peer, leg = talk()
    old_call, old_tag = peer.call_id, peer.to_tag
    peer.call_id, peer.tag, peer.to_tag = "call-2@192.0.2.1", "second", ""
    peer.receive(
        peer.request(
            "INVITE", f"Replaces: {old_call};to-tag={old_tag};from-tag=peer-tag", "Require: replaces", body=OFFER
        )
    )
    assert peer.event(IncomingCall).replaces == leg


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("nothing;to-tag=a;from-tag=b", 481),
        ("half;to-tag=a", 400),
        ("{call};to-tag={ours};from-tag=peer-tag;early-only", 486),
    ],
)
def test_invite_that_replaces_what_it_may_not(value: str, status: int) -> None:
    peer, _ = talk()
    value = value.format(call=peer.call_id, ours=peer.to_tag)
    peer.call_id, peer.to_tag = "call-2@192.0.2.1", ""
    peer.receive(peer.request("INVITE", f"Replaces: {value}", body=OFFER))
    assert peer.lines()[-1] == f"{status} INVITE"
    assert not [event for event in peer.events if isinstance(event, IncomingCall)]


def test_caller_may_not_take_over_his_own_unanswered_call() -> None:
    """RFC 3891 section 3: an early dialog is replaceable only where we started it."""
    peer = Peer()
    leg = peer.call_in()
    peer.command(Progress(leg=leg))
    ours = peer.last("180 INVITE").to_tag
    first = peer.call_id
    peer.call_id = "call-2@192.0.2.1"
    peer.receive(peer.request("INVITE", f"Replaces: {first};to-tag={ours};from-tag=peer-tag", body=OFFER))
    assert peer.lines()[-1] == "481 INVITE"


def test_ringing_call_of_ours_can_be_picked_up() -> None:
    """Directed pickup: another phone replaces the early dialog we have with the ringing one."""
    peer = Peer()
    invite = peer.call_out()
    peer.receive(peer.response(invite, 180))
    peer.call_id, peer.to_tag, peer.tag = "pickup@192.0.2.1", "", "other-phone"
    value = f"{invite.call_id};to-tag={invite.from_tag};from-tag=peer-tag;early-only"
    peer.receive(peer.request("INVITE", f"Replaces: {value}", body=OFFER))
    assert peer.event(IncomingCall).replaces == "out"


# --- ours -----------------------------------------------------------------------------------------------------------


def refer(peer: Peer, leg: str) -> None:
    peer.command(SendRefer(leg=leg, target="sip:300@example.com", referred_by="<sip:me@example.com>"))


def notify(peer: Peer, status: str, state: str = "active", **options: str) -> None:
    body = f"SIP/2.0 {status}\r\n".encode()
    kind = options.get("content_type", "message/sipfrag;version=2.0")
    event = options.get("event", "refer")
    peer.receive(
        peer.request("NOTIFY", f"Event: {event}", f"Subscription-State: {state}", body=body, content_type=kind)
    )


def test_our_transfer_is_followed_by_its_notifies() -> None:
    peer, leg = talk()
    refer(peer, leg)
    request = peer.last("REFER")
    assert request.header("Refer-To") == "<sip:300@example.com>"
    assert request.header("Referred-By") == "<sip:me@example.com>"
    notify(peer, "100 Trying")
    peer.receive(peer.response(request, 202))
    notify(peer, "180 Ringing")
    notify(peer, "200 OK", "terminated;reason=noresource")
    progress = [event for event in peer.events if isinstance(event, ReferProgress)]
    assert [(event.status, event.final) for event in progress] == [(100, False), (180, False), (200, True)]
    notify(peer, "200 OK")
    assert peer.lines()[-1] == "481 NOTIFY"


@pytest.mark.parametrize(
    ("status", "state", "final"), [("180 Ringing", "terminated", 408), ("486 Busy", "terminated", 486)]
)
def test_transfer_that_ends_badly(status: str, state: str, final: int) -> None:
    peer, leg = talk()
    refer(peer, leg)
    peer.receive(peer.response(peer.last("REFER"), 202))
    notify(peer, status, state)
    assert peer.event(ReferProgress) == ReferProgress(leg=leg, status=final, final=True)


def test_refused_silent_and_doubled_transfers_of_ours() -> None:
    peer, leg = talk()
    refer(peer, leg)
    refer(peer, leg)
    assert peer.event(ReferProgress).status == 491
    peer.receive(peer.response(peer.last("REFER"), 603))
    refer(peer, leg)
    peer.receive(peer.response(peer.last("REFER"), 202))
    peer.wait(181)
    refer(peer, leg)
    peer.wait(33)
    progress = [event.status for event in peer.events if isinstance(event, ReferProgress)]
    assert progress == [491, 603, 408, 408]


def test_notifies_we_cannot_use() -> None:
    peer, leg = talk()
    notify(peer, "200 OK")
    notify(peer, "200 OK", event="presence")
    refer(peer, leg)
    notify(peer, "200 OK", content_type="text/plain")
    notify(peer, "rubbish")
    assert [line for line in peer.lines() if "NOTIFY" in line] == [
        "481 NOTIFY",
        "489 NOTIFY",
        "415 NOTIFY",
        "400 NOTIFY",
    ]


def test_hangup_in_the_middle_of_a_transfer() -> None:
    peer, leg = talk()
    refer(peer, leg)
    peer.command(Hangup(leg=leg))
    peer.receive(peer.response(peer.last("BYE"), 200))
    peer.receive(peer.response(peer.last("REFER"), 202))
    assert peer.event(Ended).by == "local"
    assert not [event for event in peer.events if isinstance(event, ReferProgress)]
    peer.assert_idle()
