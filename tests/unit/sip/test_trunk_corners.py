"""Corners of trunks and their registrations: late answers, half-usable answers, things that go before they began."""

from __future__ import annotations

import msgspec

from pbx.core.ids import SeededIds
from pbx.sip.commands import Flow
from pbx.sip.identity import Addresses
from pbx.sip.policy import SendRequest
from pbx.sip.trunk_registration import TrunkRegistration
from pbx.sip.trunk_spec import RegistrationSpec
from tests.unit.sip.test_trunks import LOCAL, REGISTERING, WATCHED, done, make, register, requests, run, states

CHALLENGE = 'Digest realm="r", nonce="{}", qop="auth"'


def test_an_unknown_trunk_has_no_targets() -> None:
    trunks, _ = make(WATCHED)
    assert trunks.get_targets("nobody") == ()
    assert trunks.get_targets("watched") == (Flow("udp", "203.0.113.6", 5060),)


def test_an_answer_for_a_trunk_that_was_removed_counts_for_nothing() -> None:
    trunks, _ = make(WATCHED)
    now, outputs = run(trunks, 1.0)
    (probe,) = requests(outputs)
    assert trunks.configure([], now) == []
    assert done(trunks, probe, 200, now) == []
    assert trunks.statuses() == []


def test_a_trunk_removed_before_it_registered_has_nothing_to_take_back() -> None:
    trunks, _ = make(REGISTERING)
    assert trunks.configure([], 0.0) == []
    assert not trunks.is_leaving()
    assert trunks.next_deadline() is None


def test_probes_nobody_answers_take_it_down_with_the_reason() -> None:
    trunks, _ = make(msgspec.structs.replace(WATCHED, health_failures=1))
    now, outputs = run(trunks, 1.0)
    (probe,) = requests(outputs)
    assert states(done(trunks, probe, 0, now)) == [("down", "OPTIONS: no answer (timeout)")]


def test_coming_up_takes_as_many_answers_as_asked_for() -> None:
    trunks, _ = make(msgspec.structs.replace(WATCHED, health_successes=2))
    now, outputs = run(trunks, 1.0)
    assert states(done(trunks, requests(outputs)[0], 200, now)) == []
    now, outputs = run(trunks, 60.0)
    assert states(done(trunks, requests(outputs)[0], 200, now)) == [("up", "answers")]


def test_registered_again_is_not_up_while_no_probe_was_answered() -> None:
    trunks, _ = make(msgspec.structs.replace(REGISTERING, health_interval=600.0, health_timeout=500.0))
    sent: list[SendRequest] = []
    while len(sent) < 2:
        now, outputs = run(trunks, 1.0)
        sent += requests(outputs)
    first, probe = sorted(sent, key=lambda request: request.request.method, reverse=True)
    assert (first.request.method, probe.request.method) == ("REGISTER", "OPTIONS")
    assert states(done(trunks, first, 403, now)) == [("down", "REGISTER: wrong credentials")]
    now, outputs = run(trunks, 40.0)
    (again,) = requests(outputs)
    assert states(done(trunks, again, 200, now)) == []
    assert trunks.is_down("carrier")
    assert trunks.statuses()[0].reason == "REGISTER: wrong credentials", "it stays down for what took it down"
    assert states(done(trunks, probe, 200, now)) == [("up", "registered")]


def test_a_closed_flow_matters_to_registrations_over_connections_only() -> None:
    trunks, _ = make(REGISTERING)
    sent, _ = register(trunks)
    before = trunks.next_deadline()
    assert trunks.flow_closed(sent.flow, 5.0) == []
    assert trunks.next_deadline() == before


def test_a_connection_lost_while_trying_leaves_the_attempt_to_its_own_end() -> None:
    trunks, _ = make(msgspec.structs.replace(REGISTERING, transport="tcp"))
    now, outputs = run(trunks, 1.0)
    (sent,) = requests(outputs)
    assert trunks.flow_closed(sent.flow, now) == []
    assert trunks.next_deadline() is None
    assert states(done(trunks, sent, 0, now)) == [("down", "REGISTER: no answer (timeout)")]


def test_many_addresses_asked_for_do_not_make_it_forget_its_own() -> None:
    trunks, _ = make(WATCHED)
    for number in range(10_002):
        assert trunks.find_by_address(f"10.1.{number >> 8}.{number & 255}") == ""
    assert trunks.find_by_address("203.0.113.6") == "watched"


def test_the_same_answer_twice_counts_once() -> None:
    trunks, _ = make(REGISTERING)
    sent, _ = register(trunks)
    until = trunks.statuses()[0].registered_until
    assert done(trunks, sent, 403, 5.0) == []
    assert (trunks.statuses()[0].registered_until, trunks.is_down("carrier")) == (until, False)


def test_a_challenge_nobody_can_answer_is_a_refusal() -> None:
    trunks, _ = make(REGISTERING)
    now, outputs = run(trunks, 1.0)
    outputs = done(trunks, requests(outputs)[0], 401, now, WWW_Authenticate='Digest realm="r", nonce="n", algorithm=X')
    assert requests(outputs) == []
    assert states(outputs) == [("down", "REGISTER: wrong credentials")]


def test_a_new_nonce_every_time_is_answered_every_time() -> None:
    trunks, _ = make(REGISTERING)
    now = 1.0
    for number in range(20):
        now, outputs = run(trunks, now + 1000.0)
        (sent,) = requests(outputs)
        (proof,) = requests(done(trunks, sent, 401, now, WWW_Authenticate=CHALLENGE.format(number)))
        assert f'nonce="{number}"' in (proof.request.headers["Authorization"] or "")
        assert "nc=00000001" in (proof.request.headers["Authorization"] or "")
        done(trunks, proof, 200, now)
    assert not trunks.is_down("carrier")


def test_a_contact_without_a_lifetime_leaves_it_to_the_expires_header() -> None:
    trunks, _ = make(REGISTERING)
    now, outputs = run(trunks, 1.0)
    (sent,) = requests(outputs)
    contact = sent.request.headers["Contact"].partition(";expires")[0]
    done(trunks, sent, 200, now, Contact=contact, Expires="77")
    assert trunks.statuses()[0].registered_until == now + 77


def test_a_registration_waits_for_its_time_and_for_an_address() -> None:
    spec = RegistrationSpec(domain="d.example", username="u")
    registration = TrunkRegistration(REGISTERING, spec, SeededIds(1), Addresses(LOCAL))
    flow = Flow("udp", "203.0.113.5", 5060)
    assert registration.expire(flow, 1.0) == []
    registration.due = 10.0
    assert registration.expire(flow, 9.0) == []
    assert registration.expire(None, 10.0) == []
    assert (registration.state, registration.problem) == ("waiting", "name cannot be resolved")
    assert registration.due is not None
    (sent,) = registration.expire(flow, registration.due)
    assert (sent.request.method, registration.state) == ("REGISTER", "trying")
