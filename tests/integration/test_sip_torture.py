"""Every RFC 4475 and RFC 5118 case on the wire: the running server answers rightly and goes on running."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pbx.server import Server
from tests.vectors.sip_torture import RFC4475, RFC5118, Case

CASES = RFC4475 + RFC5118
TANDEM = """\
flows: flows
sip:
  listeners:
    udp: {transport: udp, address: 127.0.0.1, port: 0}
rtp: {address: 127.0.0.1, port_min: 33200, port_max: 33299}
http: {port: 0}
logging: {level: error}
"""
TRUNKS = "trunks:\n  peer: {host: 127.0.0.1, networks: [127.0.0.0/8], health: {interval: 0}}\n"
TOP_VIA = re.compile(rb"(\r\n(?:via|v)\s*:\s*SIP\s*/\s*[\d.]+\s*/\s*\w+\s+[^\s;,]+)", re.IGNORECASE)


class Client(asyncio.DatagramProtocol):
    """One socket that sends cases and sorts the answers."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()
        self.transport: asyncio.DatagramTransport
        self._probes = 0

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.answers.put_nowait(data)

    async def ask(self, data: bytes) -> list[bytes]:
        """What comes back for ``data`` before the answer to a harmless OPTIONS sent right behind it."""
        self._probes += 1
        name = f"probe-{self._probes}@here"
        self.transport.sendto(TOP_VIA.sub(rb"\1;rport", data, count=1))
        self.transport.sendto(
            (
                f"OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bKp{self._probes}\r\n"
                f"Max-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:127.0.0.1>\r\nCall-ID: {name}\r\n"
                "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
            ).encode()
        )
        found: list[bytes] = []
        while True:
            answer = await asyncio.wait_for(self.answers.get(), 10.0)
            if name.encode() in answer:
                assert answer.startswith(b"SIP/2.0 200 ")
                return found
            if b"probe-" not in answer:
                found.append(answer)


@pytest.fixture
async def client(tmp_path: Path, tandem_home: Path) -> AsyncIterator[Client]:
    folder = tmp_path / "config"
    (folder / "flows").mkdir(parents=True)
    (folder / "tandem.yaml").write_text(TANDEM)
    (folder / "trunks.yaml").write_text(TRUNKS)
    server = Server(folder)
    await server.start()
    address = server.transports.listener_address("udp")
    transport, client = await asyncio.get_running_loop().create_datagram_endpoint(Client, remote_addr=address)
    yield client
    transport.close()
    await server.stop()


def expected(case: Case) -> set[int]:
    """Statuses that are right for a case here, where REGISTERs are challenged before they are read further."""
    if case.outcome == "call":
        return {100}
    if isinstance(case.outcome, str):
        return set()
    if case.data.startswith(b"REGISTER") and case.name in REGISTRAR_DECIDES:
        return {401}
    if case.name in SWITCH_DECIDES:
        return {SWITCH_DECIDES[case.name]}
    return {case.outcome}


REGISTRAR_DECIDES = {case.name for case in CASES if case.data.startswith(b"REGISTER") and case.outcome == 200} | {
    "regbadct",
    "unksm2",
}

SWITCH_DECIDES = {"mpart01": 403}
"""Read as it should be; but the switch takes text from phones alone, and the client here is a trunk."""


def make_unique(case: Case, number: int) -> tuple[bytes, bytes]:
    """The case with a transaction and a Call-ID of its own, and that Call-ID."""
    data = case.data
    for branch in (b"z9hG4bKkdjuw", b"z9hG4bKas3-111"):
        data = data.replace(branch, b"z9hG4bKcase%d" % number)
    found = re.search(rb"\r\n(?:call-id|i)\s*:\s*([^\r]+)", data, re.IGNORECASE)
    if found is None or case.name == "multi01":
        return data, b""
    name = b"%d-%s" % (number, found[1].strip())
    return data.replace(found[1].strip(), name, 1), name


async def test_every_case_and_the_server_goes_on(client: Client) -> None:
    wrong = []
    earlier: list[bytes] = []
    for number, case in enumerate(CASES):
        data, name = make_unique(case, number)
        # A call that was refused says so again until it is acknowledged: only what is about this case counts.
        answers = [
            int(answer[8:11])
            for answer in await client.ask(data)
            if (name in answer if name else not any(other in answer for other in earlier))
        ]
        earlier += [name] if name else []
        if set(answers[:1]) != expected(case):
            wrong.append((case.name, case.outcome, answers))
    assert not wrong
