"""Corners of calls and of who may make them."""

from __future__ import annotations

import pytest
from sipmessage import Response

from pbx.sip.auth import Account, DigestAuthenticator, answer_challenge, make_account
from pbx.sip.commands import AnswerReoffer, Credentials, Hangup, Reoffer, RequestAnswer
from pbx.sip.digest import compute_ha1
from pbx.sip.events import IncomingCall, ReofferAnswered
from pbx.sip.guard import GuardRules, SourceGuard
from pbx.sip.identity import Settings
from pbx.sip.policy import Authenticated, Challenged, Rejected
from tests.unit.sip.peer import ANSWER, HELD, HOLD, OFFER, Peer, talk, talk_out
from tests.unit.sip.test_auth import FLOW, KEY, ORIGIN, REALM, answer, challenge, make_request, make_server

# --- calls ----------------------------------------------------------------------------------------------------------


def test_a_ringing_phone_is_asked_to_answer() -> None:
    peer = Peer()
    invite = peer.call_out()
    peer.command(RequestAnswer(leg="out"))
    assert "NOTIFY" not in peer.lines(), "nobody rings yet"
    peer.receive(peer.response(invite, 180))
    peer.command(RequestAnswer(leg="out"))
    notify = peer.last("NOTIFY")
    assert (notify.header("Event"), notify.to_tag) == ("talk", "peer-tag")
    peer.receive(peer.response(notify, 489))
    peer.answer(invite)
    assert peer.lines()[-1] == "ACK", "a phone that does not know it may refuse it"


def test_a_caller_is_never_asked_to_answer() -> None:
    peer, leg = talk()
    assert peer.command(RequestAnswer(leg=leg)) == []


@pytest.mark.parametrize(("symmetric", "port"), [(True, 5099), (False, 5060)])
def test_an_answer_from_elsewhere_moves_the_call_with_symmetric_routing_only(symmetric: bool, port: int) -> None:
    peer = talk_out(settings=Settings(symmetric=symmetric))
    peer.command(Reoffer(leg="out", sdp=HOLD))
    reinvite = peer.last("INVITE")
    answered = peer.response(reinvite, 200, body=HELD, contact="<sip:peer@phone.example>")
    peer.receive(answered, peer.flow._replace(port=5099))
    assert peer.event(ReofferAnswered).sdp == HELD
    peer.command(Hangup(leg="out"))
    assert (peer.lines()[-1], peer.raw[-1].flow.port) == ("BYE", port)


def test_two_replaces_are_one_too_many() -> None:
    peer = Peer()
    replaces = "Replaces: a@b;to-tag=1;from-tag=2"
    peer.receive(peer.request("INVITE", replaces, replaces, body=OFFER))
    assert peer.lines()[-1] == "400 INVITE"
    assert not [event for event in peer.events if isinstance(event, IncomingCall)]


def test_hanging_up_ends_what_a_peer_still_waits_for_an_ack_of() -> None:
    peer, leg = talk()
    peer.receive(peer.request("INVITE", body=HOLD))
    peer.command(AnswerReoffer(leg=leg, sdp=ANSWER))
    peer.command(Hangup(leg=leg))
    answers = peer.lines().count("200 INVITE")
    peer.receive(peer.response(peer.last("BYE"), 200))
    peer.assert_idle()
    assert peer.lines().count("200 INVITE") == answers, "the answer is not sent again into a call that is over"


# --- who may --------------------------------------------------------------------------------------------------------


def test_a_proof_of_the_wrong_kind_is_challenged_again() -> None:
    server, failures = make_server()
    request = answer(challenge(server), make_request())
    value = request.headers["Authorization"].replace("qop=auth", "qop=auth-int")
    request.headers.set("Authorization", value)
    assert isinstance(server.authenticate(request, REALM, FLOW, 11.0), Challenged)
    assert (failures.seen, failures.right) == ([], 0)


def test_an_account_without_a_hash_for_the_algorithm_is_challenged_again() -> None:
    account = Account("1001", ORIGIN, {"MD5": compute_ha1("1001", REALM, "s3cret", "MD5")})
    server = DigestAuthenticator({"1001": account}, KEY, algorithms=("SHA-256",))
    request = answer(challenge(server), make_request())
    assert "algorithm=SHA-256" in request.headers["Authorization"]
    assert isinstance(server.authenticate(request, REALM, FLOW, 11.0), Challenged)


@pytest.mark.parametrize(("password", "kind"), [("s3cret", Authenticated), ("wrong", Rejected)])
def test_credentials_are_judged_without_anybody_counting_failures(password: str, kind: type) -> None:
    server = DigestAuthenticator({"1001": make_account("1001", REALM, "s3cret", ORIGIN)}, KEY)
    result = server.authenticate(answer(challenge(server), make_request(), password=password), REALM, FLOW, 11.0)
    assert isinstance(result, kind)


def test_a_session_algorithm_without_qop_still_tells_its_cnonce() -> None:
    response = Response(401, "")
    response.headers.add("WWW-Authenticate", 'Digest realm="r", nonce="n", algorithm=MD5-sess')
    header = answer_challenge(response, "REGISTER", "sip:r", Credentials("u", "p"), {}, "c0")
    assert header is not None
    assert 'cnonce="c0"' in header[1]
    assert "qop" not in header[1]


def test_an_address_is_the_same_in_either_family_and_a_guard_can_be_off() -> None:
    denied = ("198.51.100.0/24",)
    guard = SourceGuard(GuardRules(deny=denied))
    assert guard.is_shut_out("::ffff:198.51.100.9")
    assert not guard.is_shut_out("::ffff:203.0.113.9")
    assert not SourceGuard(GuardRules(deny=denied, enabled=False)).is_shut_out("198.51.100.9")
