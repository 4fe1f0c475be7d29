"""The load of bench_sip: a carrier that calls and a phone that answers, as little of each as a server can tell apart.

    python -m tools.sip_load SERVER_PORT PASSWORD

A process of its own, one thread, two UDP sockets. Reads commands from standard input, one JSON object a line, and
answers each with one:

    {"do": "call", "rate": 200, "seconds": 20, "talk": 1.0}      calls begin at even intervals, whatever the server does
    {"do": "register", "rate": 500, "seconds": 5}                registrations with digest, each challenged anew
    {"do": "quit"}

A call is right when the INVITE was answered with 180 and 200, the 200 acknowledged, the BYE answered with 200; set-up
is from the INVITE's first sending to the arrival of the 200. The phone rings and answers at once, so that all of this
time is the server's, the gateway's, and this program's own.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections import Counter, deque
from typing import Any

from pbx.sip.auth import answer_challenge
from pbx.sip.commands import Credentials, Flow
from pbx.sip.wire import read_packet

SERVER, CARRIER, PHONE = "127.0.0.1", "127.0.0.2", "127.0.0.3"
NUMBER, EXTENSION, REALM = "+4930100", "1001", "bench"
GIVE_UP_S = 10.0
T1 = 0.5
_SDP = (
    "v=0\r\no=- 20518 0 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP {formats}\r\n"
    "a=rtpmap:8 PCMA/8000\r\n{more}a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
)
_OFFER = _SDP.format(host=CARRIER, port=40000, formats="8 0 101", more="a=rtpmap:0 PCMU/8000\r\n")
_ANSWER = _SDP.format(host=PHONE, port=41000, formats="8 101", more="")


def find_header(data: bytes, name: bytes) -> bytes:
    """The value of the first header line ``name``, which the server writes in its long form."""
    start = data.find(b"\r\n" + name + b": ")
    if start < 0:
        return b""
    start += len(name) + 4
    return data[start : data.index(b"\r\n", start)]


def find_uri(value: bytes) -> bytes:
    return value[value.index(b"<") + 1 : value.index(b">")] if b"<" in value else value.partition(b";")[0]


class Call:
    __slots__ = ("answered", "begun", "bye", "invite", "number", "rang", "resend_at", "resend_s")

    def __init__(self, number: int, invite: bytes, now: float) -> None:
        self.number = number
        self.invite = invite
        self.begun = now
        self.rang = self.answered = 0.0
        self.bye = b""
        self.resend_s = T1
        self.resend_at = now + T1


class Load:
    def __init__(self, port: int, password: str) -> None:
        self.server = (SERVER, port)
        self.credentials = Credentials(EXTENSION, password)
        self.carrier, self.phone = _open(CARRIER), _open(PHONE)
        self.carrier_port, self.phone_port = (s.getsockname()[1] for s in (self.carrier, self.phone))
        self.made = 0
        self.calls: dict[bytes, Call] = {}
        self.talking: deque[tuple[float, bytes]] = deque()
        self.counts: Counter[str] = Counter()
        self.setups: list[float] = []
        self.rings: list[float] = []
        self.registering: dict[bytes, float] = {}
        self.registers: list[float] = []

    # --- a run ----------------------------------------------------------------------------------------------------

    def run(self, rate: float, seconds: float, talk: float = 1.0, *, register: bool = False) -> dict[str, Any]:
        self.counts.clear()
        self.setups, self.rings, self.registers = [], [], []
        self.registering.clear()
        total, started, late = int(rate * seconds), 0, 0.0
        begun, cpu = time.monotonic(), time.process_time()
        swept = last = begun
        while started < total or self.calls or (self.registering and last - begun < seconds + 2):
            now = last = time.monotonic()
            while started < total and begun + started / rate <= now:
                late = max(late, now - begun - started / rate)
                if register:
                    self._register()
                else:
                    self._invite(now)
                started += 1
            while self.talking and self.talking[0][0] <= now:
                self._bye(self.talking.popleft()[1], now)
            if now - swept > 0.05:
                swept = now
                self._sweep(now)
            ahead = begun + started / rate - now if started < total else 0.05
            if self.talking:
                ahead = min(ahead, self.talking[0][0] - now)
            for sock in select.select((self.carrier, self.phone), (), (), min(0.05, max(0.0, ahead)))[0]:
                self._read(sock, talk)
        elapsed = last - begun
        figures = {"started": total, "seconds": round(elapsed, 2), "load_cpu": time.process_time() - cpu}
        if register:
            good = len(self.registers)
            return figures | {"good": good, "p95_ms": quantile(self.registers, 0.95)} | dict(self.counts)
        return figures | {
            "good": self.counts.pop("good", 0),
            **{f"setup_p{q}_ms": quantile(self.setups, q / 100) for q in (50, 95, 99)},
            "ringing_p95_ms": quantile(self.rings, 0.95),
            "load_late_ms": round(late * 1e3, 1),
            "wrong": dict(self.counts),
        }

    # --- the carrier ----------------------------------------------------------------------------------------------

    def _invite(self, now: float) -> None:
        self.made += 1
        number, port = self.made, self.carrier_port
        head = (
            f"INVITE sip:{NUMBER}@{SERVER}:{self.server[1]} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {CARRIER}:{port};branch=z9hG4bKi{number};rport\r\nMax-Forwards: 70\r\n"
            f'From: "Carrier" <sip:+4930555{number % 10000:04}@{CARRIER}>;tag=c{number}\r\n'
            f"To: <sip:{NUMBER}@{SERVER}>\r\nCall-ID: {number}@{CARRIER}\r\nCSeq: 1 INVITE\r\n"
            f"Contact: <sip:carrier@{CARRIER}:{port}>\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE\r\n"
            f"Supported: timer\r\nUser-Agent: load\r\n"
            f"P-Asserted-Identity: <sip:+4930555{number % 10000:04}@{CARRIER}>\r\n"
            f"Content-Type: application/sdp\r\nContent-Length: {len(_OFFER)}\r\n\r\n{_OFFER}"
        )
        call = Call(number, head.encode(), now)
        self.calls[b"%d@%s" % (number, CARRIER.encode())] = call
        self.carrier.sendto(call.invite, self.server)

    def _bye(self, call_id: bytes, now: float) -> None:
        call = self.calls.get(call_id)
        if call is not None:
            self.carrier.sendto(call.bye, self.server)
            call.resend_s, call.resend_at = T1, now + T1

    def _carrier_got(self, data: bytes, talk: float) -> None:
        now = time.monotonic()
        call_id = find_header(data, b"Call-ID")
        call = self.calls.get(call_id)
        if not data.startswith(b"SIP/2.0 "):
            self.counts["requests from the server"] += 1
            self.carrier.sendto(_respond(data, b"200 OK", b"", b""), self.server)
            return
        status, method = int(data[8:11]), find_header(data, b"CSeq").partition(b" ")[2]
        if call is None or status == 100:
            return
        if method == b"BYE":
            self.counts["good" if status == 200 and call.rang else "BYE refused"] += 1
            del self.calls[call_id]
        elif status == 180:
            if not call.rang:
                call.rang = now
                self.rings.append(now - call.begun)
            call.resend_at = now + GIVE_UP_S
        elif status == 200:
            self.carrier.sendto(self._in_dialog(call, data, b"ACK", 1), self.server)
            if not call.answered:
                call.answered = now
                self.setups.append(now - call.begun)
                call.bye = self._in_dialog(call, data, b"BYE", 2)
                call.resend_at = now + GIVE_UP_S + talk
                self.talking.append((now + talk, call_id))
        elif status >= 300:
            self.carrier.sendto(self._in_dialog(call, data, b"ACK", 1, call.invite), self.server)
            self.counts[f"INVITE refused with {status}"] += 1
            del self.calls[call_id]

    def _in_dialog(self, call: Call, response: bytes, method: bytes, cseq: int, invite: bytes = b"") -> bytes:
        target = find_uri(find_header(response, b"Contact")) if not invite else invite.split(b" ", 2)[1]
        branch = b"i%d" % call.number if invite else method + b"%d" % call.number
        return b"".join((
            method, b" ", target, b" SIP/2.0\r\nVia: SIP/2.0/UDP ", b"%s:%d" % (CARRIER.encode(), self.carrier_port),
            b";branch=z9hG4bK", branch, b";rport\r\nMax-Forwards: 70\r\nFrom: ", find_header(response, b"From"),
            b"\r\nTo: ", find_header(response, b"To"), b"\r\nCall-ID: ", find_header(response, b"Call-ID"),
            b"\r\nCSeq: %d " % cseq, method, b"\r\nContent-Length: 0\r\n\r\n",
        ))  # fmt: skip

    def _sweep(self, now: float) -> None:
        """Send again what was not answered (RFC 3261 timers A and E), give up what never will be."""
        for call_id, call in list(self.calls.items()):
            if call.resend_at > now:
                continue
            if call.resend_s > GIVE_UP_S / 2 or (call.rang and not call.answered):
                self.counts["no answer"] += 1
                del self.calls[call_id]
                continue
            self.counts["sent again"] += 1
            self.carrier.sendto(call.bye or call.invite, self.server)
            call.resend_s *= 2
            call.resend_at = now + call.resend_s

    # --- the phone ------------------------------------------------------------------------------------------------

    def _phone_got(self, data: bytes) -> None:
        if data.startswith(b"SIP/2.0 "):
            self._registered(data)
            return
        if data.startswith(b"INVITE"):
            self.phone.sendto(_respond(data, b"180 Ringing", self._contact(), b""), self.server)
            self.phone.sendto(_respond(data, b"200 OK", self._contact(), _ANSWER.encode()), self.server)
        elif not data.startswith(b"ACK"):
            self.phone.sendto(_respond(data, b"200 OK", self._contact(), b""), self.server)

    def _contact(self) -> bytes:
        return b"Contact: <sip:%s@%s:%d>\r\n" % (EXTENSION.encode(), PHONE.encode(), self.phone_port)

    def _register(self, proof: str = "", call_id: str = "", cseq: int = 1) -> None:
        if not call_id:
            self.made += 1
            call_id = f"r{self.made}@{PHONE}"
        data = (
            f"REGISTER sip:{SERVER} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {PHONE}:{self.phone_port};branch=z9hG4bK{call_id}{cseq};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:{EXTENSION}@{SERVER}>;tag={call_id.partition('@')[0]}\r\n"
            f"To: <sip:{EXTENSION}@{SERVER}>\r\n"
            f"Call-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\n{self._contact().decode()}"
            f"Expires: 3600\r\nUser-Agent: load\r\n{proof}Content-Length: 0\r\n\r\n"
        )
        if not proof:
            self.registering[call_id.encode()] = time.monotonic()
        self.phone.sendto(data.encode(), self.server)

    def _registered(self, data: bytes) -> None:
        call_id = find_header(data, b"Call-ID")
        begun = self.registering.get(call_id)
        if begun is None:
            return
        if data.startswith(b"SIP/2.0 401"):
            packet, _ = read_packet(data, Flow("udp", *self.server))
            assert packet is not None
            proof = answer_challenge(packet.response, "REGISTER", f"sip:{SERVER}", self.credentials, {}, "0a4f113b")
            assert proof is not None
            self._register(f"{proof[0]}: {proof[1]}\r\n", call_id.decode(), 2)
            return
        del self.registering[call_id]
        if data.startswith(b"SIP/2.0 200"):
            self.registers.append(time.monotonic() - begun)
        else:
            self.counts[f"refused with {data[8:11].decode()}"] += 1

    # --- sockets --------------------------------------------------------------------------------------------------

    def _read(self, sock: socket.socket, talk: float) -> None:
        for _ in range(64):
            try:
                data = sock.recv(65_535)
            except BlockingIOError:
                return
            if sock is self.phone:
                self._phone_got(data)
            else:
                self._carrier_got(data, talk)


def _respond(request: bytes, status: bytes, contact: bytes, body: bytes) -> bytes:
    call_id, to = find_header(request, b"Call-ID"), find_header(request, b"To")
    if b";tag=" not in to:
        to += b";tag=p" + call_id[:8]
    vias = b"".join(b"Via: %s\r\n" % line for line in _all(request, b"Via"))
    kind = b"Content-Type: application/sdp\r\n" if body else b""
    return b"".join((
        b"SIP/2.0 ", status, b"\r\n", vias, b"From: ", find_header(request, b"From"), b"\r\nTo: ", to, b"\r\nCall-ID: ",
        call_id, b"\r\nCSeq: ", find_header(request, b"CSeq"), b"\r\n", contact, b"User-Agent: load\r\n", kind,
        b"Content-Length: %d\r\n\r\n" % len(body), body,
    ))  # fmt: skip


def _all(data: bytes, name: bytes) -> list[bytes]:
    return [line[len(name) + 2 :] for line in data.split(b"\r\n") if line.startswith(name + b": ")]


def _open(host: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.bind((host, 0))
    sock.setblocking(False)
    return sock


def quantile(values: list[float], q: float) -> float | None:
    """In milliseconds."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * q))] * 1e3, 2) if ordered else None


def main() -> None:
    load = Load(int(sys.argv[1]), sys.argv[2])
    for line in sys.stdin:
        order = json.loads(line)
        what = order.pop("do")
        if what == "quit":
            break
        print(json.dumps(load.run(**order, register=what == "register")), flush=True)


if __name__ == "__main__":
    main()
