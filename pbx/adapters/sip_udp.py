"""SIP over UDP: one socket, read in bursts straight from the selector, written without a queue where possible."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable

import structlog

from pbx.sip.commands import Flow
from pbx.sip.stun import answer_binding, is_stun

log = structlog.get_logger()

MAX_DATAGRAM = 65_535
BURST = 64
"""Datagrams taken per wake-up, so that other sockets get their turn under flood."""
MAX_QUEUED = 4096
"""Datagrams waiting for a full socket; beyond that they are lost, as UDP may lose any."""
BUFFER_BYTES = 4 * 1024 * 1024
IP_RECVERR, IPV6_RECVERR = 11, 25
"""Of Linux; Python has no names for them."""
_EXTENDED_ERROR = struct.Struct("@IBBBBII")
"""``sock_extended_err`` of ip(7): errno, origin, ICMP type, ICMP code, padding, info, data."""
_ICMP, _ICMP6 = 2, 3
_FRAGMENTATION_NEEDED = 4
MAX_RETRIES = 16
"""Times a datagram is sent again because the socket reported errors of earlier ones instead."""


class UdpEndpoint:
    """A bound UDP socket. ``on_packet`` gets every datagram that may be SIP; keep-alive pings are answered here."""

    def __init__(self, name: str, on_packet: Callable[[bytes, Flow], None], on_failed: Callable[[Flow], None]) -> None:
        self.name = name
        self._on_packet = on_packet
        self._on_failed = on_failed
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._queue: deque[tuple[bytes, Flow]] = deque()
        self.address: tuple[str, int] = ("", 0)
        self.lost = 0
        """Datagrams not sent because the queue was full."""

    def open(self, host: str, port: int) -> None:
        """Bind and start reading. Raises ``OSError``."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
            else:
                sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                sock.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
            sock.bind((host, port))
        except OSError:
            sock.close()
            raise
        self._socket = sock
        self.address = sock.getsockname()[:2]
        self._loop.add_reader(sock.fileno(), self._read)

    def close(self) -> None:
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
            self._socket.close()
            self._socket = None
        self._queue.clear()

    def send(self, flow: Flow, data: bytes) -> None:
        """Send now, or as soon as the socket takes it. Failure is reported on the next turn of the loop."""
        if self._queue:
            self._enqueue(data, flow)
            return
        sock = self._socket
        if sock is None:
            self._loop.call_soon(self._on_failed, flow)
            return
        try:
            self._write(sock, data, flow)
        except (BlockingIOError, InterruptedError):
            self._enqueue(data, flow)
            self._loop.add_writer(sock.fileno(), self._flush)
        except (OSError, OverflowError) as error:
            self._fail(flow, error)

    def _write(self, sock: socket.socket, data: bytes, flow: Flow) -> None:
        """Raises ``OSError`` for this datagram; an error of an earlier one, which the socket tells first, is not."""
        for _ in range(MAX_RETRIES):
            try:
                sock.sendto(data, (flow.host, flow.port))
                return
            except (BlockingIOError, InterruptedError):
                raise
            except OSError:
                if not self._drain_errors(sock):
                    raise
        sock.sendto(data, (flow.host, flow.port))

    def _enqueue(self, data: bytes, flow: Flow) -> None:
        if len(self._queue) < MAX_QUEUED:
            self._queue.append((data, flow))
        else:
            self.lost += 1

    def _flush(self) -> None:
        sock = self._socket
        while self._queue and sock is not None:
            data, flow = self._queue[0]
            try:
                self._write(sock, data, flow)
            except (BlockingIOError, InterruptedError):
                return
            except (OSError, OverflowError) as error:
                self._fail(flow, error)
            self._queue.popleft()
        if sock is not None:
            self._loop.remove_writer(sock.fileno())

    def _fail(self, flow: Flow, error: Exception) -> None:
        log.warning("sip.udp.send_failed", listener=self.name, peer=f"{flow.host}:{flow.port}", error=str(error))
        self._loop.call_soon(self._on_failed, flow)

    def _drain_errors(self, sock: socket.socket) -> bool:
        """Take what ICMP said of earlier datagrams: who is unreachable fails at once (RFC 3261 section 18.4).

        False: nothing was waiting.
        """
        unreachable: set[tuple[str, int]] = set()
        found = False
        for _ in range(BURST):
            try:
                _, ancillary, _, address = sock.recvmsg(0, 256, socket.MSG_ERRQUEUE)
            except OSError:
                break
            found = True
            if address and any(_is_unreachable(level, kind, data) for level, kind, data in ancillary):
                unreachable.add((address[0], address[1]))
        for host, port in sorted(unreachable):
            log.info("sip.udp.unreachable", listener=self.name, peer=f"{host}:{port}")
            self._loop.call_soon(self._on_failed, Flow("udp", host, port, self.name))
        return found

    def _read(self) -> None:
        sock = self._socket
        for _ in range(BURST):
            if sock is None:
                return
            try:
                data, address = sock.recvfrom(MAX_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                # An ICMP error of an earlier datagram; the socket itself is well.
                if not self._drain_errors(sock):
                    log.debug("sip.udp.receive_failed", listener=self.name, error=str(error))
                continue
            if len(data) < 8:
                continue
            if data[0] < 4 and is_stun(data):
                self._answer_stun(data, address[0], address[1])
            else:
                self._on_packet(data, Flow("udp", address[0], address[1], self.name))
            sock = self._socket

    def _answer_stun(self, data: bytes, host: str, port: int) -> None:
        answer = answer_binding(data, host, port)
        if answer is not None:
            self.send(Flow("udp", host, port, self.name), answer)


def _is_unreachable(level: int, kind: int, data: bytes) -> bool:
    """Whether a message of the error queue is ICMP's "destination unreachable", for whatever reason but size.

    Source quench and exceeded time say nothing about the peer; a datagram that was too large is cut by the system.
    """
    known = (level, kind) in ((socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR))
    if not known or len(data) < _EXTENDED_ERROR.size:
        return False
    _, origin, icmp_type, code, *_ = _EXTENDED_ERROR.unpack_from(data)
    if origin == _ICMP:
        return bool(icmp_type == 3 and code != _FRAGMENTATION_NEEDED)
    return bool(origin == _ICMP6 and icmp_type == 1)
