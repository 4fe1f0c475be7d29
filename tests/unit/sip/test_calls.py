"""Calls in and out: provisional responses, answers, CANCEL, forks, challenges (RFC 3261 sections 9, 13, 15, 22)."""

import pytest

from pbx.sip.commands import (
    Accept,
    Acknowledge,
    Credentials,
    Flow,
    Hangup,
    Progress,
    Redirect,
)
from pbx.sip.events import Acknowledged, Answered, Dropped, Ended, IncomingCall, Origin, Ringing
from pbx.sip.identity import LocalIdentity, Settings
from tests.unit.sip.peer import ANSWER, FLOW, LISTENERS, OFFER, PEER, Peer, TrustAs, challenge_answerer

# --- in -------------------------------------------------------------------------------------------------------------


def test_incoming_call_is_described() -> None:
    peer = Peer()
    peer.call_in('P-Asserted-Identity: "Ann" <sip:+4930123@carrier>', "Referred-By: <sip:x@y>")
    call = peer.event(IncomingCall)
    assert (call.called, call.caller, call.caller_name) == ("100", "+4930123", "Ann")
    assert call.sdp == OFFER and call.referred_by == "<sip:x@y>" and call.origin == Origin("trunk", "carrier")
    assert peer.lines() == ["100 INVITE"]


@pytest.mark.parametrize(
    ("user", "caller"),
    [
        ("+4930123", "+4930123"),
        ("*21%2349", "*21#49"),
        ("1%3E%2C%3Csip%3Aboss%40bank", "1%3E,%3Csip:boss%40bank"),
        ("a%0D%0AEvil%3A%20yes", "a%0D%0AEvil:%20yes"),
        ("%22x%22", "%22x%22"),
        ("%E5%BC%A0", "张"),
    ],
)
def test_callers_cannot_break_out_of_what_is_made_of_their_names(user: str, caller: str) -> None:
    peer = Peer()
    invite = peer.request("INVITE", body=OFFER).replace(b"From: Peer <sip:200@", f"From: Peer <sip:{user}@".encode())
    peer.receive(invite)
    assert peer.event(IncomingCall).caller == caller


def test_asserted_identity_of_a_phone_is_not_believed() -> None:
    peer = Peer(origin=Origin("extension", "200"))
    peer.call_in("P-Asserted-Identity: <sip:ceo@carrier>")
    assert peer.event(IncomingCall).caller == "200"


def test_answered_call_end_to_end() -> None:
    peer = Peer()
    leg = peer.call_in("Record-Route: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>")
    peer.command(Progress(leg=leg, status=180))
    peer.command(Accept(leg=leg, sdp=ANSWER, headers=(("X-Call", "7"),)))
    answer = peer.last("200 INVITE")
    assert answer.body == ANSWER and answer.header("X-Call") == "7"
    assert answer.headers.getlist("record-route") == ["<sip:p1.example.com;lr>, <sip:p2.example.com;lr>"]
    assert peer.last("180 INVITE").to_tag == answer.to_tag
    peer.ack()
    assert peer.event(Acknowledged).leg == leg
    peer.command(Hangup(leg=leg, cause=31))
    bye = peer.last("BYE")
    assert bye.headers.getlist("route") == ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"]
    assert str(bye.request.uri) == "sip:peer@192.0.2.1:5060"
    assert bye.header("Reason") == "Q.850;cause=31"
    assert peer.event(Ended) == Ended(leg=leg, by="local", cause=31)
    peer.receive(peer.response(bye, 200))
    peer.assert_idle()


def test_strict_router_gets_the_request_uri() -> None:
    """RFC 3261 section 12.2.1.1."""
    peer = Peer()
    leg = peer.call_in("Record-Route: <sip:old.example.com>", "Record-Route: <sip:p2.example.com;lr>")
    peer.command(Accept(leg=leg, sdp=ANSWER))
    peer.ack()
    peer.command(Hangup(leg=leg))
    bye = peer.last("BYE")
    assert str(bye.request.uri) == "sip:old.example.com"
    assert bye.headers.getlist("route") == ["<sip:p2.example.com;lr>", "<sip:peer@192.0.2.1:5060>"]


def test_remote_hangup_tells_cause_and_text() -> None:
    peer = Peer()
    leg = peer.call_in()
    peer.command(Accept(leg=leg, sdp=ANSWER))
    peer.ack()
    peer.receive(peer.request("BYE", 'Reason: SIP;cause=200, Q.850;cause=34;text="No circuit"'))
    assert peer.event(Ended) == Ended(leg=leg, by="remote", cause=34, reason="No circuit")
    assert peer.lines()[-1] == "200 BYE"
    peer.assert_idle()


def test_refusal_with_reason_and_retry_after() -> None:
    peer = Peer()
    leg = peer.call_in()
    peer.command(Hangup(leg=leg, status=503, reason="Closed Today", cause=42, retry_after=60))
    refusal = peer.last("503 INVITE")
    assert refusal.response.phrase == "Closed Today"
    assert (refusal.header("Retry-After"), refusal.header("Reason")) == ("60", "Q.850;cause=42")
    assert peer.event(Ended) == Ended(leg=leg, by="local", status=503, cause=42, reason="Closed Today")
    peer.assert_idle()


def test_redirect() -> None:
    peer = Peer()
    leg = peer.call_in()
    peer.command(Redirect(leg=leg, contacts=("sip:a@example.com", "sip:b@example.com")))
    moved = peer.last("302 INVITE")
    assert moved.headers.getlist("contact") == ["<sip:a@example.com>", "<sip:b@example.com>"]
    assert peer.event(Ended).status == 302


def test_cancel() -> None:
    peer = Peer()
    leg = peer.call_in()
    peer.command(Progress(leg=leg))
    peer.receive(
        peer.request("CANCEL", 'Reason: SIP;cause=200;text="Call completed elsewhere"', branch=peer.invite_branch)
    )
    assert peer.lines()[-2:] == ["200 CANCEL", "487 INVITE"]
    ended = peer.event(Ended)
    assert (ended.by, ended.status, ended.reason) == ("remote", 487, "Call completed elsewhere")
    peer.assert_idle()


def test_cancel_after_the_answer_changes_nothing() -> None:
    peer = Peer()
    leg = peer.call_in()
    peer.command(Accept(leg=leg, sdp=ANSWER))
    peer.receive(peer.request("CANCEL", branch=peer.invite_branch))
    assert peer.lines()[-1] == "200 CANCEL" and not [e for e in peer.events if isinstance(e, Ended)]


def test_cancel_of_nothing() -> None:
    peer = Peer()
    peer.receive(peer.request("CANCEL", branch="z9hG4bKother"))
    assert peer.lines() == ["481 CANCEL"]
    peer.assert_idle()


def test_bye_on_an_early_dialog() -> None:
    peer = Peer()
    leg = peer.call_in()
    peer.command(Progress(leg=leg))
    peer.to_tag = peer.last("180 INVITE").to_tag
    peer.receive(peer.request("BYE"))
    assert peer.lines()[-2:] == ["200 BYE", "487 INVITE"]
    assert peer.event(Ended).by == "remote"
    peer.assert_idle()


def test_late_offer_in() -> None:
    peer = Peer()
    leg = peer.call_in(body=b"")
    assert peer.event(IncomingCall).sdp is None
    peer.command(Accept(leg=leg, sdp=OFFER))
    peer.ack(ANSWER)
    assert peer.event(Acknowledged).sdp == ANSWER


def test_commands_that_come_too_late_do_nothing() -> None:
    peer = Peer()
    leg = peer.call_in()
    peer.command(Accept(leg=leg, sdp=ANSWER))
    before = len(peer.sent)
    for command in (
        Progress(leg=leg),
        Accept(leg=leg, sdp=ANSWER),
        Redirect(leg=leg, contacts=()),
        Hangup(leg="nobody"),
    ):
        assert peer.command(command) == []
    assert len(peer.sent) == before


def test_in_dialog_requests_out_of_order_and_unknown() -> None:
    peer = Peer()
    leg = peer.call_in()
    peer.command(Accept(leg=leg, sdp=ANSWER))
    peer.ack()
    peer.receive(peer.request("INFO", cseq=50))
    peer.receive(peer.request("INFO", cseq=49))
    assert peer.lines()[-2:] == ["200 INFO", "500 INFO"]
    peer.receive(peer.request("PUBLISH", cseq=51))
    assert peer.lines()[-1] == "405 PUBLISH"
    peer.receive(peer.request("OPTIONS", cseq=52))
    assert "INVITE" in peer.last("200 OPTIONS").header("Allow")
    peer.receive(peer.request("INFO", to_tag="wrong", cseq=53))
    assert peer.lines()[-1] == "481 INFO"


@pytest.mark.parametrize("method", ["BYE", "UPDATE", "PRACK", "INFO", "NOTIFY"])
def test_requests_that_need_a_dialog(method: str) -> None:
    peer = Peer()
    peer.receive(peer.request(method))
    assert peer.lines() == [f"481 {method}"]


def test_options_and_unknown_methods() -> None:
    peer = Peer()
    peer.receive(peer.request("OPTIONS"))
    answer = peer.last("200 OPTIONS")
    assert "application/sdp" in answer.header("Accept") and "replaces" in answer.header("Supported")
    peer.receive(peer.request("PUBLISH"))
    peer.receive(peer.request("FROBNICATE"))
    assert peer.lines()[1:] == ["405 PUBLISH", "501 FROBNICATE"]
    peer.assert_idle()


def test_draining() -> None:
    peer = Peer()
    peer.stack.draining = True
    peer.receive(peer.request("INVITE", body=OFFER))
    peer.receive(peer.request("OPTIONS"))
    assert peer.lines() == ["503 INVITE", "503 OPTIONS"]
    assert peer.last("503 INVITE").header("Retry-After") == "30"
    assert peer.stack.draining and not peer.events


def test_full_stack_refuses() -> None:
    peer = Peer(settings=Settings(max_legs=1))
    peer.call_in()
    peer.call_id = "call-2@192.0.2.1"
    peer.receive(peer.request("INVITE", body=OFFER))
    assert peer.lines()[-1] == "503 INVITE"


def test_flood_beyond_the_transaction_limit_keeps_memory_bounded() -> None:
    peer = Peer(settings=Settings(max_transactions=5))
    for index in range(20):
        peer.call_id = f"flood-{index}"
        peer.receive(peer.request("OPTIONS"))
    assert peer.stack.live()["server_transactions"] == 5
    assert peer.lines().count("503 OPTIONS") == 15


# --- out ------------------------------------------------------------------------------------------------------------


def test_outgoing_call_end_to_end() -> None:
    peer = Peer()
    invite = peer.call_out(
        from_name='A "B"',
        headers=(("P-Asserted-Identity", "<sip:1@x>\r\nEvil: yes"),),
        route=("<sip:edge.example;lr>",),
    )
    assert invite.header("From").startswith('"A \\"B\\"" <sip:100@192.0.2.2>;tag=')
    assert invite.headers.getlist("evil") == [] and invite.header("Route") == "<sip:edge.example;lr>"
    assert invite.body == OFFER and "100rel" in invite.header("Supported")
    peer.receive(peer.response(invite, 100))
    peer.receive(peer.response(invite, 180))
    peer.receive(peer.response(invite, 183, body=ANSWER))
    assert [(e.status, e.sdp) for e in peer.events if isinstance(e, Ringing)] == [(180, None), (183, ANSWER)]
    peer.answer(invite, "Record-Route: <sip:p1;lr>", "Record-Route: <sip:p2;lr>")
    assert peer.event(Answered).sdp == ANSWER
    ack = peer.last("ACK")
    assert ack.headers.getlist("route") == ["<sip:p2;lr>", "<sip:p1;lr>"], "the response's route set, reversed"
    assert ack.branch != invite.branch and ack.cseq == invite.cseq
    peer.receive(peer.request("BYE", cseq=1))
    assert peer.event(Ended) == Ended(leg="out", by="remote")
    peer.assert_idle()


def test_repeated_200_gets_the_same_ack() -> None:
    peer = Peer()
    invite = peer.call_out()
    peer.answer(invite)
    first = peer.raw[-1].data
    peer.receive(peer.response(invite, 200, body=ANSWER))
    assert peer.raw[-1].data == first and len([e for e in peer.events if isinstance(e, Answered)]) == 1


def test_early_media_counts_when_the_200_has_no_sdp() -> None:
    peer = Peer()
    invite = peer.call_out()
    peer.receive(peer.response(invite, 183, body=ANSWER))
    peer.answer(invite, body=b"")
    assert peer.event(Answered).sdp == ANSWER


def test_late_offer_out() -> None:
    peer = Peer()
    invite = peer.call_out(sdp=None)
    assert not invite.body and "100rel" not in invite.header("Supported")
    peer.answer(invite, body=OFFER)
    assert peer.event(Answered).sdp == OFFER and "ACK" not in peer.lines()
    peer.command(Acknowledge(leg="out", sdp=ANSWER))
    assert peer.last("ACK").body == ANSWER
    peer.command(Hangup(leg="out"))
    peer.receive(peer.response(peer.last("BYE"), 200))
    peer.assert_idle()


def test_hangup_before_the_late_answer_still_acknowledges() -> None:
    peer = Peer()
    invite = peer.call_out(sdp=None)
    peer.answer(invite, body=OFFER)
    peer.command(Hangup(leg="out"))
    assert peer.lines()[-2:] == ["ACK", "BYE"]


@pytest.mark.parametrize(
    ("status", "headers", "cause", "reason"),
    [
        (486, (), 17, "X"),
        (404, (), 1, "X"),
        (503, ('Reason: Q.850;cause=34;text="Full"',), 34, "Full"),
        (603, (), 21, "X"),
        (499, (), 31, "X"),
    ],
)
def test_refused_calls(status: int, headers: tuple[str, ...], cause: int, reason: str) -> None:
    peer = Peer()
    invite = peer.call_out()
    peer.receive(peer.response(invite, status, *headers))
    assert peer.event(Ended) == Ended(leg="out", by="remote", status=status, cause=cause, reason=reason)
    peer.assert_idle()


def test_redirection_tells_the_contacts_by_q() -> None:
    peer = Peer()
    invite = peer.call_out()
    contacts = "Contact: <sip:low@x>;q=0.2, <sip:high@x>;q=0.9, <sip:odd@x>;q=odd"
    peer.receive(peer.response(invite, 302, contacts, contact=""))
    assert peer.event(Ended).contacts == ("sip:high@x", "sip:low@x", "sip:odd@x")


def test_cancel_waits_for_the_first_provisional() -> None:
    """RFC 3261 section 9.1."""
    peer = Peer()
    invite = peer.call_out()
    peer.command(Hangup(leg="out", cause=31))
    assert peer.event(Ended) == Ended(leg="out", by="local", cause=31) and "CANCEL" not in peer.lines()
    peer.receive(peer.response(invite, 180))
    cancel = peer.last("CANCEL")
    assert (cancel.branch, cancel.cseq, cancel.request.uri) == (invite.branch, invite.cseq, invite.request.uri)
    assert cancel.header("Reason") == "Q.850;cause=31"
    peer.receive(peer.response(cancel, 200))
    peer.receive(peer.response(invite, 487))
    assert peer.lines()[-1] == "ACK" and len([e for e in peer.events if isinstance(e, Ended)]) == 1
    peer.assert_idle()


def test_cancel_of_a_peer_that_never_ends_the_invite() -> None:
    peer = Peer()
    invite = peer.call_out()
    peer.receive(peer.response(invite, 180))
    peer.command(Hangup(leg="out"))
    peer.receive(peer.response(peer.last("CANCEL"), 200))
    peer.assert_idle()


def test_answer_crossing_the_cancel_is_hung_up() -> None:
    peer = Peer()
    invite = peer.call_out()
    peer.receive(peer.response(invite, 180))
    peer.command(Hangup(leg="out"))
    peer.receive(peer.response(invite, 200, body=ANSWER))
    assert peer.lines()[-2:] == ["ACK", "BYE"]
    assert not [e for e in peer.events if isinstance(e, Answered)]
    peer.receive(peer.response(peer.last("BYE"), 200))
    peer.receive(peer.response(peer.last("CANCEL"), 481))
    peer.assert_idle()


def test_ring_timeout() -> None:
    peer = Peer()
    invite = peer.call_out(timeout=20.0)
    peer.receive(peer.response(invite, 180))
    peer.wait(21)
    ended = peer.event(Ended)
    assert (ended.by, ended.status, ended.cause) == ("timeout", 408, 19)
    assert peer.lines()[-1] == "CANCEL"


def test_forked_call_first_answer_wins() -> None:
    """RFC 3261 section 13.2.2.4: other 2xx are acknowledged and hung up."""
    peer = Peer()
    invite = peer.call_out()
    for tag in ("one", "two", "three"):
        peer.receive(peer.response(invite, 180, tag=tag))
    assert peer.stack.live()["dialogs"] == 3
    peer.answer(invite, tag="two")
    peer.receive(peer.response(invite, 200, tag="three", body=ANSWER))
    assert peer.lines()[-2:] == ["ACK", "BYE"]
    assert peer.last("BYE").to_tag == "three"
    assert peer.event(Answered).leg == "out"
    peer.receive(peer.response(peer.last("BYE"), 200))
    assert peer.stack.live()["dialogs"] == 1
    peer.receive(peer.request("BYE", cseq=9))
    assert peer.event(Ended).by == "remote"
    peer.assert_idle()


def test_unwanted_fork_that_hangs_up_first_takes_nothing_with_it() -> None:
    peer = Peer()
    invite = peer.call_out()
    peer.answer(invite, tag="one")
    peer.receive(peer.response(invite, 200, tag="two", body=ANSWER))
    peer.tag = "two"
    peer.receive(peer.request("INFO", cseq=1))
    peer.receive(peer.request("BYE", cseq=2))
    assert peer.lines()[-2:] == ["481 INFO", "200 BYE"] and peer.stack.leg_ids() == ["out"]
    peer.tag = "one"
    peer.receive(peer.request("BYE", cseq=3))
    assert peer.event(Ended).by == "remote"
    peer.assert_idle()


def test_challenged_call_is_repeated_with_proof() -> None:
    peer = Peer(answer_challenge=challenge_answerer)
    invite = peer.call_out(credentials=Credentials("me", "secret"))
    peer.receive(peer.response(invite, 407, "Proxy-Authenticate: n1"))
    again = peer.last("INVITE")
    assert again.header("Authorization") == "Proof me INVITE sip:200@192.0.2.1 n1"
    assert (again.cseq, again.call_id, again.from_tag) == (invite.cseq + 1, invite.call_id, invite.from_tag)
    assert peer.lines() == ["INVITE", "ACK", "INVITE"] and not peer.events
    peer.answer(again)
    assert peer.last("ACK").header("Authorization"), "the ACK carries the INVITE's credentials (section 22.1)"
    peer.command(Hangup(leg="out"))
    peer.receive(peer.response(peer.last("BYE"), 401, "WWW-Authenticate: n2"))
    assert "Proof me BYE" in peer.last("BYE").header("Authorization")
    peer.receive(peer.response(peer.last("BYE"), 200))
    peer.assert_idle()


def test_wrong_credentials_end_the_call() -> None:
    peer = Peer(answer_challenge=challenge_answerer)
    invite = peer.call_out(credentials=Credentials("me", "wrong"))
    peer.receive(peer.response(invite, 401, "WWW-Authenticate: n1"))
    peer.receive(peer.response(peer.last("INVITE"), 401, "WWW-Authenticate: n1"))
    ended = peer.event(Ended)
    assert (ended.status, ended.cause) == (401, 21)
    peer.assert_idle()


def test_challenge_without_credentials_ends_the_call() -> None:
    peer = Peer()
    peer.receive(peer.response(peer.call_out(), 401, "WWW-Authenticate: n1"))
    assert peer.event(Ended).status == 401


def test_same_leg_twice_is_our_own_mistake() -> None:
    peer = Peer()
    peer.call_out()
    with pytest.raises(ValueError, match="exists already"):
        peer.call_out()


def test_phone_behind_nat_is_reached_where_it_speaks_from() -> None:
    behind_nat = Flow("udp", "203.0.113.9", 40001, "udp")
    peer = Peer()
    peer.receive(peer.request("INVITE", body=OFFER, contact="<sip:peer@10.0.0.7:5060>"), behind_nat)
    leg = peer.event(IncomingCall).leg
    peer.command(Accept(leg=leg, sdp=ANSWER))
    peer.to_tag = peer.last("200 INVITE").to_tag
    moved = behind_nat._replace(port=40002)
    peer.receive(peer.request("ACK", cseq=peer.last("200 INVITE").cseq), moved)
    peer.command(Hangup(leg=leg))
    assert peer.raw[-1].flow == moved
    assert str(peer.last("BYE").request.uri) == "sip:peer@10.0.0.7:5060"


def test_without_symmetric_routing_the_contact_or_route_decides() -> None:
    peer = Peer(settings=Settings(symmetric=False))
    leg = peer.call_in(body=OFFER)
    peer.command(Accept(leg=leg, sdp=ANSWER))
    peer.ack()
    peer.receive(peer.request("INFO", contact="<sip:peer@192.0.2.77:5099>"))
    peer.receive(peer.request("UPDATE", contact="<sip:peer@192.0.2.77:5099>"))
    peer.command(Hangup(leg=leg))
    assert peer.raw[-1].flow == Flow("udp", "192.0.2.77", 5099, "udp")


def test_peers_outside_are_told_the_external_address() -> None:
    peer = Peer()
    local = LocalIdentity(listeners=LISTENERS, external_host="198.51.100.7", local_networks=("192.0.2.0/24",))
    peer.stack.configure(TrustAs(Origin("trunk", "carrier")), local)
    inside = peer.call_out("inside")
    outside = peer.call_out("outside", flow=Flow("udp", "203.0.113.9", 5060, "udp"))
    assert "192.0.2.2" in inside.header("Contact") and "198.51.100.7" in outside.header("Contact")
    assert outside.via.host == "198.51.100.7"


def test_connection_that_closes_in_a_call_is_opened_again_by_the_next_request() -> None:
    tcp = Flow("tcp", PEER, 50123, "tcp", 3)
    peer = Peer(flow=tcp)
    invite = peer.call_out()
    peer.answer(invite, contact="<sip:peer@192.0.2.1:5060;transport=tcp>")
    peer.take(peer.stack.flow_closed(tcp, peer.now))
    peer.command(Hangup(leg="out"))
    assert peer.raw[-1].flow == Flow("tcp", PEER, 5060, "tcp", 0)


def test_export_and_import_after_a_restart() -> None:
    before = Peer()
    leg = before.call_in("Allow: UPDATE, INVITE", "Supported: timer", "Session-Expires: 600;refresher=uac")
    assert before.stack.export_leg(leg) is None, "an unanswered call is not worth keeping"
    before.command(Accept(leg=leg, sdp=ANSWER))
    before.ack()
    state = before.stack.export_leg(leg)
    assert state is not None
    after = Peer()
    after.to_tag, after.call_id, after.cseq = before.to_tag, before.call_id, before.cseq
    assert after.stack.import_leg(state, after.now) == []
    assert after.stack.import_leg(state, after.now) == [], "twice is as good as once"
    assert after.stack.leg_ids() == [leg] and after.stack.get_flow(leg) == FLOW
    assert after.stack.export_leg(leg) == {
        **state,
        "dialog": {**state["dialog"], "local_cseq": state["dialog"]["local_cseq"] + 100},
    }
    after.receive(after.request("INFO"))
    assert after.lines() == ["200 INFO"]
    after.command(Hangup(leg=leg))
    bye = after.last("BYE")
    assert bye.from_tag == before.to_tag and bye.cseq > 100
    assert after.event(Ended).by == "local"


def test_imported_leg_still_has_its_session_timer() -> None:
    before = Peer()
    leg = before.call_in("Supported: timer", "Session-Expires: 600;refresher=uac")
    before.command(Accept(leg=leg, sdp=ANSWER))
    before.ack()
    state = before.stack.export_leg(leg)
    assert state is not None
    after = Peer()
    after.stack.import_leg(state, after.now)
    after.wait(600)
    assert after.event(Ended).reason == "session expired"


def test_garbage_in_responses_is_dropped() -> None:
    peer = Peer()
    invite = peer.call_out()
    good = peer.response(invite, 200, body=ANSWER)
    peer.receive(good.replace(b"CSeq: 1", b"CSeq: x"))
    assert peer.event(Dropped).reason == "Bad CSeq" and peer.lines() == ["INVITE"]


# --- transports -----------------------------------------------------------------------------------------------------


LONG = (("X-Long", "x" * 1500),)
TCP = Flow("tcp", PEER, 5060)


def test_long_request_goes_by_tcp() -> None:
    """RFC 3261 section 18.1.1."""
    peer = Peer()
    invite = peer.call_out(headers=LONG)
    assert peer.raw[-1].flow == TCP and peer.lines() == ["INVITE"]
    assert invite.via.transport == "TCP" and "transport=tcp" in invite.header("Contact")
    peer.answer(invite)
    assert peer.event(Answered).leg == "out"


def test_long_request_goes_by_udp_where_tcp_fails_and_that_is_remembered() -> None:
    peer = Peer()
    peer.call_out(headers=LONG)
    peer.take(peer.stack.flow_closed(TCP, peer.now))
    assert peer.raw[-1].flow == FLOW and peer.last("INVITE").via.transport == "UDP" and not peer.events
    peer.answer(peer.last("INVITE"))
    assert peer.event(Answered).leg == "out"
    peer.call_out("second", headers=LONG)
    assert peer.raw[-1].flow == FLOW


@pytest.mark.parametrize(
    ("uri", "settings"),
    [
        ("sip:200@10.1.2.3:5060", Settings()),
        ("sip:200@192.0.2.1:5099", Settings()),
        ("sip:200@192.0.2.1", Settings(tcp_above_bytes=0)),
        ("sip:200@192.0.2.1", Settings(tcp_above_bytes=9000)),
    ],
)
def test_long_request_stays_on_udp(uri: str, settings: Settings) -> None:
    peer = Peer(settings=settings)
    peer.call_out(uri=uri, headers=LONG)
    assert peer.raw[-1].flow == FLOW


def test_transaction_without_a_connection_number_fails_with_the_connection_it_was_given() -> None:
    peer = Peer(flow=TCP)
    peer.call_out()
    peer.take(peer.stack.flow_closed(TCP._replace(listener="tcp", connection=9), peer.now))
    assert peer.event(Ended).by == "transport"


def test_closed_connection_of_another_peer_changes_nothing() -> None:
    peer = Peer(flow=TCP._replace(connection=3))
    peer.call_out()
    for other in (TCP._replace(connection=4), TCP._replace(host="192.0.2.9", connection=3)):
        assert peer.take(peer.stack.flow_closed(other, peer.now)) == []


# --- hops and times -------------------------------------------------------------------------------------------------


def test_hops_are_told_and_end() -> None:
    peer = Peer()
    peer.receive(peer.request("INVITE", body=OFFER).replace(b"Max-Forwards: 70", b"Max-Forwards: 5"))
    assert peer.event(IncomingCall).max_forwards == 5
    assert peer.call_out(max_forwards=4).header("Max-Forwards") == "4"
    peer.call_id, peer.to_tag = "call-2", ""
    peer.receive(peer.request("INVITE", body=OFFER).replace(b"Max-Forwards: 70", b"Max-Forwards: 0"))
    assert peer.lines()[-1] == "483 INVITE"


def test_invitation_that_expires() -> None:
    """RFC 3261 section 13.3.1."""
    peer = Peer()
    leg = peer.call_in("Expires: 20")
    peer.wait(21)
    assert "487 INVITE" in peer.lines()
    assert peer.event(Ended) == Ended(leg=leg, by="timeout", status=487, cause=102, reason="invitation expired")
    peer.assert_idle()


def test_answered_invitation_does_not_expire() -> None:
    peer = Peer()
    leg = peer.call_in("Expires: 20")
    peer.command(Accept(leg=leg, sdp=ANSWER))
    peer.ack()
    peer.wait(30)
    assert not [event for event in peer.events if isinstance(event, Ended)]


def test_retry_after_is_passed_on() -> None:
    peer = Peer()
    peer.receive(peer.response(peer.call_out(), 503, "Retry-After: 120 (maintenance);duration=60"))
    assert peer.event(Ended).retry_after == 120


def test_each_fork_has_its_own_early_media() -> None:
    peer = Peer()
    invite = peer.call_out()
    peer.receive(peer.response(invite, 183, tag="one", body=ANSWER))
    peer.receive(peer.response(invite, 183, tag="two", body=OFFER))
    peer.answer(invite, tag="one", body=b"")
    assert peer.event(Answered).sdp == ANSWER


# --- Session-ID -----------------------------------------------------------------------------------------------------

THEIRS = "a" * 32
NOBODY = "0" * 32


def test_session_id_of_an_outgoing_call() -> None:
    """RFC 7989: ours first, theirs as soon as they told it."""
    peer = Peer()
    invite = peer.call_out(session_id="b" * 32)
    assert invite.header("Session-ID") == f"{'b' * 32};remote={NOBODY}"
    peer.answer(invite, f"Session-ID: {THEIRS.upper()};remote={'b' * 32}")
    assert peer.last("ACK").header("Session-ID") == f"{'b' * 32};remote={THEIRS}"
    peer.receive(peer.request("INFO", cseq=1))
    assert peer.last("200 INFO").header("Session-ID") == f"{'b' * 32};remote={THEIRS}"
    fresh = peer.call_out("other").header("Session-ID")
    assert len(fresh) == 32 + len(";remote=") + 32 and not fresh.startswith("b")


def test_session_id_of_an_incoming_call() -> None:
    peer = Peer()
    leg = peer.call_in(f"Session-ID: {THEIRS};remote={NOBODY}")
    peer.command(Accept(leg=leg, sdp=ANSWER))
    said = peer.last("200 INVITE").header("Session-ID")
    assert said.endswith(f";remote={THEIRS}") and said[:32] not in (THEIRS, NOBODY)
    peer.ack()
    peer.command(Hangup(leg=leg))
    assert peer.last("BYE").header("Session-ID") == said


def test_session_id_can_be_left_out() -> None:
    peer = Peer(settings=Settings(session_id=False))
    assert not peer.call_out().header("Session-ID")
    peer.call_in()
    assert not any(packet.header("Session-ID") for packet in peer.sent)
