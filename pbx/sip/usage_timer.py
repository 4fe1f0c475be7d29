"""Session timers (RFC 4028): who refreshes, when, and what happens when the peer does not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .wire import Packet

if TYPE_CHECKING:
    from .leg import Leg

_DELTA = re.compile(r"\s*(\d{1,9})\s*(?:;|\Z)")
_REFRESHER = re.compile(r";\s*refresher\s*=\s*(uac|uas)", re.IGNORECASE)
MIN_SE_FLOOR = 90
"""Smallest interval anybody may ask for (section 4)."""


def read_delta(value: str) -> int:
    """The seconds of a Session-Expires or Min-SE value; 0 if absent or unreadable."""
    match = _DELTA.match(value)
    return int(match[1]) if match else 0


class SessionTimer:
    """The timer of one leg. ``interval`` 0: none was agreed."""

    __slots__ = ("interval", "leg", "refresh_by_us")

    def __init__(self, leg: Leg) -> None:
        self.leg = leg
        self.interval = 0
        self.refresh_by_us = False

    def offer(self, headers_min_se: int = 0) -> str:
        """Header lines of a request of ours."""
        wanted = self.interval or self.leg.endpoint.settings.session_expires
        if not wanted:
            return ""
        minimum = max(self.leg.endpoint.settings.min_se, headers_min_se)
        refresher = (";refresher=uac" if self.refresh_by_us else ";refresher=uas") if self.interval else ""
        return f"Session-Expires: {max(wanted, minimum)}{refresher}\r\nMin-SE: {minimum}\r\n"

    def is_too_small(self, packet: Packet) -> bool:
        """The request asks for less than our Min-SE: answer 422 (section 9)."""
        wanted = packet.header("Session-Expires")
        return bool(wanted) and 0 < read_delta(wanted) < self.leg.endpoint.settings.min_se

    def accept(self, packet: Packet) -> str:
        """Agree to what a request of the peer asks; returns the header lines of our 2xx (section 9, table 2)."""
        settings = self.leg.endpoint.settings
        supported = "timer" in packet.tokens("supported") or "timer" in packet.tokens("require")
        asked = packet.header("Session-Expires")
        wanted = read_delta(asked)
        if not wanted and (not supported or not settings.session_expires):
            self.interval = 0
            return ""
        floor = max(settings.min_se, read_delta(packet.header("Min-SE")))
        limit = settings.session_expires or wanted
        self.interval = max(min(wanted or limit, limit), floor)
        match = _REFRESHER.search(asked)
        peer_refreshes = supported and (match is None or match[1].lower() == "uac")
        self.refresh_by_us = not peer_refreshes
        require = "Require: timer\r\n" if peer_refreshes else ""
        return f"{require}Session-Expires: {self.interval};refresher={'uac' if peer_refreshes else 'uas'}\r\n"

    def take_answer(self, packet: Packet) -> None:
        """Read the 2xx to a request of ours (section 7.2)."""
        value = packet.header("Session-Expires")
        self.interval = read_delta(value)
        if self.interval:
            self.interval = max(self.interval, MIN_SE_FLOOR)
            match = _REFRESHER.search(value)
            self.refresh_by_us = match is None or match[1].lower() == "uac"

    def start(self) -> None:
        """Set the timer from now: half the interval to refresh, or nearly all of it to give up (section 10)."""
        transactions = self.leg.endpoint.transactions
        self.stop()
        if not self.interval:
            return
        if self.refresh_by_us:
            transactions.set_timer(self.leg, "session refresh", self.interval / 2)
        transactions.set_timer(self.leg, "session expired", self.interval - min(32.0, self.interval / 3))

    def stop(self) -> None:
        self.leg.endpoint.transactions.stop_timer(self.leg, "session refresh")
        self.leg.endpoint.transactions.stop_timer(self.leg, "session expired")

    def on_timer(self, name: str) -> None:
        if name == "session refresh":
            self.leg.modification.refresh()
        else:
            self.leg.break_off("timeout", 102, "session expired")

    def to_state(self) -> dict[str, Any]:
        return {"interval": self.interval, "refresh_by_us": self.refresh_by_us}

    def restore(self, state: dict[str, Any]) -> None:
        self.interval = int(state["interval"])
        self.refresh_by_us = bool(state["refresh_by_us"])
