"""Timer values of RFC 3261 table 4, as data: tests and simulations pass their own."""

from __future__ import annotations

import msgspec


class Timing(msgspec.Struct, frozen=True):
    """All in seconds."""

    t1: float = 0.5
    """Round-trip estimate; first retransmission interval (section 17.1.1.1)."""
    t2: float = 4.0
    """Longest interval between retransmissions of non-INVITE requests and of INVITE responses."""
    t4: float = 5.0
    """Longest time a message stays in the network."""
    timer_d: float = 32.0
    """Wait for repeated final responses to INVITE over unreliable transports: at least 32 s."""

    @property
    def limit(self) -> float:
        """64*T1: timers B, F, H, J, L, M, and how long a 2xx is repeated without an ACK."""
        return 64 * self.t1
