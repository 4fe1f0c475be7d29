"""Trunks: registering, watching, recognising."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from sipmessage import URI, Request, Response

from pbx.core.ids import SeededIds
from pbx.sip.commands import Credentials, Flow
from pbx.sip.digest import compute_ha1, compute_response, parse_digest
from pbx.sip.events import Output, TrunkState
from pbx.sip.identity import Listener, LocalIdentity
from pbx.sip.policy import RequestDone, SendRequest
from pbx.sip.trunk_spec import RegistrationSpec, TrunkSpec
from pbx.sip.trunks import Trunks

LOCAL = LocalIdentity(
    (Listener("udp", "udp", "192.0.2.1", 5060), Listener("tcp", "tcp", "192.0.2.1", 5060)), contact_user="tandem"
)
REGISTERING = TrunkSpec(
    name="carrier",
    host="203.0.113.5",
    credentials=Credentials("acct", "pw"),
    registration=RegistrationSpec(domain="sip.carrier.example", username="acct", contact_user="7700"),
    health_interval=0.0,
)
WATCHED = TrunkSpec(name="watched", host="203.0.113.6", health_interval=30.0, health_timeout=5.0, health_failures=3)


def make(*specs: TrunkSpec, now: float = 0.0) -> tuple[Trunks, list[Output]]:
    trunks = Trunks(SeededIds(1), LOCAL)
    return trunks, trunks.configure(specs, now)


def requests(outputs: Iterable[Output]) -> list[SendRequest]:
    return [output for output in outputs if isinstance(output, SendRequest)]


def states(outputs: Iterable[Output]) -> list[tuple[str, str]]:
    return [(output.state, output.reason) for output in outputs if isinstance(output, TrunkState)]


def run(trunks: Trunks, until: float) -> tuple[float, list[Output]]:
    """Let time pass to the next thing that happens, at most to ``until``."""
    while (deadline := trunks.next_deadline()) is not None and deadline.at <= until:
        outputs = trunks.expire(deadline.at)
        if outputs:
            return deadline.at, outputs
    return until, []


def done(trunks: Trunks, sent: SendRequest, code: int = 0, now: float = 0.0, **headers: str) -> list[Output]:
    response = None
    if code:
        response = Response(code, "Text")
        for name, value in headers.items():
            response.headers.add(name.replace("_", "-"), value)
    return trunks.request_done(
        RequestDone(key=sent.key, response=response, flow=sent.flow, failure="" if code else "timeout"), now
    )


def register(trunks: Trunks, now: float = 1.0, expires: int = 600) -> tuple[SendRequest, list[Output]]:
    now, outputs = run(trunks, now)
    (sent,) = requests(outputs)
    contact = sent.request.headers["Contact"].partition(";expires")[0] + f";expires={expires}"
    return sent, done(trunks, sent, 200, now, Contact=f"<sip:other@192.0.2.99>;expires=9, {contact}")


def test_register_challenge_register_refresh() -> None:
    trunks, outputs = make(REGISTERING)
    assert outputs == []
    now, outputs = run(trunks, 1.0)
    (first,) = requests(outputs)
    headers = first.request.headers
    assert (first.request.method, str(first.request.uri)) == ("REGISTER", "sip:sip.carrier.example")
    assert first.flow == Flow("udp", "203.0.113.5", 5060)
    assert headers["To"] == "<sip:acct@sip.carrier.example>"
    assert headers["Contact"].startswith("<sip:7700@192.0.2.1:5060;rt=")
    (second,) = requests(
        done(trunks, first, 401, now, WWW_Authenticate='Digest realm="r", nonce="n", qop="auth", algorithm=MD5')
    )
    given = parse_digest(second.request.headers["Authorization"])
    assert given is not None
    expected = compute_response(
        "MD5", compute_ha1("acct", "r", "pw"), "REGISTER", "sip:sip.carrier.example", "n",
        qop="auth", nc="00000001", cnonce=given["cnonce"],
    )  # fmt: skip
    assert given["response"] == expected
    assert second.request.headers["Call-ID"] == headers["Call-ID"]
    assert [int(r.request.headers["CSeq"].split()[0]) for r in (first, second)] == [1, 2]
    contact = second.request.headers["Contact"].partition(";expires")[0]
    outputs = done(trunks, second, 200, now, Contact=f"<sip:x@192.0.2.9>;expires=9, {contact};expires=100")
    assert states(outputs) == [("up", "registered")]
    assert trunks.statuses()[0].registered_until == now + 100
    at, outputs = run(trunks, now + 100)
    assert now + 70 <= at <= now + 85
    assert len(requests(outputs)) == 1
    assert states(outputs) == []


def test_wrong_credentials_end_it_and_back_off_grows_with_jitter() -> None:
    trunks, _ = make(REGISTERING)
    now, outputs = run(trunks, 1.0)
    challenge = 'Digest realm="r", nonce="{}", qop="auth"'
    (again,) = requests(done(trunks, requests(outputs)[0], 401, now, WWW_Authenticate=challenge.format("a")))
    outputs = done(trunks, again, 401, now, WWW_Authenticate=challenge.format("b"))
    (third,) = requests(outputs)
    assert states(done(trunks, third, 401, now, WWW_Authenticate=challenge.format("c"))) == [
        ("down", "REGISTER: wrong credentials")
    ]
    assert trunks.is_down("carrier")
    waits = []
    for _ in range(8):
        at, outputs = run(trunks, now + 10_000)
        waits.append(at - now)
        now = at
        assert states(done(trunks, requests(outputs)[0], 403, now)) == []
    assert all(
        0.75 * ideal <= wait <= ideal for wait, ideal in zip(waits, (30, 60, 120, 240, 480, 900, 900, 900), strict=True)
    )
    assert len({wait / ideal for wait, ideal in zip(waits, (30, 60, 120, 240, 480, 900, 900, 900), strict=True)}) > 5


def test_silence_keeps_the_trunk_up_until_the_binding_runs_out() -> None:
    trunks, _ = make(REGISTERING)
    register(trunks, expires=100)
    seen: list[tuple[float, str]] = []
    now = 1.0
    while now < 200.0:
        now, outputs = run(trunks, 200.0)
        seen += [(now, state) for state, _ in states(outputs)]
        for sent in requests(outputs):
            seen += [(now, state) for state, _ in states(done(trunks, sent, 0, now))]
    ((at, state),) = seen
    assert state == "down"
    assert 100.0 <= at <= 101.5
    now, outputs = run(trunks, 10_000)
    (sent,) = requests(outputs)
    assert states(done(trunks, sent, 200, now, Expires="60")) == [("up", "registered")]


def test_min_expires_and_retry_after_are_heeded() -> None:
    trunks, _ = make(REGISTERING)
    now, outputs = run(trunks, 1.0)
    (sent,) = requests(done(trunks, requests(outputs)[0], 423, now, Min_Expires="1800"))
    assert sent.request.headers["Expires"] == "1800"
    done(trunks, sent, 503, now, Retry_After="400 (maintenance)")
    at, _ = run(trunks, now + 1000)
    assert at - now >= 400


def test_useless_423_is_a_failure_not_a_circle() -> None:
    trunks, _ = make(REGISTERING)
    now, outputs = run(trunks, 1.0)
    assert requests(done(trunks, requests(outputs)[0], 423, now, Min_Expires="10")) == []
    assert trunks.is_down("carrier")


def test_next_target_after_silence() -> None:
    spec = TrunkSpec(
        name="c", host="sip.example.com", health_interval=0.0,
        registration=RegistrationSpec(domain="sip.example.com", username="u"),
    )  # fmt: skip
    trunks, outputs = make(spec)
    assert outputs == []
    assert trunks.next_deadline() is None
    assert [s.name for s in trunks.names()] == ["c"]
    one, two = spec.make_flow("203.0.113.1", 5070), spec.make_flow("203.0.113.2")
    trunks.set_targets("c", [one, two], 10.0)
    now, outputs = run(trunks, 20.0)
    (sent,) = requests(outputs)
    assert sent.flow == one
    done(trunks, sent, 0, now)
    assert trunks.get_flow("c") == two
    assert trunks.get_targets("c") == (two, one)
    now, outputs = run(trunks, 100.0)
    assert requests(outputs)[0].flow == two
    trunks.set_targets("c", [two], now)
    assert trunks.get_flow("c") == two
    assert trunks.find_origin(Request("INVITE", URI.parse("sip:1@x")), Flow("udp", "203.0.113.2", 999)) == "c"


def test_a_name_that_leads_nowhere_takes_the_trunk_down_until_it_leads_somewhere() -> None:
    spec = TrunkSpec(name="c", host="sip.example.com", health_interval=0.0)
    trunks, _ = make(spec)
    assert states(trunks.set_targets("c", [], 1.0)) == [("down", "DNS: its name leads nowhere")]
    assert states(trunks.set_targets("c", [], 2.0)) == []
    assert states(trunks.set_targets("c", [spec.make_flow("203.0.113.1")], 3.0)) == [("up", "not watched")]
    assert trunks.set_targets("c", [], 4.0) == []
    assert trunks.get_flow("c") == spec.make_flow("203.0.113.1")
    assert trunks.set_targets("unknown", [], 4.0) == []


def test_a_closed_connection_registers_again_soon_but_not_in_a_circle() -> None:
    trunks, _ = make(TrunkSpec(name="c", host="203.0.113.5", transport="tcp", health_interval=0.0,
                               registration=RegistrationSpec(domain="d", username="u")))  # fmt: skip
    sent, _ = register(trunks)
    flow = sent.flow._replace(connection=7)
    trunks.flow_closed(Flow("tcp", "203.0.113.77", 5060, "", 8), 10.0)
    assert trunks.next_deadline().at > 400  # type: ignore[union-attr]
    trunks.flow_closed(flow, 10.0)
    now, outputs = run(trunks, 20.0)
    assert 10.1 <= now <= 12.0
    done(trunks, requests(outputs)[0], 200, now)
    trunks.flow_closed(flow, 13.0)
    now, _ = run(trunks, 100.0)
    assert now >= 13.0 + 22.5


def test_options_take_a_trunk_down_and_up() -> None:
    trunks, outputs = make(WATCHED)
    assert states(outputs) == []
    now, outputs = run(trunks, 1.0)
    (sent,) = requests(outputs)
    assert (sent.request.method, str(sent.request.uri)) == ("OPTIONS", "sip:203.0.113.6")
    assert states(done(trunks, sent, 404, now)) == [("up", "answers")]
    log: list[tuple[str, str]] = []
    started = now
    while not log:
        now, outputs = run(trunks, now + 100)
        log += states(outputs)
    assert log == [("down", "OPTIONS: no answer (timeout)")]
    assert now - started < 30 + 3 * (5 + 5) + 1
    now, outputs = run(trunks, now + 100)
    (sent,) = requests(outputs)
    assert states(done(trunks, sent, 200, now)) == [("up", "answers")]
    assert not trunks.is_down("watched")


@pytest.mark.parametrize(
    ("code", "up"), [(200, True), (401, True), (405, True), (500, True), (503, False), (408, False)]
)
def test_which_answers_mean_that_it_works(code: int, up: bool) -> None:
    trunks, _ = make(WATCHED)
    now = 0.0
    for _ in range(3):
        now, outputs = run(trunks, now + 100)
        done(trunks, requests(outputs)[0], code, now)
    assert trunks.is_down("watched") is not up


def test_a_late_answer_counts_for_nothing() -> None:
    trunks, _ = make(WATCHED)
    now, outputs = run(trunks, 1.0)
    (late,) = requests(outputs)
    now, outputs = run(trunks, now + 100)
    assert requests(outputs)
    assert done(trunks, late, 200, now) == []


def test_an_unwatched_trunk_is_up() -> None:
    _, outputs = make(TrunkSpec(name="plain", host="203.0.113.9", health_interval=0.0))
    assert states(outputs) == [("up", "not watched")]


# --- recognising --------------------------------------------------------------------------------------------------


def origin(trunks: Trunks, host: str, uri: str = "sip:4000@tandem", port: int = 5060) -> str:
    return trunks.find_origin(Request("INVITE", URI.parse(uri)), Flow("udp", host, port))


def test_by_network_and_address() -> None:
    trunks, _ = make(TrunkSpec(name="a", networks=("198.51.100.0/24", "2001:db8::/32")), WATCHED)
    assert origin(trunks, "198.51.100.200") == "a"
    assert origin(trunks, "2001:db8::5") == "a"
    assert origin(trunks, "203.0.113.6") == "watched"
    assert origin(trunks, "203.0.113.7") == ""
    assert trunks.addresses() == ["198.51.100.0/24", "2001:db8::/32", "203.0.113.6"]


def test_by_the_token_of_the_registered_contact_from_anywhere() -> None:
    trunks, _ = make(REGISTERING)
    sent, _ = register(trunks)
    uri = sent.request.headers["Contact"].partition(">")[0][1:]
    assert origin(trunks, "198.51.100.1", uri) == "carrier"
    assert origin(trunks, "198.51.100.1", uri.partition(";")[0]) == ""
    assert origin(trunks, "198.51.100.1", uri[:-1] + ("0" if uri[-1] != "0" else "1")) == ""


def test_two_accounts_at_one_provider_are_told_apart() -> None:
    def account(name: str, user: str) -> TrunkSpec:
        return TrunkSpec(name=name, host="203.0.113.5", health_interval=0.0,
                         registration=RegistrationSpec(domain="d", username=user))  # fmt: skip

    trunks, _ = make(account("a", "100"), account("b", "200"))
    assert origin(trunks, "203.0.113.5", "sip:200@192.0.2.1") == "b"
    assert origin(trunks, "203.0.113.5", "sip:100@192.0.2.1") == "a"
    assert origin(trunks, "203.0.113.5", "sip:+86100@192.0.2.1") == "a"


# --- reload and stop ------------------------------------------------------------------------------------------------


def test_reload_leaves_the_same_alone_and_unregisters_the_removed() -> None:
    trunks, _ = make(REGISTERING, WATCHED)
    register(trunks)
    before = trunks.statuses()[0]
    assert trunks.configure([REGISTERING, WATCHED], 5.0) == []
    assert trunks.statuses()[0] == before
    (leaving,) = requests(trunks.configure([WATCHED], 6.0))
    assert leaving.request.headers["Expires"] == "0"
    (again,) = requests(done(trunks, leaving, 401, 6.0, WWW_Authenticate='Digest realm="r", nonce="n"'))
    assert "Authorization" in again.request.headers.keys()
    assert done(trunks, again, 200, 6.0) == []
    assert trunks.get_flow("carrier") is None
    with pytest.raises(ValueError, match="nonsense"):
        trunks.configure([TrunkSpec(name="x", networks=("nonsense",))], 7.0)
    assert trunks.get_flow("watched") is not None


def test_stop_unregisters_and_is_silent_afterwards() -> None:
    trunks, _ = make(REGISTERING, WATCHED)
    register(trunks)
    (sent,) = requests(trunks.stop(5.0))
    assert sent.request.headers["Contact"].endswith(";expires=0")
    assert done(trunks, sent, 200, 5.0) == []
    assert trunks.next_deadline() is None
