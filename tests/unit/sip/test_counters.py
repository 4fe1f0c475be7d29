"""SIP counters."""

from __future__ import annotations

from pbx.sip.commands import Flow
from pbx.sip.counters import SipCounters
from pbx.sip.events import Dropped, Transmit

TRUNK = Flow("udp", "203.0.113.5", 5060)
PHONE = Flow("tls", "192.0.2.9", 40001)


def table(counters: SipCounters) -> dict[tuple[str, ...], float]:
    return {(s.name, *s.labels.values()): s.value for s in counters.samples()}


def test_messages_by_method_code_and_trunk() -> None:
    counters = SipCounters(lambda host: "carrier" if host == TRUNK.host else "")
    for _ in range(2):
        counters.received(b"INVITE sip:x SIP/2.0\r\n\r\n", TRUNK)
    counters.received(b"HACK sip:x SIP/2.0\r\n\r\n", PHONE)
    answer = b"SIP/2.0 486 Busy Here\r\nCSeq: 1 INVITE\r\n\r\n"
    counters.sent(Transmit(flow=TRUNK, data=answer))
    counters.sent(Transmit(flow=TRUNK, data=answer, note="retransmission"))
    counters.received(b"SIP/2.0 999 No\r\n\r\n", PHONE)
    counters.received(b"\xff\xfe garbage", PHONE)
    assert table(counters) == {
        ("tandem_sip_requests_total", "INVITE", "in", "udp", "carrier"): 2,
        ("tandem_sip_requests_total", "other", "in", "tls", ""): 2,
        ("tandem_sip_responses_total", "486", "INVITE", "out", "udp", "carrier"): 2,
        ("tandem_sip_retransmissions_total", "udp"): 1,
    }


def test_reasons_of_drops_are_bounded() -> None:
    counters = SipCounters()
    for n in range(500):
        counters.dropped(Dropped(flow=PHONE, reason=f"bad thing {n}"))
    numbers = table(counters)
    assert len(numbers) == 101
    assert sum(v for k, v in numbers.items() if k[0] == "tandem_sip_dropped_total") == 500
    assert all(sample.help for sample in counters.samples())
