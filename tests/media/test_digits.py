"""RFC 4733 both ways: one digit is one digit, however its packets fared."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any

from media.protocol import DigitReceived, DigitsSent, SendDigits
from tests.media.conftest import PCMU, Bench
from tests.media.phone import Phone, share


async def test_each_digit_is_reported_once(bench: Bench, phones: Callable[..., Any]) -> None:
    phone: Phone = await phones(400)
    await bench.leg("a", phone)
    await phone.talk(0.06)
    for code in (1, 1, 10, 11, 0, 15):
        phone.press(code)
        phone.ts += 800
    await bench.wait(DigitReceived, 6)
    await phone.talk(0.1)
    assert [event.digit for event in bench.seen(DigitReceived)] == ["1", "1", "*", "#", "0", "D"]


async def test_lost_begin_lost_end_and_reordering(bench: Bench, phones: Callable[..., Any]) -> None:
    phone: Phone = await phones(400)
    await bench.leg("a", phone)
    await phone.talk(0.06)
    phone.press(1, begin=2)
    phone.ts += 800
    phone.press(2, ends=0)
    phone.ts += 800
    phone.press(3, packets=4, begin=4, ends=1)
    phone.ts += 800
    # The last update of 4 overtakes its first; leftovers of 4 come behind 5.
    ts = phone.ts
    for duration, end in ((480, 0), (160, 0), (320, 0)):
        phone.send(101, struct.pack("!BBH", 4, 10 | end, duration), ts=ts)
    phone.send(101, struct.pack("!BBH", 5, 10, 160), ts=ts + 2000)
    phone.send(101, struct.pack("!BBH", 4, 0x8A, 640), ts=ts)
    phone.send(101, struct.pack("!BBH", 5, 0x8A, 640), ts=ts + 2000)
    await bench.wait(DigitReceived, 5)
    await asyncio.sleep(0.05)
    assert [event.digit for event in bench.seen(DigitReceived)] == ["1", "2", "3", "4", "5"]


async def test_a_long_event_in_segments_is_one_digit(bench: Bench, phones: Callable[..., Any]) -> None:
    phone: Phone = await phones(400)
    await bench.leg("a", phone)
    await phone.talk(0.06)
    ts = 5000
    for duration in (160, 40000, 65535):
        phone.send(101, struct.pack("!BBH", 7, 10, duration), ts=ts)
    phone.send(101, struct.pack("!BBH", 7, 10, 160), ts=ts + 65535)
    phone.send(101, struct.pack("!BBH", 7, 0x8A, 800), ts=ts + 65535)
    await bench.wait(DigitReceived)
    await asyncio.sleep(0.05)
    assert len(bench.seen(DigitReceived)) == 1


async def test_digits_are_sent_by_the_book(bench: Bench, phones: Callable[..., Any]) -> None:
    phone: Phone = await phones(400)
    await bench.leg("a", phone)
    await phone.talk(0.04)
    await bench.do(SendDigits, leg="a", digits="5#", duration_ms=100, gap_ms=60)
    done = await bench.wait(DigitsSent)
    assert done.digits == "5#"
    await asyncio.sleep(0.02)
    events = phone.audio(101)
    digits: dict[int, list[tuple[int, bool, int, bool]]] = {}
    for packet in events:
        code, flags, duration = struct.unpack("!BBH", packet.payload)
        digits.setdefault(packet.ts, []).append((code, bool(flags & 0x80), duration, packet.marker))
    assert [rows[0][0] for rows in digits.values()] == [5, 11]
    for rows in digits.values():
        assert [row[3] for row in rows] == [True] + [False] * (len(rows) - 1)
        assert [row[1] for row in rows][-3:] == [True] * 3 and sum(row[1] for row in rows) == 3
        assert {row[2] for row in rows[-3:]} == {800}
        durations = [row[2] for row in rows]
        assert durations == sorted(durations) and durations[0] == 160
    first, second = digits
    assert 1200 <= second - first <= 1600
    assert {(y.seq - x.seq) & 0xFFFF for x, y in zip(phone.packets, phone.packets[1:], strict=False)} == {1}


async def test_digits_pass_a_bridge_with_their_payload_type(bench: Bench, phones: Callable[..., Any]) -> None:
    caller, agent = await phones(400), await phones(700, "PCMU", 96)
    await bench.leg("a", caller)
    await bench.leg("b", agent, dtmf_payload_type=96)
    await bench.join("talk", ("a", "b"), ("b", "a"))
    await asyncio.gather(caller.talk(0.1), agent.talk(0.1))
    caller.press(9)
    await caller.talk(0.1)
    events = agent.audio(96)
    assert len(events) == 7 and len({packet.ts for packet in events}) == 1
    assert {packet.payload[0] for packet in events} == {9}
    near = min(abs(packet.ts - events[0].ts) for packet in agent.audio())
    assert near <= 160


async def test_digits_become_tones_for_a_leg_without_events(bench: Bench, phones: Callable[..., Any]) -> None:
    caller, agent = await phones(400), await phones(700)
    await bench.leg("a", caller)
    await bench.leg("b", agent, dtmf_payload_type=None, codecs=(PCMU,))
    await bench.join("talk", ("a", "b"), ("b", "a"))
    caller.press(5)
    await bench.wait(DigitReceived)
    await asyncio.sleep(0.2)
    heard = agent.heard()[:640]
    assert share(heard, 770) > 0.3 and share(heard, 1336) > 0.3
