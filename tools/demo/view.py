"""What a person sees while the call goes on: SIP messages as a ladder, events and the desktop beside it."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.markup import escape

from pbx.sip.commands import Flow

_LANES = {"caller": 0, "agent": 1}
_WIDTH = 26
_QUIET = {"MediaQuality", "DeviceRegistered", "AuditEntry"}


class View:
    def __init__(self, console: Console) -> None:
        self.console = console
        self._start = time.monotonic()
        self._who: dict[str, str] = {}
        """host:port of each phone's SIP socket, to its name."""

    def now(self) -> float:
        return time.monotonic() - self._start

    def know(self, address: str, name: str) -> None:
        self._who[address] = name

    def head(self) -> None:
        self.console.print(
            f"[bold]{'seconds':>7}  {'caller (carrier)':<{_WIDTH}}{'Tandem':^12}{'agent 1001':>{_WIDTH}}[/]"
        )

    def packet(self, sent: bool, flow: Flow, data: bytes, leg: str, note: str) -> None:
        """One SIP message as an arrow between a phone and Tandem."""
        who = self._who.get(f"{flow.host}:{flow.port}")
        if who is None:
            return
        line = data.split(b"\r\n", 1)[0].decode("utf-8", "replace")
        word = line.removeprefix("SIP/2.0 ") if line.startswith("SIP/") else line.split(" ", 1)[0]
        if b"application/sdp" in data:
            word += " (SDP)"
        right = sent == (who == "agent")
        shaft = f" {word} ".center(_WIDTH - 2, "─")
        arrow = f"{shaft}▶ " if right else f"◀{shaft} "
        lanes = [" " * _WIDTH, " " * _WIDTH]
        lanes[_LANES[who]] = arrow
        style = "cyan" if who == "caller" else "green"
        self.console.print(f"{self.now():7.2f}  [{style}]{lanes[0]}{'│':^12}{lanes[1]}[/]")

    def event(self, event: dict[str, Any]) -> None:
        """An event as a desktop gets it."""
        kind = event["event"]["type"]
        if kind in _QUIET:
            return
        shown = {
            key: value
            for key, value in event["event"].items()
            if key not in ("type", "call", "leg", "item", "offer", "entry", "why", "recording", "sha256", "version")
            and value not in ("", None, [], {})
        }
        details = " ".join(f"{key}={value}" for key, value in shown.items())
        self.console.print(f"{self.now():7.2f}  [yellow]● {kind:<22}[/] {escape(details)[:120]}")

    def say(self, text: str) -> None:
        """What a person does, or what the demonstration found."""
        self.console.print(f"{self.now():7.2f}  [bold magenta]{escape(text)}[/]")
