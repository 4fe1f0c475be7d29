"""Other people's phones register at the real server: pjsip and baresip, over UDP, TCP and TLS, with digest."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from pbx.server import Server
from pbx.sip.bindings import Binding
from pbx.sip.events import Registered, Unregistered

LIMIT = 30.0
SCRIPT = Path(__file__).with_name("pjsua_register.py")
BARESIP_MODULES = Path("/usr/lib/baresip/modules")
pytestmark = pytest.mark.interop


class Phones:
    """The server, the password of 1001, and what became of the bindings."""

    def __init__(self, server: Server, password: str) -> None:
        self.server = server
        self.password = password
        self._changed = asyncio.Event()
        keep = server.runtime.on_binding

        def notice(binding: Registered | Unregistered) -> None:
            keep(binding)
            self._changed.set()

        server.runtime.on_binding = notice

    def port(self, transport: str) -> str:
        return str(self.server.transports.listener_address(transport)[1])

    def bindings(self) -> list[Binding]:
        return self.server.registrar.contacts("1001", asyncio.get_running_loop().time())

    async def until(self, count: int) -> None:
        async with asyncio.timeout(LIMIT):
            while len(self.bindings()) != count:
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    (folder / "flows").mkdir(parents=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-out", folder / "tandem.pem", "-keyout", folder / "tandem.key"],
        check=True, capture_output=True,
    )  # fmt: skip
    (folder / "tandem.yaml").write_text(
        "flows: flows\nsip:\n  listeners:\n"
        "    udp: {transport: udp, address: 127.0.0.1, port: 0}\n"
        "    tcp: {transport: tcp, address: 127.0.0.1, port: 0}\n"
        "    tls: {transport: tls, address: 127.0.0.1, port: 0, certificate: tandem.pem, key: tandem.key}\n"
        "rtp: {address: 127.0.0.1, port_min: 33300, port_max: 33399}\nhttp: {port: 0}\nlogging: {level: error}\n"
    )
    (folder / "extensions.yaml").write_text("extensions:\n  1001: {name: A}\n")
    return folder


@pytest.fixture
async def phones(folder: Path, tandem_home: Path) -> AsyncIterator[Phones]:
    shown: dict[str, str] = {}
    server = Server(folder, show_secret=lambda name, value: shown.update({name: value}))
    await server.start()
    yield Phones(server, shown["extension-1001"])
    await server.stop()


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_pjsip(phones: Phones, transport: str) -> None:
    assert find_spec("pjsua2"), "pjsua2-python is missing: it has wheels for Python 3.11 and 3.12"
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, SCRIPT, transport, phones.port(transport), "1001", phones.password, stdin=pipe, stdout=pipe
    )
    assert process.stdin is not None
    assert process.stdout is not None
    # pjlib says a few things of its own first.
    async with asyncio.timeout(LIMIT):
        while not (line := await process.stdout.readline()).startswith(b"code "):
            assert line
    assert line.strip() == b"code 200"
    (binding,) = phones.bindings()
    assert binding.user_agent == f"pjsua2-{transport}"
    assert binding.flow.transport == transport
    process.stdin.write(b"\n")
    await phones.until(0)
    await asyncio.wait_for(process.wait(), LIMIT)


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_baresip(phones: Phones, transport: str, tmp_path: Path) -> None:
    assert shutil.which("baresip"), "baresip is missing: apt-get install baresip-core, or make apt"
    home = tmp_path / "baresip"
    home.mkdir()
    (home / "config").write_text(
        f"module_path {BARESIP_MODULES}\nmodule account.so\nmodule g711.so\nmodule stdio.so\n"
        "module_app account.so\nmodule_app menu.so\nsip_listen 127.0.0.1:0\nsip_verify_server no\n"
    )
    (home / "accounts").write_text(
        f"<sip:1001@127.0.0.1:{phones.port(transport)};transport={transport}>"
        f";auth_user=1001;auth_pass={phones.password};regint=600\n"
    )
    (home / "contacts").write_text("")
    process = await asyncio.create_subprocess_exec(
        "baresip", "-f", str(home), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await phones.until(1)
        (binding,) = phones.bindings()
        assert binding.flow.transport == transport
        assert "baresip" in binding.user_agent.lower()
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), LIMIT)
