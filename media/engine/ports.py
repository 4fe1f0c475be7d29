"""The RTP ports of a gateway: pairs of bound sockets out of a range, least recently used first."""

from __future__ import annotations

import errno
import socket
from collections import deque


class PortsExhausted(OSError):
    """No free port pair is left in the range."""


class PortPool:
    """Even ports from `first` to `last`, each with the odd one behind it."""

    def __init__(self, first: int, last: int) -> None:
        self._free = deque(range((first + 1) & ~1, last, 2))
        self.size = len(self._free)

    def release(self, port: int) -> None:
        """Give a pair back, to be used again after all others."""
        self._free.append(port)

    def bind(self, family: int, address: str) -> tuple[int, int, int]:
        """RTP descriptor, RTCP descriptor and RTP port. A pair that somebody else holds goes to the end of the queue.

        Raises PortsExhausted, and OSError for an address that is not ours."""
        for _ in range(len(self._free)):
            port = self._free.popleft()
            rtp = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            rtcp = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            try:
                if family == socket.AF_INET6:
                    rtp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    rtcp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                rtp.bind((address, port))
                rtcp.bind((address, port + 1))
                _mark_voice(rtp, family)
            except OSError as error:
                rtp.close()
                rtcp.close()
                self._free.append(port)
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            return rtp.detach(), rtcp.detach(), port
        raise PortsExhausted(errno.EADDRINUSE, "no free RTP port pair is left in the range")


def _mark_voice(sock: socket.socket, family: int) -> None:
    """DSCP EF (RFC 4594)."""
    if family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xB8)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, 0xB8)
