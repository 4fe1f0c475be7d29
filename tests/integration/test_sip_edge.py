"""The real server at the edge: it registers at a provider, watches it, shows the ladder, and keeps strangers out."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from pbx.adapters.sip_tls import make_client_context
from pbx.server import Server
from pbx.sip.auth import Account, DigestAuthenticator, answer_challenge, make_account
from pbx.sip.commands import Credentials, Flow
from pbx.sip.events import Origin, Registered, Unregistered
from pbx.sip.policy import Challenged
from pbx.sip.wire import parse_packet

LIMIT = 15.0
TANDEM = """\
flows: flows
sip:
  listeners:
    udp: {transport: udp, address: 127.0.0.1, port: 0}
rtp: {address: 127.0.0.1, port_min: 33100, port_max: 33199}
http: {port: 0}
logging: {level: error}
"""


class Result(NamedTuple):
    exit_code: int
    output: str


class Provider(asyncio.DatagramProtocol):
    """A carrier that registers us by digest and answers OPTIONS, until it is told to be silent."""

    def __init__(self) -> None:
        account: Account = make_account("acct", "carrier", "hunter2", Origin("trunk", "x"))
        self._digest = DigestAuthenticator({"acct": account}, b"p" * 32, algorithms=("MD5",))
        self.seen: list[str] = []
        self.contact = ""
        self.silent = False
        self.changed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self.silent or data.startswith(b"SIP/2.0"):
            return
        flow = Flow("udp", *addr)
        request = parse_packet(data, flow).request
        status, extra = "200 OK", ""
        if request.method == "REGISTER":
            verdict = self._digest.authenticate(request, "carrier", flow, 1.0)
            if isinstance(verdict, Challenged):
                status, extra = "401 Unauthorized", "".join(f"{n}: {v}\r\n" for n, v in verdict.headers)
            else:
                self.contact = request.headers["Contact"]
                extra = f"Contact: {self.contact}\r\n"
        head = "".join(f"{n}: {request.headers[n]}\r\n" for n in ("Via", "From", "To", "Call-ID", "CSeq"))
        answer = f"SIP/2.0 {status}\r\n{head}{extra}Content-Length: 0\r\n\r\n"
        self.transport.sendto(answer.encode(), addr)  # type: ignore[attr-defined]
        self.seen.append(f"{request.method} {status[:3]}")
        self.changed.set()

    async def until(self, what: str) -> None:
        async with asyncio.timeout(LIMIT):
            while what not in self.seen:
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Provider, local_addr=("127.0.0.1", 0))
    yield protocol
    transport.close()


@pytest.fixture
async def server(
    tmp_path: Path, tandem_home: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Server]:
    folder = tmp_path / "config"
    (folder / "flows").mkdir(parents=True)
    (folder / "tandem.yaml").write_text(TANDEM)
    port = provider.transport.get_extra_info("sockname")[1]
    (folder / "trunks.yaml").write_text(
        "trunks:\n"
        "  carrier:\n"
        f"    host: 127.0.0.1\n    port: {port}\n"
        "    registration: {username: acct, secret: {env: CARRIER_SECRET}, contact_user: '7700'}\n"
        "    health: {interval: 1}\n"
    )
    (folder / "extensions.yaml").write_text("extensions:\n  1001: {name: A}\n")
    monkeypatch.setenv("CARRIER_SECRET", "hunter2")
    server = Server(folder)
    await server.start()
    yield server
    await server.stop()


async def run(server: Server, *words: str) -> Result:
    """The command in a process of its own, as an operator runs it."""
    arguments = ("-m", "pbx", words[0], "--config", str(server.folder), *words[1:])
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=pipe, stderr=pipe)
    output, _ = await process.communicate()
    assert process.returncode is not None
    return Result(process.returncode, output.decode())


async def ask(server: Server, message: str) -> str:
    """Send one request from a socket of its own; the first answer."""
    answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    class Stranger(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            if not answer.done() and not data.startswith(b"SIP/2.0 100"):
                answer.set_result(data)

    host, port = server.transports.listener_address("udp")
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Stranger, remote_addr=(host, port))
    mine = transport.get_extra_info("sockname")
    transport.sendto(message.replace("{me}", f"{mine[0]}:{mine[1]}").replace("\n", "\r\n").encode())
    try:
        return (await asyncio.wait_for(answer, LIMIT)).decode()
    finally:
        transport.close()


def make_request(method: str, uri: str, call_id: str) -> str:
    return (
        f"{method} {uri} SIP/2.0\nVia: SIP/2.0/UDP {{me}};branch=z9hG4bK{call_id}\nMax-Forwards: 70\n"
        f"From: <sip:x@y>;tag=1\nTo: <{uri}>\nCall-ID: {call_id}\nCSeq: 1 {method}\nContact: <sip:x@{{me}}>\n"
        "Content-Length: 0\n\n"
    )


async def test_registers_is_recognised_and_unregisters(server: Server, provider: Provider) -> None:
    await provider.until("REGISTER 401")
    await provider.until("REGISTER 200")
    await provider.until("OPTIONS 200")
    assert provider.contact.startswith("<sip:7700@127.0.0.1:")
    status = await run(server, "status")
    assert re.search(r"trunk carrier +up registered", status.output)
    contact = provider.contact.partition(">")[0][1:]
    # The provider's own address alone would do as well; this one comes from another port with the registered contact.
    answer = await ask(server, make_request("INVITE", contact, "from-provider"))
    assert answer.startswith("SIP/2.0 4")
    assert "401" not in answer[:12]


async def test_unregisters_when_it_stops_though_that_is_challenged(server: Server, provider: Provider) -> None:
    await provider.until("REGISTER 200")
    await server.edge.stop()
    assert provider.contact.endswith(";expires=0")


async def test_a_stranger_is_challenged_and_the_ladder_shows_it(
    server: Server, tmp_path: Path, provider: Provider
) -> None:
    provider.silent = True
    server.edge.trunks.configure([], 0.0)
    answer = await ask(server, make_request("INVITE", "sip:1001@127.0.0.1", "stranger"))
    assert answer.startswith("SIP/2.0 401")
    shown = await run(server, "trace", "--sip", "stranger")
    assert shown.exit_code == 0
    assert re.search(r"\|--INVITE-+>\|", shown.output)
    assert re.search(r"\|<-+401 Unauthorized--\|", shown.output)
    whole = await run(server, "trace", "--sip", "stranger", "--messages")
    assert "Call-ID: stranger" in whole.output
    file = tmp_path / "call.pcap"
    written = await run(server, "trace", "--sip", "stranger", "--pcap", str(file))
    assert written.exit_code == 0
    assert struct.unpack("!I", file.read_bytes()[:4])[0] == 0xA1B2C3D4
    assert (await run(server, "trace", "no-such-call")).output == "nothing is kept of this call\n"


async def test_bans_by_hand(server: Server) -> None:
    assert (await run(server, "bans")).output == "nobody is banned\n"
    banned = await run(server, "bans", "--ban", "192.0.2.66", "--seconds", "100", "--reason", "rude")
    assert re.match(r"192\.0\.2\.66 +(100|99) s  rude\n", banned.output)
    assert (
        server.edge.guard.admit(b"INVITE", Flow("udp", "192.0.2.66", 1), asyncio.get_running_loop().time()) == "banned"
    )
    assert (await run(server, "bans", "--lift", "192.0.2.66")).output == "nobody is banned\n"
    refused = await run(server, "bans", "--ban", "127.0.0.1")
    assert refused.exit_code != 0


async def test_counters_are_kept(server: Server, provider: Provider) -> None:
    await provider.until("REGISTER 200")
    await provider.until("OPTIONS 200")
    samples = {(s.name, s.labels.get("method", ""), s.labels.get("trunk", "")): s.value for s in server.edge.samples()}
    assert samples["tandem_sip_requests_total", "REGISTER", "carrier"] >= 2
    assert samples["tandem_sip_requests_total", "OPTIONS", "carrier"] >= 1


# --- phones over every transport ------------------------------------------------------------------------------------


def make_register(transport: str, cseq: int, authorization: str = "") -> bytes:
    extra = f"Authorization: {authorization}\r\n" if authorization else ""
    return (
        "REGISTER sip:tandem SIP/2.0\r\n"
        f"Via: SIP/2.0/{transport.upper()} a.invalid;branch=z9hG4bK{transport}{cseq};rport\r\n"
        "Max-Forwards: 70\r\nFrom: <sip:1001@tandem>;tag=1\r\nTo: <sip:1001@tandem>\r\n"
        f"Call-ID: {transport}\r\nCSeq: {cseq} REGISTER\r\nContact: <sip:1001@a.invalid;transport={transport}>\r\n"
        f"{extra}Content-Length: 0\r\n\r\n"
    ).encode()


async def register(
    transport: str, secret: str, send: Callable[[bytes], Awaitable[None]], receive: Callable[[], Awaitable[bytes]]
) -> None:
    """A whole registration with digest over any stream."""
    await send(make_register(transport, 1))
    answer = parse_packet(await asyncio.wait_for(receive(), LIMIT), Flow(transport, "127.0.0.1", 1)).response
    assert answer.code == 401
    header = answer_challenge(answer, "REGISTER", "sip:tandem", Credentials("1001", secret), {}, "c")
    assert header is not None
    await send(make_register(transport, 2, header[1]))
    answer = parse_packet(await asyncio.wait_for(receive(), LIMIT), Flow(transport, "127.0.0.1", 1)).response
    assert answer.code == 200


@pytest.fixture
def secure_folder(tmp_path: Path) -> Path:
    """A configuration folder with a certificate in it."""
    folder = tmp_path / "config"
    (folder / "flows").mkdir(parents=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=tandem", "-addext", "subjectAltName=IP:127.0.0.1",
         "-out", folder / "tandem.pem", "-keyout", folder / "tandem.key"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


async def test_phones_register_over_tcp_tls_and_wss(secure_folder: Path, tandem_home: Path) -> None:
    folder = secure_folder
    files = "certificate: tandem.pem, key: tandem.key"
    (folder / "tandem.yaml").write_text(
        TANDEM.replace(
            "    udp: {transport: udp, address: 127.0.0.1, port: 0}\n",
            "    tcp: {transport: tcp, address: 127.0.0.1, port: 0}\n"
            f"    tls: {{transport: tls, address: 127.0.0.1, port: 0, {files}}}\n"
            f"    wss: {{transport: wss, address: 127.0.0.1, port: 0, {files}}}\n",
        ).replace("33100, port_max: 33199", "33200, port_max: 33299")
    )
    (folder / "extensions.yaml").write_text("extensions:\n  1001: {name: A, max_contacts: 3}\n")
    secrets: dict[str, str] = {}
    server = Server(folder, show_secret=lambda name, value: secrets.update({name: value}))
    await server.start()
    try:
        context = make_client_context(authorities=folder / "tandem.pem")
        writers = []
        for name in ("tcp", "tls"):
            host, port = server.transports.listener_address(name)
            reader, writer = await asyncio.open_connection(host, port, ssl=context if name == "tls" else None)
            writers.append(writer)

            async def send(data: bytes, writer: asyncio.StreamWriter = writer) -> None:
                writer.write(data)

            async def receive(reader: asyncio.StreamReader = reader) -> bytes:
                return await reader.readuntil(b"\r\n\r\n")

            await register(name, secrets["extension-1001"], send, receive)
        host, port = server.transports.listener_address("wss")
        async with connect(f"wss://{host}:{port}/", subprotocols=[Subprotocol("sip")], ssl=context) as browser:

            async def hear() -> bytes:
                data = await browser.recv()
                return data.encode() if isinstance(data, str) else data

            async def say(data: bytes) -> None:
                await browser.send(data.decode())

            await register("wss", secrets["extension-1001"], say, hear)
            flows = [binding.flow for binding in server.registrar.contacts("1001", asyncio.get_running_loop().time())]
            assert sorted(flow.transport for flow in flows) == ["tcp", "tls", "wss"]
            assert all(flow.connection for flow in flows)
        gone, keep = asyncio.Event(), server.runtime.on_binding

        def notice(binding: Registered | Unregistered) -> None:
            keep(binding)
            if not len(server.registrar):
                gone.set()

        server.runtime.on_binding = notice
        for writer in writers:
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)
        await asyncio.wait_for(gone.wait(), LIMIT)
    finally:
        await server.stop()


async def test_calls_go_to_the_server_that_answers(server: Server, provider: Provider) -> None:
    await provider.until("OPTIONS 200")
    port = provider.transport.get_extra_info("sockname")[1]
    assert server.runtime.switch.exchange.find_trunk_flow("carrier") == Flow("udp", "127.0.0.1", port)
    assert server.runtime.switch.exchange.find_trunk_flow("none") is None


def bend(message: bytes, chance: random.Random) -> bytes:
    """A message with some of its bytes changed, cut, repeated or made up."""
    data = bytearray(message)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(5)
        if kind == 0:
            data[at:at] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 20)))
        elif kind == 1:
            del data[at : at + chance.randint(1, 40)]
        elif kind == 2:
            data[at:at] = data[max(0, at - 60) : at]
        elif kind == 3:
            data[at:at] = chance.choice([b"\r\n", b"\r\n\r\n", b"\0", b";", b"<", b'"', b"%", b"9" * 30, b"Via: "])
        elif at < len(data):
            data[at] ^= 1 << chance.randrange(8)
    return bytes(data)


async def test_thousands_of_bent_messages_leave_the_server_well(server: Server, provider: Provider) -> None:
    chance = random.Random(4475)
    host, port = server.transports.listener_address("udp")
    seeds = [
        make_request(method, "sip:1001@127.0.0.1", method).replace("{me}", "127.0.0.1:9").replace("\n", "\r\n").encode()
        for method in ("INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE", "CANCEL", "ACK", "BYE")
    ]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.setblocking(False)
        for n in range(3000):
            stranger.sendto(bend(chance.choice(seeds), chance)[:60_000] or b"x", (host, port))
            if n % 100 == 0:
                await asyncio.sleep(0)
    # The provider has this address too, so these are calls of the trunk, to a number that it does not have.
    answer = await ask(server, make_request("INVITE", "sip:1001@127.0.0.1", "after-the-storm"))
    assert answer.startswith("SIP/2.0 404")
    live = server.runtime.switch.live()
    assert (live["calls"], live["sip_legs"], live["sip_dialogs"]) == (0, 0, 0)
    dropped = sum(sample.value for sample in server.edge.samples() if sample.name == "tandem_sip_dropped_total")
    assert dropped > 500


async def test_the_ladder_of_a_call_that_is_over(server: Server, provider: Provider) -> None:
    await ask(server, make_request("INVITE", "sip:4711@127.0.0.1", "over-soon"))
    await asyncio.to_thread(server.log.flush)
    (offered,) = (line for line in server.log.read(0) if line.type == "Offered")
    shown = await run(server, "trace", offered.call)
    assert re.search(r"\|--INVITE-+>\|", shown.output)
    assert re.search(r"\|<-+404 unknown_number--\|", shown.output)


async def test_bans_survive_a_restart(tmp_path: Path, tandem_home: Path) -> None:
    folder = tmp_path / "config"
    (folder / "flows").mkdir(parents=True)
    (folder / "tandem.yaml").write_text(TANDEM.replace("33100, port_max: 33199", "33400, port_max: 33499"))
    for begin in (True, False):
        server = Server(folder)
        await server.start()
        bans = server.edge.bans({"ban": "192.0.2.66", "reason": "rude"} if begin else {})
        await server.stop()
        assert [(ban["source"], ban["reason"]) for ban in bans] == [("192.0.2.66", "rude")]
