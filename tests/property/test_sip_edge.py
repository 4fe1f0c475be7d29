"""Machines of the SIP edge under arbitrary input and arbitrary sequences."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sipmessage import URI, Request

from pbx.sip.auth import DigestAuthenticator, make_account
from pbx.sip.commands import Flow
from pbx.sip.digest import DigestError, parse_digest, quote
from pbx.sip.events import Origin, Registered, Unregistered
from pbx.sip.guard import GuardRules, SourceGuard
from pbx.sip.policy import Authenticated, Challenged, Rejected
from pbx.sip.registrar import Registrar, RegistrarLimits
from pbx.sip.stun import answer_binding, is_stun
from pbx.sip.tollfraud import TollGuard, TollLimits
from pbx.sip.wire import PeerFault, parse_packet

FLOW = Flow("udp", "192.0.2.7", 5060)
names = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8)
texts = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r\n"), max_size=30)


@settings(deadline=None)
@given(st.dictionaries(names, texts, min_size=1, max_size=10))
def test_digest_parameters_survive_quoting(parameters: dict[str, str]) -> None:
    value = "Digest " + ", ".join(f"{name}={quote(text)}" for name, text in parameters.items())
    assert parse_digest(value) == parameters


@settings(deadline=None)
@given(st.one_of(texts, st.text('=,"\\ abDigest:;\t', max_size=60)).map(lambda text: f"Digest {text}"))
def test_garbage_gives_parameters_or_one_error(value: str) -> None:
    try:
        found = parse_digest(value)
    except DigestError:
        return
    assert found is None or found


@settings(deadline=None)
@given(st.text('=,"\\ abcrealmtndusenonceuriresponse:;\t', max_size=120))
def test_no_authorization_header_gets_anybody_in(value: str) -> None:
    server = DigestAuthenticator({"1": make_account("1", "t", "p", Origin("extension", "1"))}, b"k" * 16)
    request = Request("REGISTER", URI.parse("sip:t"))
    request.headers.add("Authorization", f'Digest realm="t", {value}')
    verdict = server.authenticate(request, "t", FLOW, 1.0)
    assert isinstance(verdict, Challenged | Rejected)
    assert not isinstance(verdict, Authenticated)


@settings(deadline=None)
@given(st.binary(max_size=80), st.booleans())
def test_stun_answers_never_exceed_bounds(data: bytes, marked: bool) -> None:
    packet = b"\0\1\0\0\x21\x12\xa4\x42" + data if marked else data
    if is_stun(packet):
        answer = answer_binding(packet, "2001:db8::1", 5060)
        assert answer is None or len(answer) <= 44


class RegistrarMachine(RuleBasedStateMachine):
    """Storage that follows the events holds exactly what the registrar holds."""

    def __init__(self) -> None:
        super().__init__()
        self.registrar = Registrar(RegistrarLimits(min_expires=10, max_expires=100, max_contacts=3))
        self.now = 0.0
        self.cseq = 0
        self.stored: dict[tuple[str, str], float] = {}

    def take(self, outputs: object) -> None:
        for output in outputs:  # type: ignore[attr-defined]
            if isinstance(output, Registered):
                self.stored[output.extension, output.contact] = output.expires_at
            elif isinstance(output, Unregistered):
                del self.stored[output.extension, output.contact]

    @rule(
        extension=st.sampled_from(["1", "2"]),
        hosts=st.lists(st.sampled_from("abcde"), min_size=0, max_size=4, unique=True),
        expires=st.sampled_from([0, 5, 10, 50, 1000]),
        connection=st.integers(min_value=0, max_value=3),
        instance=st.booleans(),
        reg_id=st.booleans(),
        call_id=st.sampled_from("xy"),
        back=st.booleans(),
    )
    def register(
        self,
        extension: str,
        hosts: list[str],
        expires: int,
        connection: int,
        instance: bool,
        reg_id: bool,
        call_id: str,
        back: bool,
    ) -> None:
        self.cseq += 1
        params = (';+sip.instance="<urn:uuid:1>"' if instance else "") + (";reg-id=1" if reg_id else "")
        contacts = "".join(f"Contact: <sip:{host}.example>{params};expires={expires}\r\n" for host in hosts)
        packet = (
            "REGISTER sip:t SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nFrom: <sip:a@t>;tag=1\r\n"
            f"To: <sip:{extension}@t>\r\nCall-ID: {call_id}\r\nMax-Forwards: 70\r\n"
            f"CSeq: {max(1, self.cseq - (5 if back else 0))} REGISTER\r\n{contacts}Content-Length: 0\r\n\r\n"
        )
        flow = Flow("tcp", "192.0.2.7", 40_000 + connection, "tcp", connection)
        request = parse_packet(packet.encode(), flow).request
        before = dict(self.stored)
        reply, outputs = self.registrar.register(request, Origin("extension", extension), flow, self.now)
        self.take(outputs)
        if reply.status != 200:
            assert self.stored == before
        else:
            shown = sum(name == "Contact" for name, _ in reply.headers)
            assert shown == len(self.registrar.contacts(extension, self.now))

    @rule(connection=st.integers(min_value=1, max_value=3))
    def close(self, connection: int) -> None:
        flow = Flow("tcp", "192.0.2.7", 40_000 + connection, "tcp", connection)
        self.take(self.registrar.flow_closed(flow, self.now))

    @rule(seconds=st.floats(min_value=0.0, max_value=60.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.take(self.registrar.expire(self.now))

    @rule(extension=st.sampled_from(["1", "2"]))
    def forget(self, extension: str) -> None:
        self.take(self.registrar.forget(extension))

    @invariant()
    def storage_agrees(self) -> None:
        held = {(b.extension, b.contact): b.expires_at for b in self.registrar.all_bindings()}
        assert held == self.stored
        assert len(self.registrar) == len(held)
        assert all(len(self.registrar.contacts(extension, self.now)) <= 3 for extension in ("1", "2"))
        deadline = self.registrar.next_deadline()
        assert (deadline.at if deadline else None) == min(held.values(), default=None)

    @invariant()
    def tables_agree(self) -> None:
        flows = [binding.flow for binding in self.registrar.all_bindings()]
        assert set(self.registrar._peers) == {flow[:3] for flow in flows}
        assert sum(self.registrar._peers.values()) == len(flows)
        assert set(self.registrar._by_flow) == {flow for flow in flows if flow.connection}


TestRegistrar = RegistrarMachine.TestCase
TestRegistrar.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)

hosts = st.sampled_from([f"198.51.100.{n}" for n in range(6)] + ["2001:db8::1", "2001:db8:0:1::1", "not an address"])


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["packet", "wrong", "right", "lift", "expire"]), hosts, st.floats(0.0, 30.0)))
)
def test_the_guard_bans_only_for_wrong_credentials(steps: list[tuple[str, str, float]]) -> None:
    rules = GuardRules(wrong_credentials=3, max_sources=4, ban_time=50.0, burst=5, trusted=("198.51.100.0/32",))
    guard, now, wrong = SourceGuard(rules), 0.0, set()
    for what, host, wait in steps:
        now += wait
        flow = Flow("udp", host, 5060)
        if what == "packet":
            guard.admit(b"INVITE sip:x SIP/2.0\r\n\r\n", flow, now)
        elif what == "wrong":
            wrong.add(host)
            guard.wrong_credentials(flow, "u", True, now)
        elif what == "right":
            guard.right_credentials(flow, now)
        elif what == "expire":
            guard.expire(now)
        assert guard.sources_remembered() <= 4
        assert len(guard.bans()) <= 4
        banned = {ban.source.removesuffix("/64") for ban in guard.bans()}
        assert "198.51.100.0" not in banned
        assert all(any(host.startswith(source.rstrip(":")) for host in wrong) for source in banned)
        deadline = guard.next_deadline()
        assert (deadline is None) == (not banned)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["start", "answer", "end", "expire"]),
            st.integers(0, 5),
            st.sampled_from(["extension:1", "extension:2"]),
            st.floats(0.0, 400.0),
            st.sampled_from(["d1", "d2"]),
        ),
        max_size=40,
    )
)
def test_toll_limits_hold_in_any_order(steps: list[tuple[str, int, str, float, str]]) -> None:
    guard = TollGuard(TollLimits(concurrent=2, calls_per_minute=3, minutes_per_day=10), "CN")
    now, live = 0.0, {}
    for what, number, party, wait, day in steps:
        now += wait
        call = f"c{number}"
        if what == "start" and call not in live and not guard.check((party,), "+8613800138000", now, day)[0]:
            guard.started(call, (party,), now, day)
            live[call] = party
        elif what == "answer":
            guard.answered(call, now)
        elif what == "end":
            guard.ended(call, now, day)
            live.pop(call, None)
        elif what == "expire":
            guard.expire(now, day)
        for name in ("extension:1", "extension:2"):
            assert sum(owner == name for owner in live.values()) <= 2
    for call in list(live):
        guard.ended(call, now, "d1")
    assert guard.next_deadline() is None


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_a_packet_of_garbage_passes_the_guard_without_harm(packet: bytes) -> None:
    guard = SourceGuard()
    assert guard.admit(packet, FLOW, 0.0) in ("", "scanner")
    try:
        parse_packet(packet, FLOW)
    except PeerFault:
        return
