"""SIPp as telephones: scenarios of ``tools/sipp`` that register, answer as an agent and call as the carrier.

SIPp follows its script by the clock: it can be started and waited for, not told what to do, and it records nothing.
What it heard is not known; what it said is in our recording.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from pathlib import Path

import numpy as np
import soundfile

SCENARIOS = Path(__file__).parent / "sipp"


class SippFailed(Exception):
    """SIPp is missing, or its script did not go as written."""


def write_alaw(path: Path, hz: float, *, seconds: float = 1.0, level: float = 0.25) -> None:
    """A tone as bare A-law, a whole number of packets of 20 ms and of periods, so that it repeats without a click."""
    samples = level * np.sin(2 * np.pi * hz * np.arange(int(seconds * 8000)) / 8000)
    soundfile.write(path, samples, 8000, format="RAW", subtype="ALAW")


def free_port(address: str) -> int:
    """A UDP port that nobody uses now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


class Sipp:
    """One phone at a port of its own. ``folder``: where the tones lie (``agent.alaw``, ``caller.alaw``)."""

    def __init__(self, folder: Path, address: str, server: tuple[str, int]) -> None:
        if shutil.which("sipp") is None:
            raise SippFailed("sipp is missing: apt-get install sip-tester")
        self.folder = folder
        self.host = address
        self.port = free_port(address)
        self._server = server
        self._process: asyncio.subprocess.Process | None = None

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    async def start(self, scenario: str, *options: str, seconds: int = 60) -> None:
        """Begin a script; it may take ``seconds``."""
        media = free_port(self.host)
        self._process = await asyncio.create_subprocess_exec(
            *("sipp", "-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", self.host, "-p", str(self.port)),
            *("-mi", self.host, "-mp", str(media)),
            *("-m", "1", "-nostdin", "-timeout", f"{seconds}s", "-timeout_error", *options),
            f"{self._server[0]}:{self._server[1]}",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self.folder,
        )

    async def finish(self) -> None:
        """Wait for the end of the script. Raises SippFailed with what SIPp said."""
        assert self._process is not None
        said, _ = await self._process.communicate()
        if self._process.returncode != 0:
            raise SippFailed(f"SIPp ended with {self._process.returncode}:\n{said.decode(errors='replace')[-2500:]}")

    async def stop(self) -> None:
        """End it wherever it is."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.communicate()

    async def register(self, number: str, secret: str) -> None:
        """Register the port, which the next script listens at, with digest."""
        await self.start("register", "-s", number, "-au", number, "-ap", secret, seconds=10)
        await self.finish()
