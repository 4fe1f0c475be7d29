"""Stack, authenticator, registrar, guard and trunks together: what a stranger, a phone and a carrier get."""

from __future__ import annotations

from sipmessage import Response

from pbx.app.telephony.edge import EdgePolicy
from pbx.core.ids import SeededIds
from pbx.sip.auth import DigestAuthenticator, answer_challenge, make_account
from pbx.sip.commands import Credentials, Flow
from pbx.sip.events import Dropped, IncomingCall, Origin, Output, Registered, SecurityAlert, Transmit
from pbx.sip.guard import GuardRules, SourceGuard
from pbx.sip.identity import Listener, LocalIdentity
from pbx.sip.registrar import Registrar
from pbx.sip.stack import Stack
from pbx.sip.trunk_spec import TrunkSpec
from pbx.sip.trunks import Trunks
from pbx.sip.wire import parse_packet

REALM = "tandem"
LOCAL = LocalIdentity((Listener("udp", "udp", "192.0.2.1", 5060),))
PHONE = Flow("udp", "198.51.100.7", 5062, "udp")
CARRIER = Flow("udp", "203.0.113.5", 5060, "udp")


class Edge:
    """The server's SIP side in virtual time."""

    def __init__(self, **rules: object) -> None:
        ids = SeededIds(3)
        self.registrar = Registrar()
        self.trunks = Trunks(ids, LOCAL)
        self.trunks.configure([TrunkSpec(name="carrier", host=CARRIER.host, health_interval=0.0)], 0.0)
        self.guard = SourceGuard(GuardRules(trusted=tuple(self.trunks.addresses()), **rules))  # type: ignore[arg-type]
        accounts = {"1001": make_account("1001", REALM, "right", Origin("extension", "1001"))}
        self.stack = Stack(
            EdgePolicy(REALM, self.trunks, self.registrar),
            LOCAL,
            ids,
            authenticator=DigestAuthenticator(accounts, b"k" * 32, failures=self.guard),
            registrar=self.registrar,
            requester=self.trunks,
            guard=self.guard,
            answer_challenge=answer_challenge,
        )
        self.count = 0

    def send(
        self,
        method: str,
        flow: Flow,
        now: float,
        *,
        uri: str = "sip:1002@tandem",
        header: str = "",
        agent: str = "Phone",
        user: str = "1001",
    ) -> list[Output]:
        self.count += 1
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {flow.host}:{flow.port};branch=z9hG4bK{self.count};rport",
            "Max-Forwards: 70",
            f"User-Agent: {agent}",
            f"From: <sip:{user}@tandem>;tag=a",
            "To: <sip:1001@tandem>" if method == "REGISTER" else f"To: <{uri}>",
            f"Call-ID: {self.count}",
            f"CSeq: {self.count} {method}",
            f"Contact: <sip:1001@10.0.0.9:{flow.port}>",
            *([header] if header else []),
            "Content-Length: 0",
        ]
        return self.stack.receive(("\r\n".join(lines) + "\r\n\r\n").encode(), flow, now)

    def log_in(self, flow: Flow, now: float, password: str = "right", method: str = "REGISTER") -> list[Output]:
        """A request, the challenge, and the request again with its answer."""
        uri = "sip:tandem" if method == "REGISTER" else "sip:1002@tandem"
        challenge = answers(self.send(method, flow, now, uri=uri))[-1]
        header = answer_challenge(challenge, method, uri, Credentials("1001", password), {}, "c")
        assert header is not None
        return self.send(method, flow, now, uri=uri, header=": ".join(header))


def answers(outputs: list[Output]) -> list[Response]:
    found = [parse_packet(o.data, o.flow).message for o in outputs if isinstance(o, Transmit)]
    return [message for message in found if isinstance(message, Response)]


def codes(outputs: list[Output]) -> list[int]:
    return [response.code for response in answers(outputs) if response.code != 100]


def test_a_phone_registers_and_calls() -> None:
    edge = Edge()
    outputs = edge.log_in(PHONE, 1.0)
    assert codes(outputs) == [200]
    assert [o.flow for o in outputs if isinstance(o, Registered)] == [PHONE]
    outputs = edge.log_in(PHONE, 2.0, method="INVITE")
    (call,) = [o for o in outputs if isinstance(o, IncomingCall)]
    assert call.origin == Origin("extension", "1001")


def test_a_stranger_reaches_nobody() -> None:
    edge = Edge()
    for method in ("INVITE", "REGISTER", "SUBSCRIBE", "MESSAGE"):
        outputs = edge.send(method, PHONE, 1.0, header="Event: dialog")
        assert codes(outputs) == [401], method
        assert not [o for o in outputs if isinstance(o, IncomingCall | Registered)]


def test_a_carrier_calls_but_cannot_register() -> None:
    edge = Edge()
    outputs = edge.send("INVITE", CARRIER, 1.0)
    assert [o.origin for o in outputs if isinstance(o, IncomingCall)] == [Origin("trunk", "carrier")]
    assert codes(edge.send("REGISTER", CARRIER, 1.0, uri="sip:tandem")) == [401]


def test_a_phone_behind_the_carriers_address_is_a_phone() -> None:
    edge = Edge()
    phone = CARRIER._replace(port=40_000)
    assert codes(edge.log_in(phone, 1.0)) == [200]
    outputs = edge.log_in(phone, 2.0, method="INVITE")
    assert [o.origin for o in outputs if isinstance(o, IncomingCall)] == [Origin("extension", "1001")]


def test_a_proxy_in_front_brings_phones_and_carriers() -> None:
    edge = Edge()
    assert codes(edge.log_in(CARRIER, 1.0)) == [200]
    assert codes(edge.send("INVITE", CARRIER, 2.0)) == [401]
    outputs = edge.send("INVITE", CARRIER, 2.0, user="+8613800138000")
    assert [o.origin for o in outputs if isinstance(o, IncomingCall)] == [Origin("trunk", "carrier")]


def test_credentials_for_somebody_else_do_not_matter() -> None:
    edge = Edge()
    other = 'Authorization: Digest username="x", realm="elsewhere", nonce="n", uri="sip:x", response="r"'
    outputs = edge.send("INVITE", CARRIER, 1.0, header=other)
    assert [o.origin for o in outputs if isinstance(o, IncomingCall)] == [Origin("trunk", "carrier")]


def test_a_guesser_is_shut_out_and_nobody_else() -> None:
    edge = Edge(wrong_credentials=5)
    alerts: list[str] = []
    for n in range(5):
        outputs = edge.log_in(PHONE, float(n), password=f"guess{n}")
        assert codes(outputs) == [403]
        alerts += [o.what for o in outputs if isinstance(o, SecurityAlert)]
    assert alerts == ["wrong_credentials"] * 5 + ["banned"]
    outputs = edge.send("REGISTER", PHONE, 6.0, uri="sip:tandem")
    assert [o.reason for o in outputs if isinstance(o, Dropped)] == ["banned"]
    assert codes(outputs) == []
    assert codes(edge.log_in(PHONE._replace(host="198.51.100.8"), 6.0)) == [200]
    assert "unbanned" in [o.what for o in edge.stack.expire(4000.0) if isinstance(o, SecurityAlert)]
    assert codes(edge.log_in(PHONE, 4001.0)) == [200]


def test_ten_thousand_challenges_ban_nobody() -> None:
    edge = Edge(requests_per_second=1000.0, burst=1000)
    for n in range(2_000):
        edge.send("REGISTER", PHONE, n / 100, uri="sip:tandem")
    assert edge.guard.bans() == []
    assert codes(edge.log_in(PHONE, 30.0)) == [200]


def test_floods_and_scanners_get_silence() -> None:
    edge = Edge(requests_per_second=10.0, burst=20)
    silent = [codes(edge.send("OPTIONS", PHONE, 0.0)) for _ in range(30)].count([])
    assert silent == 10
    other = PHONE._replace(host="198.51.100.99")
    outputs = edge.send("OPTIONS", other, 0.0, agent="friendly-scanner")
    assert [type(o) for o in outputs] == [SecurityAlert, Dropped]
    # The carrier is not slowed down.
    assert all(edge.send("INVITE", CARRIER, 0.0) for _ in range(100))
    assert edge.stack.live()["server_transactions"] <= 130
