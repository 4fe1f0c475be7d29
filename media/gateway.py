"""The media gateway process: ``python -m media.gateway --control unix:/run/tandem/media.sock``.

It lives on its own: call control may come and go, legs, bridges and recorders stay. It ends on SIGTERM, finishing
its recordings.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import structlog

from media.codecs.coders import open_coder
from media.control.dispatcher import Dispatcher
from media.control.recorders import FULL_BYTES, LOW_BYTES
from media.control.server import ControlServer
from media.engine.core import Engine
from media.prompts.speech import parse_voices
from media.prompts.store import PromptStore
from media.prompts.voice import Voice
from media.protocol import PROTOCOL_VERSION, AnyCommand, AnyEvent, AnyReply, Welcome

log = structlog.get_logger("media.gateway")


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    control: str
    """``unix:/path`` or ``tcp:host:port``."""
    first_port: int
    last_port: int
    address: str
    """IPv4 address that RTP sockets are bound to and that is advertised."""
    address6: str
    advertise: str
    """IPv4 address told to peers where it differs (a gateway behind one-to-one NAT); empty: `address`."""
    recordings: Path
    cache: Path
    prompt_roots: tuple[Path, ...]
    voices: Path | None
    capacity: int
    token: str
    drain_s: float
    disk_low: int = LOW_BYTES
    disk_full: int = FULL_BYTES
    threads: int = 3

    def __repr__(self) -> str:
        return f"GatewayOptions(control={self.control!r}, ports={self.first_port}-{self.last_port})"


class Gateway:
    """Engine, dispatcher and control socket, put together."""

    def __init__(self, options: GatewayOptions) -> None:
        chance = random.Random(os.urandom(16))
        self._options = options
        self.name = f"{chance.getrandbits(64):016x}"
        self.engine = Engine(
            options.first_port,
            options.last_port,
            options.address,
            options.address6,
            capacity=options.capacity,
            drain_s=options.drain_s,
            seed=chance.getrandbits(32),
        )
        self.engine.coder_factory = open_coder
        self._executor = ThreadPoolExecutor(options.threads, "media-files")
        voices: dict[str, Voice] | None = parse_voices(options.voices.read_bytes()) if options.voices else None
        self._store = PromptStore(options.cache, voices=voices, roots=options.prompt_roots)
        self.server = ControlServer(self._handle, self._welcome, options.token)
        self.dispatcher = Dispatcher(
            self.engine,
            self._store,
            options.recordings,
            self._executor,
            self._emit,
            address4=options.advertise or options.address,
            address6=options.address6,
            now=time.monotonic,
            wall=time.time,
            chance=chance,
            disk_low=options.disk_low,
            disk_full=options.disk_full,
        )
        self._listener: asyncio.Server | None = None
        self._care: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Recover, listen, run. Raises OSError when the control address is taken."""
        options = self._options
        loop = asyncio.get_running_loop()
        options.recordings.mkdir(parents=True, exist_ok=True, mode=0o750)
        self.dispatcher.recorders.check_disk()
        await loop.run_in_executor(self._executor, self._recover)
        self.engine.start()
        loop.add_reader(self.engine.event_fd, self.dispatcher.pump)
        self._look_after()
        self._listener = await _listen(options, self.server)
        log.info("media gateway listens", control=options.control, gateway=self.name, capacity=self.engine.capacity)

    async def stop(self) -> None:
        """Close every leg, let every recording reach its final name, end the threads."""
        loop = asyncio.get_running_loop()
        if self._listener is not None:
            self._listener.close()
        if self._care is not None:
            self._care.cancel()
        self.dispatcher.close_everything()
        # The engine answers within a tick; its last events say which recordings are left to finish.
        deadline = loop.time() + 5.0
        while self.dispatcher.unfinished and loop.time() < deadline:
            await asyncio.sleep(0.02)
            self.dispatcher.pump()
        await self.dispatcher.recorders.settle()
        await asyncio.sleep(0)
        self.server.close()
        loop.remove_reader(self.engine.event_fd)
        await loop.run_in_executor(None, self.engine.stop)
        self._store.close()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _emit(self, event: AnyEvent) -> None:
        self.server.emit(event)

    def _handle(self, command: AnyCommand, answer: Callable[[AnyReply], None]) -> None:
        self.dispatcher.handle(command, answer)

    def _welcome(self, number: int) -> Welcome:
        return Welcome(
            id=number,
            version=PROTOCOL_VERSION,
            gateway=self.name,
            legs=self.dispatcher.leg_count,
            capacity=self.engine.capacity,
            disk=self.dispatcher.recorders.disk,
            disk_free_bytes=self.dispatcher.recorders.free,
        )

    def _recover(self) -> None:
        self.dispatcher.recorders.recover()

    def _look_after(self) -> None:
        self.dispatcher.look_after()
        self._care = asyncio.get_running_loop().call_later(1.0, self._look_after)


async def _listen(options: GatewayOptions, server: ControlServer) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    kind, _, place = options.control.partition(":")
    if kind == "unix":
        path = Path(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear_stale_socket(path)
        before = os.umask(0o177)
        try:
            return await loop.create_unix_server(server.connect, place)
        finally:
            os.umask(before)
    host, _, port = place.rpartition(":")
    return await loop.create_server(server.connect, host.strip("[]"), int(port), reuse_address=True)


def _clear_stale_socket(path: Path) -> None:
    """Remove the socket of a dead gateway. Raises OSError when a living one listens."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink()
            return
    raise OSError(f"another gateway listens on {path}")


def parse_options(arguments: list[str]) -> GatewayOptions:
    """Exits with a message for arguments that make no sense."""
    parser = argparse.ArgumentParser(prog="python -m media.gateway", description=__doc__)
    parser.add_argument("--control", required=True, help="unix:/path or tcp:host:port")
    parser.add_argument("--rtp", default="10000-20000", help="port range, first-last")
    parser.add_argument("--address", default="127.0.0.1", help="IPv4 address of the RTP sockets")
    parser.add_argument("--address6", default="", help="IPv6 address of the RTP sockets")
    parser.add_argument("--advertise", default="", help="IPv4 address told to peers, if not --address")
    parser.add_argument("--recordings", type=Path, default=Path("var/recordings"))
    parser.add_argument("--cache", type=Path, default=Path("var/cache/prompts"))
    parser.add_argument("--prompts", type=Path, action="append", default=[], help="folder relative prompts are in")
    parser.add_argument("--voices", type=Path, default=None, help="voices file (YAML or JSON)")
    parser.add_argument("--capacity", type=int, default=4000, help="most legs at a time")
    parser.add_argument("--drain", type=float, default=10.0, help="seconds a closed port is kept")
    parser.add_argument("--disk-low", type=int, default=LOW_BYTES, help="bytes left free that are reported")
    parser.add_argument("--disk-full", type=int, default=FULL_BYTES, help="bytes left free that stop recording")
    parser.add_argument("--token-file", type=Path, default=None, help="shared secret for TCP control")
    parser.add_argument("--log-format", choices=("console", "json"), default="console")
    given = parser.parse_args(arguments)
    kind, _, place = given.control.partition(":")
    if kind not in ("unix", "tcp") or not place or (kind == "tcp" and not place.rpartition(":")[2].isdigit()):
        parser.error(f"--control {given.control!r}: expected unix:/path or tcp:host:port")
    first, _, last = given.rtp.partition("-")
    if not (first.isdigit() and last.isdigit() and 1 <= int(first) < int(last) <= 65535):
        parser.error(f"--rtp {given.rtp!r}: expected first-last within 1-65535")
    token = os.environ.get("TANDEM_MEDIA_TOKEN", "")
    if given.token_file is not None:
        token = given.token_file.read_text().strip()
    if kind == "tcp" and not token:
        parser.error("a gateway on TCP needs a shared secret: --token-file or TANDEM_MEDIA_TOKEN")
    _set_up_logging(given.log_format)
    return GatewayOptions(
        control=given.control,
        first_port=int(first),
        last_port=int(last),
        address=given.address,
        address6=given.address6,
        advertise=given.advertise,
        recordings=given.recordings,
        cache=given.cache,
        prompt_roots=tuple(given.prompts),
        voices=given.voices,
        capacity=given.capacity,
        token=token,
        drain_s=given.drain,
        disk_low=given.disk_low,
        disk_full=given.disk_full,
    )


def _set_up_logging(form: str) -> None:
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer() if form == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _raise_file_limit() -> None:
    """Three sockets a leg and one file a recording: take what the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def run(options: GatewayOptions) -> None:
    """Run until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    gateway = Gateway(options)
    await gateway.start()
    await ended.wait()
    log.info("media gateway stops", legs=gateway.dispatcher.leg_count)
    await gateway.stop()


def main() -> None:
    options = parse_options(sys.argv[1:])
    _raise_file_limit()
    try:
        asyncio.run(run(options))
    except OSError as error:
        log.error("media gateway cannot run", reason=str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
