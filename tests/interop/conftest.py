"""A running server on free loopback ports, and other people's SIP stacks around it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from pbx.cti.actor import Actor
from pbx.cti.commands import Accepted, AnyCommand
from pbx.events.line import parse_line
from pbx.server import Server
from tools import listen
from tools.demo import stage
from tools.phones import Phone, write_tone

ADMINISTRATOR = Actor(user="test", role="administrator")
CARRIER = stage.CALLER_ADDRESS


class Site:
    """The server, its secrets, and phones that speak a tone of their own."""

    def __init__(self, server: Server, folder: Path, secrets: dict[str, str]) -> None:
        self.server = server
        self.folder = folder
        self.secrets = secrets
        self.port = server.transports.listener_address("udp")[1]
        self.tcp_port = server.transports.listener_address("tcp")[1]

    def port_of(self, transport: str) -> int:
        """Where Tandem listens."""
        return int(self.server.transports.listener_address(transport)[1])

    def uri(self, number: str, transport: str = "udp") -> str:
        return f"sip:{number}@127.0.0.1:{self.port_of(transport)}"

    def phone(self, name: str, hz: float, *, user: str = "", address: str = "127.0.0.1", transport: str = "udp",
              codecs: str = "PCMA,PCMU", options: tuple[str, ...] = ()) -> Phone:  # fmt: skip
        """A pjsua2 phone; what it hears is in ``heard(name)``."""
        tone = self.folder / f"{name}.wav"
        write_tone(tone, hz)
        return Phone(
            name,
            *("--user", user or name, "--address", address, "--speak", str(tone), "--transport", transport),
            *("--record", str(self.folder / f"{name}-heard-%d.wav"), "--codecs", codecs),
            *("--log", str(self.folder / f"{name}.log"), *options),
        )

    def heard(self, name: str, hz: float, call: int = 0) -> float:
        """Seconds of this tone that a phone heard in its call number ``call``."""
        sound = listen.load(self.folder / f"{name}-heard-{call}.wav")
        return sum(b - a for a, b in listen.find_tone_intervals(sound.channels[0], sound.rate, hz, bridge_ms=60))

    async def register(self, phone: Phone, number: str, transport: str = "udp") -> None:
        registrar = f"sip:127.0.0.1:{self.port_of(transport)}"
        await phone.register(number, self.secrets[f"extension-{number}"], registrar)

    async def until_registered(self, number: str) -> None:
        """Wait for a phone that registers by itself."""
        await self.until(lambda: self.server.registrar.contacts(number, self.server.runtime.clock()))

    def execute(self, command: AnyCommand) -> dict[str, Any]:
        """Give a desktop command as administrator; it has to be accepted."""
        results: list[Any] = []
        runtime = self.server.runtime
        before, runtime.on_done = runtime.on_done, results.append
        try:
            runtime.execute(ADMINISTRATOR, command, f"test-{len(results)}-{self.server.ids.token()}")
        finally:
            runtime.on_done = before
        assert isinstance(results[0].result, Accepted), results[0].result
        return results[0].result.data

    def facts(self, kind: str) -> list[Any]:
        """The events of this name so far, in order."""
        self.server.log.flush()
        events = [parse_line(line).event for line in self.server.log.read(0, 10_000)]
        return [event for event in events if type(event).__name__ == kind]

    async def until(self, condition: Callable[[], Any], seconds: float = 15.0) -> None:
        """Wait for a condition that nothing tells of by itself."""
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    def only_call(self) -> Any:
        (call,) = self.server.runtime.switch.exchange.calls.values()
        return call


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for the loopback addresses the tests use, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    names = ",".join(f"IP:127.0.0.{last}" for last in range(1, 5))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", f"subjectAltName={names}",
         "-out", folder / "chain.pem", "-keyout", folder / "key.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder / "chain.pem", folder / "key.pem"


Opener = Callable[..., contextlib.AbstractAsyncContextManager[Site]]


@pytest.fixture
def open_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificate: tuple[Path, Path]) -> Opener:
    """Start a server: ``open_site(change)``, where ``change`` may edit the configuration's folder first."""
    for tool, package in (("sipp", "sip-tester"), ("baresip", "baresip-core")):
        assert shutil.which(tool), f"{tool} is missing: apt-get install {package}, or run tools/install-apt.sh test"
    monkeypatch.setenv("TANDEM_HOME", str(tmp_path / "data"))
    assert os.environ["TANDEM_HOME"]

    @contextlib.asynccontextmanager
    async def start(change: Callable[[Path], None] = lambda folder: None) -> AsyncIterator[Site]:
        secrets: dict[str, str] = {}
        config = stage.build(tmp_path)
        with stage.Edited(config / "tandem.yaml") as tandem:
            chain, key = map(str, certificate)
            tandem["sip"]["listeners"]["tls"] = {
                "transport": "tls", "address": "127.0.0.1", "port": 0, "certificate": chain, "key": key,
            }  # fmt: skip
            tandem["sip"]["authorities"] = chain
        change(config)
        server = Server(config, show_secret=secrets.__setitem__)
        await server.start()
        try:
            yield Site(server, tmp_path, secrets)
        finally:
            await server.stop("end of the test")

    return start


@pytest.fixture
async def site(open_site: Opener) -> AsyncIterator[Site]:
    async with open_site() as site:
        yield site
