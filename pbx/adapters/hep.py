"""Sends the SIP ladder to a Homer collector (HEPv3 over UDP). What cannot be sent is lost: calls never wait for it."""

from __future__ import annotations

import asyncio
import socket

import structlog

from pbx.sip.capture import encode_hep
from pbx.sip.ladder import LadderEntry

log = structlog.get_logger()


class HepSender:
    """One collector. ``epoch``: wall clock minus monotonic clock, in seconds."""

    def __init__(self, epoch: float, *, agent: int = 0, password: str = "") -> None:
        self._epoch = epoch
        self._agent = agent
        self._password = password
        self._socket: socket.socket | None = None
        self.lost = 0
        """Messages the system did not take."""

    async def open(self, host: str, port: int = 9060) -> None:
        """Look the collector up and get ready. Raises ``OSError``."""
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        family, kind, _, _, address = found[0]
        sock = socket.socket(family, kind)
        try:
            sock.setblocking(False)
            sock.connect(address)
        except OSError:
            sock.close()
            raise
        self.close()
        self._socket = sock
        log.info("sip.hep.sending", host=host, port=port)

    def send(self, entry: LadderEntry) -> None:
        if self._socket is None:
            return
        try:
            self._socket.send(encode_hep(entry, self._epoch, agent=self._agent, password=self._password))
        except OSError:
            # Also the ICMP error of an earlier datagram: nobody listens there.
            self.lost += 1

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
