"""A caller with a foreign SIP stack (pjsip) who finds his way through flows by what he hears.

Every prompt of the flows is recorded as a tone of its own; the caller listens to the line, knows the prompt by its
frequency, and presses keys. Nothing is taken from the server but, afterwards, its event log.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from ruamel.yaml import YAML

from pbx.events.line import parse_line
from pbx.ivr.loader import load_flows
from pbx.server import Server
from tools import listen
from tools.demo import stage
from tools.phones import Phone, write_tone

RATE = 8000
FIRST_HZ, STEP_HZ = 420, 48
SPOKEN_HZ = 1000.0
"""What the caller says all the time."""
TONE_S, HEARD_S = 0.7, 0.3
DIDS = {
    # number: flow
    "+861055550200": "main",
    "+861055550201": "etc_service",
    "+861055550202": "after_hours",
    "+861055550203": "survey",
    "+861055550204": "duty_line",
    "+861055550205": "card_payment",
}


def record_tones(flows: Path, names: tuple[str, ...], languages: tuple[str, ...] = ()) -> dict[str, int]:
    """Record every prompt of the flows named as a tone; returns the frequency of each ``flow/prompt``.

    ``languages``: for each flow the one it is recorded in, so that another one is not known by ear; empty: all."""
    library, _ = load_flows(flows)
    tones: dict[str, int] = {}
    time = np.arange(round(RATE * TONE_S)) / RATE
    for index, name in enumerate(names):
        for prompt in library[name].prompts:
            hz = tones[f"{name}/{prompt}"] = FIRST_HZ + STEP_HZ * len(tones)
            samples = np.concatenate([0.3 * np.sin(2 * np.pi * hz * time), np.zeros(RATE // 5)])
            for language in languages[index : index + 1] or library[name].languages:
                target = flows / name / "prompts" / language / f"{prompt}.wav"
                target.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(target, samples, RATE, subtype="PCM_16")
    assert FIRST_HZ + STEP_HZ * len(tones) < 3400, "too many prompts for a telephone line"
    return tones


class Office:
    """A server with the flows under test, on loopback."""

    def __init__(self, folder: Path, server: Server, tones: dict[str, int], secrets: dict[str, str]) -> None:
        self.folder = folder
        self.server = server
        self.tones = tones
        self.secrets = secrets
        self.port: int = server.transports.listener_address("udp")[1]

    async def restart(self) -> None:
        """Another server takes over what this one kept, at a port of its own."""
        await self.server.stop("restart")
        self.server = Server(self.server.folder)
        await self.server.start()
        self.port = self.server.transports.listener_address("udp")[1]

    def events(self) -> list[Any]:
        """All events so far."""
        self.server.log.flush()
        return [parse_line(line).event for line in self.server.log.read(0, 10_000)]

    def path(self) -> list[str]:
        return [event.node for event in self.events() if type(event).__name__ == "NodeEntered"]

    def all(self, kind: str) -> list[Any]:
        """The events of a type."""
        return [event for event in self.events() if type(event).__name__ == kind]

    def find(self, kind: str) -> Any:
        """The first event of a type."""
        return next(event for event in self.events() if type(event).__name__ == kind)

    async def wait_for(self, kind: str, seconds: float = 20.0) -> Any:
        """An event of a type, or fail with those there were."""
        await until(lambda: any(type(event).__name__ == kind for event in self.events()), seconds)
        seen = [type(event).__name__ for event in self.events()]
        assert kind in seen, f"no {kind}; there were {seen}"
        return self.find(kind)


@contextlib.asynccontextmanager
async def open_office(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *flows: str,
    closed: bool = False,
    change: Mapping[str, str] | None = None,
    configure: Callable[[Any], None] = lambda tandem: None,
    edits: Mapping[str, Callable[[Any], None]] | None = None,
    languages: tuple[str, ...] = (),
) -> AsyncIterator[Office]:
    """Start a server; ``change``: texts in the first flow's file to replace, ``configure``: changes ``tandem.yaml``,
    ``edits``: change other files of the configuration, by name; ``languages``: see :func:`record_tones`."""
    monkeypatch.setenv("TANDEM_HOME", str(folder / "data"))
    shutil.copytree(stage.REPOSITORY / "ivr_flows", folder / "ivr_flows")
    for old, new in (change or {}).items():
        file = folder / "ivr_flows" / flows[0] / "flow.yaml"
        text = file.read_text("utf-8")
        assert old in text
        file.write_text(text.replace(old, new), "utf-8")
    tones = record_tones(folder / "ivr_flows", flows, languages)
    config = stage.build(folder)
    yaml = YAML()
    usual = {
        "tandem": lambda data, folder: configure(_use_flows(data, folder)),
        "routes": _add_routes,
        **({"calendars": _close} if closed else {}),
    }
    later = {name: lambda data, folder, edit=edit: edit(data) for name, edit in (edits or {}).items()}
    for name, change_file in (*usual.items(), *later.items()):
        data = yaml.load(config / f"{name}.yaml")
        change_file(data, folder)
        with (config / f"{name}.yaml").open("w", encoding="utf-8") as file_out:
            yaml.dump(data, file_out)
    secrets: dict[str, str] = {}
    server = Server(config, show_secret=secrets.__setitem__)
    await server.start()
    try:
        office = Office(folder, server, tones, secrets)
        yield office
        server = office.server
    finally:
        await server.stop("the test is over")


def _use_flows(data: Any, folder: Path) -> Any:
    data["flows"] = str(folder / "ivr_flows")
    return data


def _add_routes(data: Any, folder: Path) -> None:
    for did, flow in DIDS.items():
        data["inbound"].append({"did": did, "to": f"flow:{flow}", "data": {"amount": "88.5", "order": "A7"}})


def _close(data: Any, folder: Path) -> None:
    data["calendars"]["office"]["hours"] = {"daily": "closed"}


async def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether a condition comes true in time."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + seconds
    while True:
        if condition():
            return True
        if loop.time() > ends:
            return False
        await asyncio.sleep(0.1)


class Caller:
    """One call through the trunk; ``hz``: the tone it speaks all the time, 0 for a quiet caller."""

    def __init__(
        self, office: Office, name: str = "caller", *, address: str = stage.CALLER_ADDRESS, hz: float = SPOKEN_HZ
    ) -> None:
        self.office = office
        self.file = office.folder / f"{name}-0.wav"
        speak = office.folder / f"{name}.wav"
        if hz:
            write_tone(speak, hz)
        self.phone = Phone(
            name,
            *("--user", "13912345678", "--address", address, "--codecs", "PCMA"),
            *(("--speak", str(speak)) if hz else ()),
            *("--record", str(office.folder / f"{name}-%d.wav")),
        )
        self.position = 0

    async def dial(self, flow: str) -> None:
        did = next(number for number, to in DIDS.items() if to == flow)
        self.phone.do("call", uri=f"sip:{did.replace('+86', '0')}@127.0.0.1:{self.office.port}")
        await self.phone.wait("state", state="CONFIRMED")

    async def hear(self, prompt: str, seconds: float = 15.0) -> None:
        """Wait until the tone of ``flow/prompt`` has sounded for a while; listens on from there."""
        await self.hear_tone(self.office.tones[prompt], seconds, prompt)

    async def hear_tone(self, hz: int, seconds: float = 15.0, name: str = "the tone") -> None:
        """As :meth:`hear`, for a frequency."""
        if not await until(lambda: self._heard(hz), seconds):
            raise AssertionError(f"did not hear {name} ({hz} Hz), but {self.tell()}")

    def _heard(self, hz: int) -> bool:
        samples = self.samples()[self.position :]
        for start, end in listen.find_tone_intervals(samples, RATE, hz, share=0.8, bridge_ms=20):
            if end - start >= HEARD_S:
                self.position += round(end * RATE)
                return True
        return False

    def samples(self) -> NDArray[np.float32]:
        """What came so far; pjsip writes the header's length only at the end."""
        if not self.file.exists() or self.file.stat().st_size <= 44:
            return np.zeros(0, np.float32)
        raw = np.fromfile(self.file, dtype="<i2", offset=44)
        return raw.astype(np.float32) / np.float32(32768)

    def tell(self) -> str:
        """The prompts in what was heard since, by the loudest tone of every fifth of a second."""
        samples, size = self.samples()[self.position :], RATE // 5
        named = {hz: name for name, hz in self.office.tones.items()}
        seen: list[str] = []
        for start in range(0, len(samples) - size, size):
            loudest = listen.loudest_hz(samples[start : start + size], RATE)
            near = min(named, key=lambda hz: abs(hz - loudest))
            word = named[near] if abs(near - loudest) < 12 else "silence" if loudest == 0 else f"{loudest:.0f} Hz"
            if not seen or seen[-1] != word:
                seen.append(word)
        return " → ".join(seen) or "nothing at all"

    async def press(self, digits: str) -> None:
        self.phone.do("digits", digits=digits)

    def say(self, file: Path) -> None:
        """Speak a recording once."""
        self.phone.do("say", file=str(file))

    async def ended(self, seconds: float = 20.0) -> None:
        """Until the other side hangs up."""
        await self.phone.wait("state", state="DISCONNECTED", seconds=seconds)


async def find_sound(office: Office, path: str) -> listen.Sound:
    """A recording by its path in an event, once it is complete."""
    file = office.server.configuration.recording_folder().absolute() / path
    assert await until(file.exists, 10), f"there is no {file}"
    return listen.load(file)


async def find_message(office: Office, path: str) -> listen.Sound:
    """A voice message by its path in an event, once it is filed."""
    file = office.server.configuration.voicemail_folder().absolute() / path
    assert await until(file.exists, 10), f"there is no {file}"
    return listen.load(file)


class Service:
    """A web service that gives one answer and keeps what it was asked."""

    def __init__(self, answer: Any) -> None:
        self.url = ""
        self.asked: list[tuple[str, str]] = []
        self.bodies: list[Any] = []
        self._answer = json.dumps(answer).encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path, _ = head.split(" ", 2)
        length = next((int(line[15:]) for line in head.lower().split("\r\n") if line.startswith("content-length:")), 0)
        body = await reader.readexactly(length)
        self.asked.append((method, path))
        self.bodies.append(json.loads(body) if body else None)
        size = str(len(self._answer)).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\n")
        writer.write(b"content-length: " + size + b"\r\n\r\n" + self._answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@contextlib.asynccontextmanager
async def serve_json(answer: Any) -> AsyncIterator[Service]:
    """A web service on a free port."""
    service = Service(answer)
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield service
    finally:
        server.close()
        await server.wait_closed()
