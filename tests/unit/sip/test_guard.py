"""Who is let in, who is not, and for how long."""

from __future__ import annotations

import pytest

from pbx.sip.auth import DigestAuthenticator, answer_challenge, make_account
from pbx.sip.commands import Credentials, Flow
from pbx.sip.events import Origin, Output, SecurityAlert
from pbx.sip.guard import Ban, GuardRules, SourceGuard
from pbx.sip.policy import Authenticated, Challenged

INVITE = b"INVITE sip:1@x SIP/2.0\r\nUser-Agent: Phone\r\n\r\n"
BYE = b"BYE sip:1@x SIP/2.0\r\n\r\n"


def flow(host: str = "198.51.100.9") -> Flow:
    return Flow("udp", host, 5060)


def kinds(outputs: object) -> list[str]:
    assert isinstance(outputs, list | tuple)
    return [output.what for output in outputs if isinstance(output, SecurityAlert)]


def fail(guard: SourceGuard, times: int, now: float = 0.0, host: str = "198.51.100.9") -> list[Output]:
    return [output for _ in range(times) for output in guard.wrong_credentials(flow(host), "1001", True, now)]


def test_a_burst_passes_then_the_rate_holds() -> None:
    guard = SourceGuard(GuardRules(requests_per_second=10.0, burst=20))
    verdicts = [guard.admit(INVITE, flow(), 0.0) for _ in range(25)]
    assert verdicts == [""] * 20 + ["flood"] * 5
    assert kinds(guard.drain()) == ["flood"]
    assert kinds(guard.drain()) == []
    assert guard.admit(INVITE, flow(), 0.05) == "flood"
    assert guard.admit(INVITE, flow(), 0.2) == ""
    assert guard.admit(INVITE, flow("198.51.100.10"), 0.0) == ""
    assert guard.bans() == []


def test_what_belongs_to_dialogs_is_cheaper() -> None:
    guard = SourceGuard(GuardRules(requests_per_second=1.0, burst=5))
    assert [guard.admit(BYE, flow(), 0.0) for _ in range(21)].count("") == 20


@pytest.mark.parametrize("agent", [b"friendly-scanner", b"SIPVicious 0.3", b"my sipcli/v1.8"])
def test_scanners_are_dropped_unless_somebody_proved_himself(agent: bytes) -> None:
    guard = SourceGuard()
    packet = b"OPTIONS sip:100@x SIP/2.0\r\nVia: x\r\nUser-Agent: " + agent + b"\r\n\r\n"
    assert guard.admit(packet, flow(), 0.0) == "scanner"
    (alert,) = guard.drain()
    assert isinstance(alert, SecurityAlert)
    assert alert.detail == agent.decode()
    assert guard.bans() == []
    guard.right_credentials(flow(), 0.0)
    assert guard.admit(packet, flow(), 0.0) == ""


def test_a_scanners_name_elsewhere_means_nothing() -> None:
    packet = b"INVITE sip:sipvicious@x SIP/2.0\r\nSubject: sipvicious\r\n\r\nUser-Agent sipvicious"
    assert SourceGuard().admit(packet, flow(), 0.0) == ""


def test_wrong_credentials_ban_for_a_time() -> None:
    guard = SourceGuard(GuardRules(wrong_credentials=3, ban_time=100.0))
    assert kinds(fail(guard, 2)) == ["wrong_credentials"] * 2
    assert guard.admit(INVITE, flow(), 0.0) == ""
    assert kinds(fail(guard, 1)) == ["wrong_credentials", "banned"]
    assert guard.admit(INVITE, flow(), 1.0) == "banned"
    assert guard.is_shut_out("198.51.100.9")
    assert not guard.is_shut_out("198.51.100.10")
    assert guard.admit(INVITE, flow("198.51.100.10"), 1.0) == ""
    deadline = guard.next_deadline()
    assert deadline is not None
    assert deadline.at == 100.0
    assert guard.expire(99.0) == []
    assert kinds(guard.expire(100.0)) == ["unbanned"]
    assert guard.admit(INVITE, flow(), 101.0) == ""


def test_failures_far_apart_do_not_add_up() -> None:
    guard = SourceGuard(GuardRules(wrong_credentials=3, window=60.0))
    for n in range(10):
        fail(guard, 1, now=n * 31.0)
    assert guard.bans() == []


@pytest.mark.parametrize("host", ["203.0.113.5", "2001:db8:1::7"])
def test_trunks_are_never_limited_nor_banned(host: str) -> None:
    guard = SourceGuard(
        GuardRules(wrong_credentials=1, burst=1, requests_per_second=0.1, trusted=("203.0.113.0/24", "2001:db8:1::/48"))
    )
    assert kinds(fail(guard, 5, host=host)) == ["wrong_credentials"] * 5
    assert [guard.admit(INVITE, flow(host), 0.0) for _ in range(50)] == [""] * 50
    with pytest.raises(ValueError, match="trunk"):
        guard.ban(host, 0.0)


def test_a_new_trunk_is_let_out_of_its_ban() -> None:
    guard = SourceGuard(GuardRules(wrong_credentials=1))
    fail(guard, 1)
    guard.configure(GuardRules(trusted=("198.51.100.9/32",)))
    assert guard.bans() == []
    assert guard.admit(INVITE, flow(), 0.0) == ""
    assert guard.next_deadline() is None


def test_denied_networks_get_no_answer() -> None:
    guard = SourceGuard(GuardRules(deny=("198.51.100.0/24",)))
    assert guard.admit(INVITE, flow(), 0.0) == "denied"
    assert guard.is_shut_out("198.51.100.200")


def test_ipv6_neighbours_are_one_source() -> None:
    guard = SourceGuard(GuardRules(wrong_credentials=2))
    fail(guard, 1, host="2001:db8::1")
    fail(guard, 1, host="2001:db8::2")
    assert [ban.source for ban in guard.bans()] == ["2001:db8::/64"]
    assert guard.admit(INVITE, flow("2001:db8::3"), 0.0) == "banned"
    assert kinds(guard.lift("2001:db8::/64")) == ["unbanned"]
    assert guard.admit(INVITE, flow("2001:db8::3"), 0.0) == ""


def test_bans_by_hand_and_over_a_restart() -> None:
    guard = SourceGuard()
    assert kinds(guard.ban("198.51.100.9", 0.0, seconds=50.0, reason="rude")) == ["banned"]
    bans = guard.bans()
    assert bans == [Ban("198.51.100.9", 50.0, "rude")]
    again = SourceGuard()
    again.restore([*bans, Ban("198.51.100.7", 5.0, "old")], 10.0)
    assert again.bans() == bans
    assert kinds(again.lift("198.51.100.9")) == ["unbanned"]
    assert again.lift("198.51.100.9") == []
    with pytest.raises(ValueError, match="nonsense"):
        again.ban("nonsense", 0.0)


def test_memory_is_bounded_and_real_sources_outlive_a_forged_flood() -> None:
    guard = SourceGuard(GuardRules(max_sources=100, wrong_credentials=2))
    fail(guard, 1, now=0.0)
    for n in range(1000):
        guard.admit(INVITE, flow(f"10.0.{n // 250}.{n % 250}"), n / 1000)
        assert guard.sources_remembered() <= 100
    assert kinds(fail(guard, 1, now=1.0)) == ["wrong_credentials", "banned"]
    for n in range(500):
        guard.ban(f"10.1.{n // 250}.{n % 250}", 2.0)
    assert len(guard.bans()) == 100


def test_switched_off_it_lets_everything_in() -> None:
    guard = SourceGuard(GuardRules(enabled=False, burst=1, wrong_credentials=1))
    fail(guard, 3)
    assert [guard.admit(INVITE, flow(), 0.0) for _ in range(5)] == [""] * 5


def test_with_the_authenticator_a_guesser_is_out_and_a_phone_never() -> None:
    from sipmessage import URI, Request, Response

    guard = SourceGuard(GuardRules(wrong_credentials=5))
    origin = Origin("extension", "1001")
    server = DigestAuthenticator({"1001": make_account("1001", "t", "right", origin)}, b"k" * 16, failures=guard)

    def attempt(password: str, host: str, now: float) -> object:
        request = Request("REGISTER", URI.parse("sip:t"))
        challenged = server.authenticate(request, "t", flow(host), now)
        assert isinstance(challenged, Challenged)
        response = Response(401, "")
        for header in challenged.headers:
            response.headers.add(*header)
        answered = answer_challenge(response, "REGISTER", "sip:t", Credentials("1001", password), {}, "c")
        assert answered is not None
        request.headers.set(*answered)
        return server.authenticate(request, "t", flow(host), now)

    for n in range(50):
        assert attempt("right", "192.0.2.1", float(n)) == Authenticated(origin)
    for n in range(5):
        assert guard.admit(INVITE, flow("192.0.2.66"), float(n)) == ""
        attempt(f"guess{n}", "192.0.2.66", float(n))
    assert guard.admit(INVITE, flow("192.0.2.66"), 6.0) == "banned"
    assert guard.admit(INVITE, flow("192.0.2.1"), 6.0) == ""
