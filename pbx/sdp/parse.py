"""Reading a session description (RFC 8866). Bounded, lenient about order, strict about what negotiation relies on."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NoReturn

from .crypto import parse_crypto
from .model import STATIC_FORMATS, Attribute, Crypto, Direction, Format, Media, SdpError, Session

MAX_BYTES = 32 * 1024
MAX_LINES = 800
MAX_MEDIA = 16
MAX_PAYLOADS = 64

_RTPMAP = re.compile(r"(\d{1,3})\s+([A-Za-z0-9!#$%&'*+\-.^_`{|}~]+)/(\d{1,6})(?:/(\d{1,2}))?\s*\Z")
_FMTP = re.compile(r"(\d{1,3})\s+(.*)\Z")
_ADDRESS = re.compile(r"[A-Za-z0-9.:\-_%]{1,255}\Z")
_DIRECTIONS: dict[str, Direction] = {
    "sendrecv": "sendrecv",
    "sendonly": "sendonly",
    "recvonly": "recvonly",
    "inactive": "inactive",
}


class _Section:
    """One m= section while it is being read."""

    def __init__(self, kind: str, port: int, protocol: str, payloads: tuple[str, ...], address: str) -> None:
        self.kind, self.port, self.protocol, self.payloads, self.address = kind, port, protocol, payloads, address
        self.direction: Direction | None = None
        self.maps: dict[int, tuple[str, int, int]] = {}
        self.fmtp: dict[int, str] = {}
        self.ptime = 0
        self.max_ptime = 0
        self.rtcp_port = 0
        self.mux = False
        self.mid = ""
        self.cryptos: list[Crypto] = []
        self.attributes: list[Attribute] = []

    def add(self, name: str, value: str) -> None:
        self.attributes.append(Attribute(name, value))
        if name == "rtpmap":
            match = _RTPMAP.match(value)
            if match and int(match[1]) < 128 and int(match[3]) > 0:
                self.maps[int(match[1])] = (match[2].upper(), int(match[3]), max(1, int(match[4] or 1)))
        elif name == "fmtp":
            match = _FMTP.match(value)
            if match:
                self.fmtp[int(match[1])] = match[2].strip()
        elif name in _DIRECTIONS:
            self.direction = _DIRECTIONS[name]
        elif name == "crypto":
            crypto = parse_crypto(value)
            if crypto is not None:
                self.cryptos.append(crypto)
        else:
            self._add_detail(name, value)

    def _add_detail(self, name: str, value: str) -> None:
        if name == "ptime":
            self.ptime = _read_ms(value)
        elif name == "maxptime":
            self.max_ptime = _read_ms(value)
        elif name == "rtcp-mux":
            self.mux = True
        elif name == "mid":
            self.mid = value
        elif name == "rtcp":
            port = value.split(" ")[0]
            self.rtcp_port = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else 0

    def finish(self, direction: Direction) -> Media:
        formats = []
        if "RTP/" in self.protocol:
            for payload in self.payloads:
                number = int(payload) if payload.isascii() and payload.isdigit() and len(payload) < 4 else 128
                mapped = self.maps.get(number)
                static = STATIC_FORMATS.get(number)
                if mapped is not None:
                    formats.append(Format(mapped[0], number, mapped[1], mapped[2], self.fmtp.get(number, "")))
                elif static is not None:
                    fmtp = self.fmtp.get(number, "")
                    formats.append(Format(static.name, number, static.clock_rate, static.channels, fmtp))
        return Media(
            kind=self.kind,
            port=self.port,
            protocol=self.protocol,
            payloads=self.payloads,
            formats=tuple(formats),
            address=self.address,
            direction=self.direction or direction,
            ptime_ms=self.ptime,
            max_ptime_ms=self.max_ptime,
            rtcp_port=self.rtcp_port,
            rtcp_mux=self.mux,
            cryptos=tuple(self.cryptos),
            mid=self.mid,
            attributes=tuple(self.attributes),
        )


def _read_ms(value: str) -> int:
    text = value.strip().partition(".")[0]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0


def _fail(number: int, line: str, why: str) -> NoReturn:
    raise SdpError(f"SDP line {number}: {why}: {line[:60]!r}")


class _Reader:
    def __init__(self) -> None:
        self.origin: list[str] = []
        self.name = "-"
        self.address = ""
        self.direction: Direction = "sendrecv"
        self.attributes: list[Attribute] = []
        self.sections: list[_Section] = []

    def take(self, number: int, line: str) -> None:
        kind, value = line[0], line[2:]
        if kind == "m":
            self.sections.append(self._read_media(number, line, value))
        elif kind == "c":
            self._read_connection(number, line, value)
        elif kind == "a":
            name, _, text = value.partition(":")
            name, text = name.strip().lower(), text.strip()
            if self.sections:
                self.sections[-1].add(name, text)
            else:
                self.attributes.append(Attribute(name, text))
                self.direction = _DIRECTIONS.get(name, self.direction)
        elif kind == "o" and not self.sections:
            self.origin = value.split()
            if len(self.origin) != 6:
                _fail(number, line, "o= needs six fields")
        elif kind == "s" and not self.sections:
            self.name = value

    def _read_connection(self, number: int, line: str, value: str) -> None:
        fields = value.split()
        if len(fields) != 3 or fields[0] != "IN" or fields[1] not in ("IP4", "IP6"):
            _fail(number, line, "expected c=IN IP4|IP6 address")
        address = fields[2].partition("/")[0]
        if not _ADDRESS.match(address):
            _fail(number, line, "bad address")
        if self.sections:
            self.sections[-1].address = address
        else:
            self.address = address

    def _read_media(self, number: int, line: str, value: str) -> _Section:
        fields = value.split()
        if len(fields) < 4:
            _fail(number, line, "expected m=kind port protocol formats")
        port = fields[1].partition("/")[0]
        if not (port.isascii() and port.isdigit() and len(port) < 6 and int(port) < 65536):
            _fail(number, line, "bad port")
        if len(self.sections) >= MAX_MEDIA or len(fields) - 3 > MAX_PAYLOADS:
            _fail(number, line, "too many media or formats")
        return _Section(fields[0].lower(), int(port), fields[2].upper(), tuple(fields[3:]), self.address)


@lru_cache(maxsize=64)
def parse(data: bytes) -> Session:
    """Read a description. Raises ``SdpError`` for anything that cannot be negotiated with.

    Few are remembered: setting a call up reads the same bytes several times in a row.
    """
    if len(data) > MAX_BYTES:
        raise SdpError(f"SDP of {len(data)} bytes, at most {MAX_BYTES} are read")
    text = data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    lines = text.rstrip("\n \x00").split("\n")
    if len(lines) > MAX_LINES:
        raise SdpError(f"SDP of {len(lines)} lines, at most {MAX_LINES} are read")
    if lines[0].rstrip() != "v=0":
        _fail(1, lines[0], "expected v=0")
    reader = _Reader()
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        if len(line) < 2 or line[1] != "=" or not line[0].isalpha():
            _fail(number, line, "expected x=value")
        reader.take(number, line)
    if not reader.origin:
        raise SdpError("SDP without o= line")
    media = tuple(section.finish(reader.direction) for section in reader.sections)
    for section in media:
        if section.port and not section.address:
            raise SdpError(f"SDP without c= line for m={section.kind}")
    return Session(
        username=reader.origin[0],
        session_id=reader.origin[1],
        version=reader.origin[2],
        address=reader.origin[5],
        media=media,
        attributes=tuple(reader.attributes),
        name=reader.name,
    )
