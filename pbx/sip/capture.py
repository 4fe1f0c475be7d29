"""Ladder entries for other people's tools: pcap for Wireshark, HEPv3 for Homer.

Streams are written as UDP too: what is kept are messages, not segments. Secrets are masked.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable

from .ladder import LadderEntry

_RAW_IP = 101
"""LINKTYPE_RAW: packets begin with the IPv4 or IPv6 header."""
_UDP, _TCP = 17, 6
_HEP_SIP = 1


def write_pcap(entries: Iterable[LadderEntry], epoch: float) -> bytes:
    """A pcap file of ``entries``; ``epoch``: wall clock minus monotonic clock, in seconds."""
    parts = [struct.pack("!IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, _RAW_IP)]
    for entry in entries:
        packet = _make_packet(entry)
        seconds, micros = _split_time(epoch + entry.at)
        parts += [struct.pack("!IIII", seconds, micros, len(packet), len(packet)), packet]
    return b"".join(parts)


def encode_hep(entry: LadderEntry, epoch: float, *, agent: int = 0, password: str = "") -> bytes:
    """One HEPv3 packet (Homer's encapsulation protocol, version 3) about ``entry``."""
    source, target = _endpoints(entry)
    seconds, micros = _split_time(epoch + entry.at)
    v6 = source[0].version == 6
    protocol = _UDP if entry.flow.transport == "udp" else _TCP
    chunks = [
        _chunk(1, bytes((10 if v6 else 2,))),
        _chunk(2, bytes((protocol,))),
        _chunk(5 if v6 else 3, source[0].packed),
        _chunk(6 if v6 else 4, target[0].packed),
        _chunk(7, struct.pack("!H", source[1])),
        _chunk(8, struct.pack("!H", target[1])),
        _chunk(9, struct.pack("!I", seconds)),
        _chunk(10, struct.pack("!I", micros)),
        _chunk(11, bytes((_HEP_SIP,))),
        _chunk(12, struct.pack("!I", agent)),
    ]
    if password:
        chunks.append(_chunk(14, password.encode()))
    if entry.call_id:
        chunks.append(_chunk(17, entry.call_id[:512]))
    room = 65_000 - sum(map(len, chunks))
    chunks.append(_chunk(15, entry.masked()[:room]))
    body = b"".join(chunks)
    return b"HEP3" + struct.pack("!H", len(body) + 6) + body


def _chunk(kind: int, value: bytes) -> bytes:
    return struct.pack("!HHH", 0, kind, len(value) + 6) + value


_Endpoint = tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]


def _endpoints(entry: LadderEntry) -> tuple[_Endpoint, _Endpoint]:
    peer = _address(entry.flow.host), entry.flow.port & 0xFFFF
    local = _address(entry.local[0]), entry.local[1] & 0xFFFF
    if local[0].version != peer[0].version:
        local = _address("::" if peer[0].version == 6 else "0.0.0.0"), local[1]
    return (peer, local) if entry.direction == "in" else (local, peer)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return ipaddress.IPv4Address(0)


def _split_time(wall: float) -> tuple[int, int]:
    micros = max(0, round(wall * 1_000_000))
    return micros // 1_000_000 & 0xFFFFFFFF, micros % 1_000_000


def _make_packet(entry: LadderEntry) -> bytes:
    source, target = _endpoints(entry)
    v6 = source[0].version == 6
    payload = entry.masked()[: 65_535 - 48]
    length = 8 + len(payload)
    udp = struct.pack("!HHHH", source[1], target[1], length, 0)
    if not v6:
        # UDP over IPv4 may go without a checksum (RFC 768); the header's own is checked.
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0, 64, _UDP, 0) + source[0].packed + target[0].packed
        head = head[:10] + struct.pack("!H", _checksum(head)) + head[12:]
        return head + udp + payload
    head = struct.pack("!IHBB", 0x60000000, length, _UDP, 64) + source[0].packed + target[0].packed
    pseudo = source[0].packed + target[0].packed + struct.pack("!II", length, _UDP)
    checksum = _checksum(pseudo + udp + payload) or 0xFFFF
    return head + udp[:6] + struct.pack("!H", checksum) + payload


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
