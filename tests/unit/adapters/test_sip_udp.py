"""SIP over UDP on real loopback sockets."""

from __future__ import annotations

import asyncio
import socket

import pytest

from pbx.adapters.sip_udp import UdpEndpoint
from pbx.adapters.transport import SipListener
from pbx.sip.commands import Flow, Invite
from pbx.sip.events import Transmit
from tests.unit.sip.peer import OFFER, Peer

from .sip_net import Recorder, UdpPeer, make_message

UDP = SipListener("udp", "udp", "127.0.0.1", 0)


async def open_peer(host: str = "127.0.0.1") -> tuple[UdpPeer, tuple[str, int]]:
    transport, peer = await asyncio.get_running_loop().create_datagram_endpoint(UdpPeer, local_addr=(host, 0))
    return peer, transport.get_extra_info("sockname")[:2]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_there_and_back(host: str) -> None:
    async with Recorder(SipListener("main", "udp", host, 0)) as sip:
        peer, address = await open_peer(host)
        local = sip.transports.listener_address("main")
        peer.transport.sendto(make_message("one"), local)  # type: ignore[attr-defined]
        data, flow = await sip.next_packet()
        assert data == make_message("one")
        assert flow == Flow("udp", *address, "main")
        assert sip.transports.local_address(flow) == local
        sip.transports.send(flow, b"answer")
        assert await peer.read() == b"answer"
        sip.transports.send(Flow("udp", *address), b"without a listener's name")
        assert await peer.read() == b"without a listener's name"
        peer.transport.close()


async def test_a_burst_arrives_whole_and_in_order() -> None:
    async with Recorder(UDP) as sip:
        peer, address = await open_peer()
        for n in range(300):
            peer.transport.sendto(make_message(str(n)), sip.transports.listener_address("udp"))  # type: ignore[attr-defined]
        await sip.until(lambda: len(sip.packets) == 300)
        assert [data for data, _ in sip.packets] == [make_message(str(n)) for n in range(300)]
        # Fewer this way: the peer's socket has the system's default buffer.
        for n in range(100):
            sip.transports.send(Flow("udp", *address), b"%d" % n)
        assert [await peer.read() for _ in range(100)] == [b"%d" % n for n in range(100)]
        peer.transport.close()


async def test_keep_alives_stay_below_and_stun_is_answered() -> None:
    async with Recorder(UDP) as sip:
        peer, (_, port) = await open_peer()
        local = sip.transports.listener_address("udp")
        for datagram in (b"", b"\0", b"\r\n\r\n", b"\0\0\0\0"):
            peer.transport.sendto(datagram, local)  # type: ignore[attr-defined]
        peer.transport.sendto(b"\0\1\0\0\x21\x12\xa4\x42" + b"t" * 12, local)  # type: ignore[attr-defined]
        answer = await peer.read()
        assert answer[:2] == b"\1\1"
        assert int.from_bytes(answer[26:28], "big") ^ 0x2112 == port
        peer.transport.sendto(make_message("real"), local)  # type: ignore[attr-defined]
        assert (await sip.next_packet())[0] == make_message("real")
        assert sip.packets == []
        peer.transport.close()


@pytest.mark.parametrize(
    "flow",
    [
        Flow("udp", "sip.example.com", 5060),
        Flow("udp", "127.0.0.1", 99999),
        Flow("udp", "2001:db8::1", 5060),
        Flow("tcp", "127.0.0.1", 5060),
        Flow("ws", "127.0.0.1", 5060),
    ],
)
async def test_what_cannot_be_sent_is_reported_later_never_raised(flow: Flow) -> None:
    async with Recorder(UDP) as sip:
        sip.transports.send(flow, b"x")
        assert sip.closed == []
        assert await sip.next_closed() == flow


async def test_too_large_for_a_datagram_is_reported() -> None:
    async with Recorder(UDP) as sip:
        flow = Flow("udp", "127.0.0.1", 5060)
        sip.transports.send(flow, b"x" * 70_000)
        assert await sip.next_closed() == flow


async def test_wildcard_listener_names_the_address_of_the_route() -> None:
    async with Recorder(SipListener("udp", "udp", "0.0.0.0", 0)) as sip:
        assert sip.transports.local_address(Flow("udp", "127.0.0.1", 5060))[0] == "127.0.0.1"
        with pytest.raises(LookupError):
            sip.transports.local_address(Flow("tls", "127.0.0.1", 5061))


async def test_a_taken_port_names_the_listener_and_leaves_nothing_bound() -> None:
    async with Recorder(UDP) as sip:
        port = sip.transports.listener_address("udp")[1]
        other = Recorder(SipListener("tcp", "tcp", "127.0.0.1", 0), SipListener("second", "udp", "127.0.0.1", port))
        with pytest.raises(OSError, match="listener second"):
            await other.transports.start()
        with pytest.raises(KeyError):
            other.transports.listener_address("tcp")


async def test_reload_adds_and_removes_listeners_or_changes_nothing() -> None:
    async with Recorder(UDP) as sip:
        port = sip.transports.listener_address("udp")[1]
        with pytest.raises(OSError, match="listener clash"):
            await sip.transports.apply(
                [SipListener("more", "tcp", "127.0.0.1", 0), SipListener("clash", "udp", "127.0.0.1", port)]
            )
        assert sip.transports.listener_address("udp")[1] == port
        with pytest.raises(KeyError):
            sip.transports.listener_address("more")
        await sip.transports.apply([SipListener("more", "tcp", "127.0.0.1", 0)])
        assert sip.transports.listener_address("more")[1]
        with pytest.raises(KeyError):
            sip.transports.listener_address("udp")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_peer_that_does_not_listen_is_reported_at_once(host: str) -> None:
    """ICMP port unreachable (RFC 3261 section 18.4); the socket goes on, for others too."""
    async with Recorder(SipListener("main", "udp", host, 0)) as sip:
        gone = []
        for _ in range(3):
            peer, address = await open_peer(host)
            peer.transport.close()
            gone.append(Flow("udp", *address, "main"))
        await asyncio.sleep(0)
        alive, there = await open_peer(host)
        # Each write here finds the errors of the ones before it, and must get through all the same.
        for n in range(20):
            for flow in gone:
                sip.transports.send(flow, make_message("gone"))
            sip.transports.send(Flow("udp", *there), b"%d" % n)
        assert [await alive.read() for _ in range(20)] == [b"%d" % n for n in range(20)]
        await sip.until(lambda: set(sip.closed) >= set(gone))
        assert set(sip.closed) == set(gone), "nobody else"
        alive.transport.sendto(make_message("back"), sip.transports.listener_address("main"))  # type: ignore[attr-defined]
        assert (await sip.next_packet())[0] == make_message("back")
        alive.transport.close()


async def test_an_invite_goes_on_from_a_server_that_does_not_listen() -> None:
    """Real sockets and the real stack, whose clock stands still: no retransmission, no timer has a part in it."""
    async with Recorder(SipListener("main", "udp", "127.0.0.1", 0)) as sip:
        nobody, closed = await open_peer()
        nobody.transport.close()
        await asyncio.sleep(0)
        server, there = await open_peer()
        peer = Peer()
        invite = Invite(
            leg="out",
            uri="sip:100@carrier.example",
            flow=Flow("udp", *closed, "main"),
            alternatives=(Flow("udp", *there, "main"),),
            from_uri="sip:1@192.0.2.2",
            sdp=OFFER,
        )
        for output in peer.stack.command(invite, 1.0):
            if isinstance(output, Transmit):
                sip.transports.send(output.flow, output.data)
        for output in peer.stack.flow_closed(await sip.next_closed(), 1.0):
            if isinstance(output, Transmit):
                sip.transports.send(output.flow, output.data)
        assert (await server.read()).startswith(b"INVITE sip:100@carrier.example ")
        server.transport.close()


class FullSocket:
    """Stands before a socket and takes nothing while it is full."""

    def __init__(self, inner: socket.socket) -> None:
        self.inner = inner
        self.full = True

    def sendto(self, data: bytes, address: tuple[str, int]) -> int:
        if self.full:
            raise BlockingIOError
        return self.inner.sendto(data, address)

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


async def test_a_full_socket_queues_in_order_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pbx.adapters.sip_udp.MAX_QUEUED", 10)
    failed: list[Flow] = []
    endpoint = UdpEndpoint("udp", lambda data, flow: None, failed.append)
    endpoint.open("127.0.0.1", 0)
    assert endpoint._socket is not None
    stub = FullSocket(endpoint._socket)
    endpoint._socket = stub  # type: ignore[assignment]
    peer, address = await open_peer()
    flow = Flow("udp", *address)
    for n in range(15):
        endpoint.send(flow if n != 3 else flow._replace(port=99_999), b"%d" % n)
    assert endpoint.lost == 5
    stub.full = False
    assert [await peer.read() for _ in range(9)] == [b"%d" % n for n in range(10) if n != 3]
    endpoint.send(flow, b"direct")
    assert await peer.read() == b"direct"
    assert failed == [flow._replace(port=99_999)]
    endpoint.close()
    endpoint.send(flow, b"closed")
    await asyncio.sleep(0)
    assert failed[-1] == flow
    peer.transport.close()
