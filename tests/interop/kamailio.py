"""Kamailio with two faces, an inner one for Tandem, an outer one for phones and carriers, over UDP, TCP and TLS."""

from __future__ import annotations

import asyncio
import shutil
import socket
from pathlib import Path

CONFIGURATION = Path(__file__).with_suffix(".cfg")
OUTER, INNER = "127.0.0.3", "127.0.0.4"
REALM, PASSWORD = "provider.example", "correct horse"
LIMIT = 15.0
_PROBE = (
    "OPTIONS sip:{host}:{port} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{own};branch=z9hG4bKprobe;rport\r\n"
    "From: <sip:probe@{host}>;tag=1\r\nTo: <sip:{host}:{port}>\r\nCall-ID: probe\r\nCSeq: 1 OPTIONS\r\n"
    "Max-Forwards: 5\r\nContent-Length: 0\r\n\r\n"
)


def check_installed() -> None:
    """Say what to install where Kamailio or its TLS module is missing."""
    assert shutil.which("kamailio") and any(Path("/usr/lib").glob("*/kamailio/modules/tls.so")), (
        "Kamailio is missing: apt-get install kamailio kamailio-tls-modules, or run tools/install-apt.sh test"
    )


def find_ports(host: str) -> dict[str, int]:
    """A free port for each transport; UDP and TCP share a number."""
    found: list[int] = []
    while len(found) < 2:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream,
            socket.socket(type=socket.SOCK_DGRAM) as plain,
        ):
            stream.bind((host, 0))
            try:
                plain.bind(stream.getsockname())
            except OSError:
                continue
            found.append(stream.getsockname()[1])
    return {"udp": found[0], "tcp": found[0], "tls": found[1]}


class Kamailio:
    """``async with Kamailio(folder, certificate, key, ...)``: answers when it is entered.

    ``transport`` is spoken with Tandem. ``registrar``: it is a provider itself. ``lossy``: the first copy of every
    message by UDP is lost. ``refuse``: the answer to calls from Tandem. ``tandem`` and ``carrier`` have to be set
    before it starts.
    """

    def __init__(self, folder: Path, certificate: Path, key: Path, *, transport: str = "udp", registrar: bool = False,
                 lossy: bool = False, refuse: int = 0) -> None:  # fmt: skip
        check_installed()
        self.tandem = 0
        """Port of Tandem's listener."""
        self.carrier = "sip:127.0.0.2:9"
        """URI of who takes the calls that belong to no phone."""
        self.transport = transport
        self.folder = folder / f"kamailio-{len(list(folder.glob('kamailio-*')))}"
        self.folder.mkdir()
        self.outer, self.inner = find_ports(OUTER), find_ports(INNER)
        self._certificate, self._key = certificate, key
        self._choices = [name for name, wanted in (("AS_REGISTRAR", registrar), ("LOSSY", lossy)) if wanted]
        if refuse:
            self._choices.append(f'REFUSE="{refuse}"')
        self._process: asyncio.subprocess.Process

    def _write(self) -> list[str]:
        """Write its files; returns the arguments."""
        tls = self.folder / "tls.cfg"
        tls.write_text(
            f"[server:default]\nmethod = TLSv1.2+\ncertificate = {self._certificate}\nprivate_key = {self._key}\n"
            f"[client:default]\nmethod = TLSv1.2+\nca_list = {self._certificate}\nverify_certificate = yes\n"
            "require_certificate = yes\n"
        )
        configuration = self.folder / "kamailio.cfg"
        configuration.write_text(CONFIGURATION.read_text().replace("TLS_CONFIG", str(tls)))
        arguments = ["-DD", "-E", "-f", str(configuration), "-Y", str(self.folder), "-m", "32", "-M", "4"]
        for host, ports in ((OUTER, self.outer), (INNER, self.inner)):
            for transport, port in ports.items():
                arguments += ["-l", f"{transport}:{host}:{port}"]
        for define in (
            f'TANDEM="sip:127.0.0.1:{self.tandem};transport={self.transport}"',
            f'CARRIER="{self.carrier}"',
            f'INNER_SOCKET="{self.transport}:{INNER}:{self.inner[self.transport]}"',
            f"INNER_UDP={self.inner['udp']}",
            f"INNER_TLS={self.inner['tls']}",
            f'REALM="{REALM}"',
            f'USER_PASSWORD="{PASSWORD}"',
            *self._choices,
        ):
            arguments += ["-A", define]
        return arguments

    def uri(self, user: str = "", transport: str = "udp") -> str:
        """Of its outer face."""
        return f"sip:{user}{'@' if user else ''}{OUTER}:{self.outer[transport]}"

    async def __aenter__(self) -> Kamailio:
        with (self.folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec("kamailio", *self._write(), stdout=log, stderr=log)
        try:
            await self._wait_until_it_answers()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _wait_until_it_answers(self) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(type=socket.SOCK_DGRAM) as probe:
            probe.setblocking(False)
            probe.bind((INNER, 0))
            port = self.inner["udp"]
            message = _PROBE.format(host=INNER, port=port, own=probe.getsockname()[1]).encode()
            ends = loop.time() + LIMIT
            while True:
                assert self._process.returncode is None and loop.time() < ends, f"Kamailio says:\n{self.log()}"
                await loop.sock_sendto(probe, message, (INNER, port))
                try:
                    async with asyncio.timeout(0.1):
                        if (await loop.sock_recv(probe, 4096)).startswith(b"SIP/2.0 200"):
                            return
                except (TimeoutError, OSError):
                    await asyncio.sleep(0.02)

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.terminate()
        try:
            async with asyncio.timeout(5):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def log(self) -> str:
        """The end of what it said."""
        return (self.folder / "log").read_text(errors="replace")[-3000:]
