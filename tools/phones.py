"""Drives ``tools.phone`` processes from asyncio: commands as methods, events waited for by condition."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile


def write_tone(path: Path, hz: float, *, seconds: float = 2.0, rate: int = 8000, level: float = 0.25) -> None:
    """A WAV of a whole number of periods, so that it repeats without a click."""
    periods = round(hz * seconds)
    count = round(periods / hz * rate)
    samples = level * np.sin(2 * np.pi * hz * np.arange(count) / rate)
    soundfile.write(path, samples, rate, subtype="PCM_16")


class PhoneFailed(Exception):
    """The phone did not do what was waited for; the text has everything it said."""


async def end(process: asyncio.subprocess.Process, ask: Callable[[], None], reader: asyncio.Task[None]) -> None:
    """End a phone's process: ``ask`` it, and where that is no use, kill it; then its ``reader``."""
    with contextlib.suppress(ConnectionError, OSError):
        ask()
    try:
        async with asyncio.timeout(5):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)


class Phone:
    """One telephone process. ``async with Phone(...) as phone``."""

    def __init__(
        self,
        name: str,
        *options: str,
        on_event: Callable[[str, dict[str, Any]], None] = lambda name, event: None,
    ) -> None:
        self.name = name
        self.address = ""
        """host:port of its SIP socket."""
        self.events: list[dict[str, Any]] = []
        self._options = options
        self._on_event = on_event
        self._changed = asyncio.Condition()
        self._process: asyncio.subprocess.Process
        self._reader: asyncio.Task[None]

    async def __aenter__(self) -> Phone:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tools.phone",
            *self._options,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parent.parent,
        )
        self._reader = asyncio.get_running_loop().create_task(self._read())
        ready = await self.wait("ready")
        self.address = ready["address"]
        return self

    async def __aexit__(self, *_: object) -> None:
        await end(self._process, lambda: self.do("quit"), self._reader)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if not line.startswith(b"{"):
                continue
            event = json.loads(line)
            async with self._changed:
                self.events.append(event)
                self._changed.notify_all()
            self._on_event(self.name, event)

    def do(self, command: str, **fields: Any) -> None:
        """Give it a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": command, **fields}).encode() + b"\n")

    async def wait(self, event: str, *, seconds: float = 15.0, after: int = 0, **fields: Any) -> dict[str, Any]:
        """The first event with these fields since event number ``after``. Raises PhoneFailed."""

        def find() -> dict[str, Any] | None:
            for seen in self.events[after:]:
                if seen["event"] == event and all(seen.get(key) == value for key, value in fields.items()):
                    return seen
            return None

        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: find() is not None)
        except TimeoutError:
            said = "\n  ".join(json.dumps(seen) for seen in self.events)
            raise PhoneFailed(f"{self.name}: no {event} {fields} within {seconds:g} s; it said:\n  {said}") from None
        found = find()
        assert found is not None
        return found

    async def register(self, user: str, password: str, registrar: str) -> None:
        """Register and wait for the 200."""
        mark = len(self.events)
        self.do("register", user=user, password=password, registrar=registrar)
        await self.wait("registration", after=mark, code=200)
