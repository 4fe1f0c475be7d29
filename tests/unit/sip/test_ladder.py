"""The ladder, its text, pcap and HEP."""

from __future__ import annotations

import asyncio
import socket
import struct

from pbx.adapters.hep import HepSender
from pbx.sip.capture import encode_hep, write_pcap
from pbx.sip.commands import Flow
from pbx.sip.events import Dropped, Transmit
from pbx.sip.ladder import Ladder
from pbx.sip.ladder_text import render_ladder

CALLER = Flow("udp", "192.0.2.7", 5060, "main")
PHONE = Flow("tcp", "192.0.2.9", 40001, "main", 3)
LOCAL = {"main": ("192.0.2.1", 5060)}


def message(first: str, call_id: str, cseq: str = "1 INVITE", sdp: bool = False, name: str = "Call-ID") -> bytes:
    kind = "Content-Type: application/sdp\r\n" if sdp else ""
    return f"{first}\r\nVia: x\r\n{name}: {call_id}\r\nCSeq: {cseq}\r\n{kind}\r\n".encode()


def make_call() -> Ladder:
    ladder = Ladder(1_000_000, LOCAL)
    ladder.received(message("INVITE sip:400@tandem SIP/2.0", "A", sdp=True), CALLER, 10.0)
    ladder.sent(Transmit(flow=CALLER, data=message("SIP/2.0 100 Trying", "A"), leg="l1"), 10.001)
    ladder.sent(Transmit(flow=PHONE, data=message("INVITE sip:1001@p SIP/2.0", "B", sdp=True), leg="l2"), 10.01)
    ladder.received(message("OPTIONS sip:tandem SIP/2.0", "other", "1 OPTIONS"), CALLER, 10.02)
    ladder.received(message("SIP/2.0 200 OK", "B", sdp=True, name="i"), PHONE, 10.5)
    ladder.sent(Transmit(flow=CALLER, data=message("SIP/2.0 200 OK", "A"), leg="l1", note="retransmission"), 11.0)
    ladder.received(message("BYE sip:tandem SIP/2.0", "B", "2 BYE"), PHONE, 12.0)
    ladder.note_drop(Dropped(flow=PHONE, reason="stray ACK"))
    return ladder


def test_text_shows_all_legs_in_columns() -> None:
    assert render_ladder(make_call().of_legs(["l1", "l2"])) == (
        "    192.0.2.7:5060                    tandem                  tcp/192.0.2.9:40001\n"
        "    0.000  |--INVITE (SDP)-------------->|                             |\n"
        "    0.001  |<----------------100 Trying--|                             |\n"
        "    0.010  |                             |--INVITE (SDP)-------------->|\n"
        "    0.500  |                             |<--------------200 OK (SDP)--|\n"
        "    1.000  |<--------------------200 OK--|                             |  retransmission\n"
        "    2.000  |                             |<-----------------------BYE--|  stray ACK\n"
    )


def test_messages_below_their_arrows_without_secrets_or_control_characters() -> None:
    ladder = Ladder(100_000, LOCAL)
    data = message("REGISTER sip:t SIP/2.0", "R")[:-2] + (
        b'Authorization: Digest username="1001", nonce="n", response="0123456789abcdef"\r\nX: \x1b[2J\r\n\r\n'
        b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0c2VjcmV0c2VjcmV0|2^20\r\n"
    )
    ladder.received(data, CALLER, 1.0)
    text = render_ladder(ladder.of_call_id("R"), messages=True)
    assert 'response="****************"' in text
    assert "inline:************************|2^20" in text
    assert "0123456789abcdef" not in text
    assert "\x1b" not in text
    assert "username" in text


def test_nothing_kept() -> None:
    assert render_ladder(Ladder(1000).of_legs(["x"])) == "nothing is kept of this call\n"


def test_the_ring_is_bounded_by_bytes() -> None:
    ladder = Ladder(10_000, LOCAL)
    for n in range(500):
        ladder.received(message(f"INVITE sip:{n}@t SIP/2.0", str(n)), CALLER, float(n))
        assert ladder.bytes_held <= 10_000
    assert ladder.of_call_id("0") == []
    assert len(ladder.of_call_id("499")) == 1
    assert len(ladder.since(495.0)) == 5
    before = len(ladder)
    ladder.forget_last()
    ladder.forget_last()
    assert len(ladder) == before - 1
    ladder.received(b"x" * 20_000, CALLER, 600.0)
    assert len(ladder) == 0
    assert ladder.bytes_held == 0


def checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_pcap_is_readable_with_valid_checksums() -> None:
    ladder = make_call()
    ladder.received(message("INVITE sip:x SIP/2.0", "A"), Flow("udp", "2001:db8::7", 5062), 13.0)
    data = write_pcap(ladder.of_legs(["l1", "l2"]), 1_700_000_000.0)
    magic, major, minor, _, _, snap, link = struct.unpack("!IHHiIII", data[:24])
    assert (magic, major, minor, snap, link) == (0xA1B2C3D4, 2, 4, 65535, 101)
    at, packets = 24, []
    while at < len(data):
        seconds, micros, kept, size = struct.unpack("!IIII", data[at : at + 16])
        assert kept == size
        packets.append((seconds + micros / 1e6, data[at + 16 : at + 16 + size]))
        at += 16 + size
    assert len(packets) == 7
    wall, first = packets[0]
    assert wall == 1_700_000_010.0
    assert first[0] == 0x45
    assert struct.unpack("!H", first[2:4])[0] == len(first)
    assert checksum(first[:20]) == 0xFFFF
    assert (first[12:16], first[16:20]) == (socket.inet_aton("192.0.2.7"), socket.inet_aton("192.0.2.1"))
    assert struct.unpack("!HHH", first[20:26]) == (5060, 5060, len(first) - 20)
    assert first[28:].startswith(b"INVITE sip:400")
    reply = packets[1][1]
    assert (reply[12:16], reply[16:20]) == (first[16:20], first[12:16])
    v6 = packets[-1][1]
    assert v6[0] >> 4 == 6
    assert struct.unpack("!H", v6[4:6])[0] == len(v6) - 40
    assert checksum(v6[8:40] + struct.pack("!II", len(v6) - 40, 17) + v6[40:]) == 0xFFFF


def chunks(packet: bytes) -> dict[int, bytes]:
    assert packet[:4] == b"HEP3"
    assert struct.unpack("!H", packet[4:6])[0] == len(packet)
    found, at = {}, 6
    while at < len(packet):
        vendor, kind, length = struct.unpack("!HHH", packet[at : at + 6])
        assert vendor == 0
        found[kind] = packet[at + 6 : at + length]
        at += length
    return found


def test_hep_chunks() -> None:
    entry = make_call().of_legs(["l2"])[0]
    found = chunks(encode_hep(entry, 1_700_000_000.0, agent=2001, password="myHep"))
    assert found[1] == b"\x02"
    assert found[2] == b"\x06"
    assert (found[3], found[4]) == (socket.inet_aton("192.0.2.1"), socket.inet_aton("192.0.2.9"))
    assert (found[7], found[8]) == (struct.pack("!H", 5060), struct.pack("!H", 40001))
    assert (found[9], found[10]) == (struct.pack("!I", 1_700_000_010), struct.pack("!I", 10_000))
    assert (found[11], found[12]) == (b"\x01", struct.pack("!I", 2001))
    assert (found[14], found[17], found[15]) == (b"myHep", b"B", entry.data)


async def test_hep_is_sent_and_a_dead_collector_does_no_harm() -> None:
    entry = make_call().of_legs(["l1"])[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.bind(("127.0.0.1", 0))
        collector.setblocking(False)
        sender = HepSender(0.0)
        sender.send(entry)
        await sender.open(*collector.getsockname())
        sender.send(entry)
        data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(collector, 65535), 5)
        assert chunks(data)[15] == entry.data
    for _ in range(5):
        sender.send(entry)
    assert sender.lost > 0
    sender.close()
