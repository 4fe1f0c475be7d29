"""All SIP sockets behind one object: packets in with their ``Flow``, packets out by ``Flow``.

```
 udp ──► UdpEndpoint ───────┐
 tcp/tls ► StreamConnection ├─► SipTransports ─► on_packet(bytes, flow), on_closed(flow)
 ws/wss ─► WebSocket… ──────┘         ▲
                                      └─ send(flow, data)
```
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import msgspec
import structlog

from pbx.sip.commands import Flow
from pbx.sip.framing import FramingLimits

from .connections import Connections, StreamLimits
from .dialler import Dialler
from .resolver import Resolver, Target
from .sip_stream import StreamConnection
from .sip_tls import ServerTls, make_client_context
from .sip_udp import UdpEndpoint
from .sip_ws import WebSocketListener

log = structlog.get_logger()

STOP_TIMEOUT = 2.0


class SipListener(msgspec.Struct, frozen=True):
    """One address to listen on."""

    name: str
    transport: str
    """udp, tcp, tls, ws or wss."""
    host: str = "0.0.0.0"
    port: int = 5060
    """0: any free port; see ``SipTransports.listener_address``."""
    certificate: Path | None = None
    """PEM chain for tls and wss."""
    key: Path | None = None
    client_authorities: Path | None = None
    path: str = "/"
    origins: tuple[str, ...] = ()


class SipTransports:
    """Listens, connects, sends and receives.

    ``on_packet(packet, flow)`` gets every SIP message; ``on_closed(flow)`` tells that a connection ended, or that what
    was sent by ``flow`` is lost. Both are called from the event loop, never from inside ``send``.
    """

    def __init__(
        self,
        listeners: Iterable[SipListener],
        on_packet: Callable[[bytes, Flow], None],
        on_closed: Callable[[Flow], None],
        *,
        limits: StreamLimits | None = None,
        framing: FramingLimits | None = None,
        client_tls: ssl.SSLContext | None = None,
        resolver: Resolver | None = None,
        certificate_poll: float = 10.0,
    ) -> None:
        self._specs = {listener.name: listener for listener in listeners}
        self._on_packet = on_packet
        self._on_closed = on_closed
        self._limits = limits or StreamLimits()
        self._framing = framing or FramingLimits()
        self._client_tls = client_tls
        self._resolver = resolver
        self._certificate_poll = certificate_poll
        self._bound: dict[str, tuple[str, int]] = {}
        self._udp: dict[str, UdpEndpoint] = {}
        self._servers: dict[str, asyncio.Server] = {}
        self._websockets: dict[str, WebSocketListener] = {}
        self._tls: dict[str, ServerTls] = {}
        self._connections = Connections(self._limits, on_packet, self._report_closed)
        self._dialler = Dialler(
            self._limits, self._connections, self._connect, self._send_datagram, self._report_closed, resolver
        )
        self._server_names: dict[tuple[str, int], str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop
        self._stopping = False

    # --- life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bind every listener. Raises ``OSError`` naming the one that failed, with nothing left bound."""
        self._loop = asyncio.get_running_loop()
        try:
            for spec in self._specs.values():
                await self._open(spec)
        except BaseException:
            await self.stop()
            raise
        self._watcher = self._spawn(self._watch())

    async def apply(self, listeners: Iterable[SipListener]) -> None:
        """Change to these listeners (configuration reload); connections of those that stay are untouched.

        Raises ``OSError`` and leaves all as it was when a new one cannot be opened.
        """
        wanted = {listener.name: listener for listener in listeners}
        added = []
        for name, spec in wanted.items():
            old = self._specs.get(name)
            if old is None or _endpoint(old) != _endpoint(spec):
                added.append(spec)
        moved = {spec.name for spec in added} & self._specs.keys()
        if moved:
            raise OSError(
                f"listener {sorted(moved)[0]} cannot move to another address while it runs: restart, or rename it"
            )
        opened: list[str] = []
        try:
            for spec in added:
                await self._open(spec)
                opened.append(spec.name)
            stay = [wanted[name] for name in wanted.keys() - set(opened)]
            for spec in stay:
                # All files are tried before any is used.
                self._load_tls(spec)
            for spec in stay:
                self._replace(spec)
        except OSError:
            for name in opened:
                await self._close(name)
            raise
        for name in self._specs.keys() - wanted.keys():
            await self._close(name)
        self._specs = wanted

    def use_client_tls(self, context: ssl.SSLContext) -> None:
        """Open TLS connections with this context from now on; those there are stay."""
        self._client_tls = context

    def reload_certificates(self) -> None:
        """Read certificates again now, without waiting for the watch to see that the files changed."""
        for tls in self._tls.values():
            tls.reload(force=True)

    async def stop(self) -> None:
        """Close everything. ``on_closed`` is not called any more."""
        self._stopping = True
        await self._dialler.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in self._connections.all():
            connection.close()
        for name in list(self._bound):
            await self._close(name)
        # Closed transports finish on the next turns of the loop, and those that do not are cut.
        await self._connections.wait_empty(STOP_TIMEOUT)
        for connection in self._connections.all():
            connection.abort()

    # --- asking ---------------------------------------------------------------------------------------------------

    def listener_address(self, name: str) -> tuple[str, int]:
        """Where a listener is bound. Raises ``KeyError`` for an unknown one."""
        return self._bound[name]

    def local_address(self, flow: Flow) -> tuple[str, int]:
        """Our own (IP address, port) towards ``flow``: of the connection, or of the listener it would leave from.

        For a listener on all addresses, the address the route to the peer leaves from. Raises ``LookupError`` when no
        listener has that transport.
        """
        connection = self._connections.get(flow.connection)
        if connection is not None:
            return connection.local
        host, port = self._bound[self._find_listener(flow)]
        return (find_source(flow.host) or host if host in ("0.0.0.0", "::") else host), port

    def set_in_use(self, is_in_use: Callable[[Flow], bool]) -> None:
        """Who says whether a connection that has fallen silent is still needed."""
        self._connections.is_in_use = is_in_use

    def set_shut_out(self, is_shut_out: Callable[[str], bool]) -> None:
        """Who says from which addresses connections are refused."""
        self._connections.is_shut_out = is_shut_out

    def connection_count(self) -> int:
        return len(self._connections)

    def set_server_name(self, host: str, port: int, name: str) -> None:
        """The name that a TLS server at this address must prove, as its resolver found it (RFC 5922 section 7.3)."""
        if len(self._server_names) > 10_000:
            self._server_names.clear()
        self._server_names[host, port] = name

    # --- sending --------------------------------------------------------------------------------------------------

    def send(self, flow: Flow, data: bytes) -> None:
        """Send one message; never blocks and never raises. Connects where ``flow.connection`` is 0 and none is open."""
        if self._stopping:
            return
        if not _is_address(flow.host):
            self._send_to_name(flow, data)
        elif flow.transport == "udp":
            endpoint = self._find_udp(flow)
            if endpoint is None:
                self._fail(flow)
            else:
                endpoint.send(flow, data)
        else:
            connection = self._connections.find(flow)
            if connection is not None:
                if not connection.send(data):
                    self._fail(flow)
            elif flow.connection or flow.transport in ("ws", "wss"):
                self._fail(flow)
            else:
                self._dialler.dial(flow, data, (Target(flow.host, flow.port, flow.transport),))

    def _send_to_name(self, flow: Flow, data: bytes) -> None:
        """A peer known by name (a Contact, a trunk): by its addresses, which are asked for if they are not known."""
        if self._resolver is None or flow.connection or flow.transport in ("ws", "wss"):
            self._fail(flow)
            return
        targets = self._resolver.known(flow.host, flow.port, flow.transport)
        if targets is None:
            self._dialler.dial(flow, data, ())
        elif flow.transport == "udp":
            self._send_datagram(flow, data, targets)
        else:
            for target in targets:
                connection = self._connections.find(flow._replace(host=target.host, port=target.port))
                if connection is not None and connection.send(data):
                    self._connections.note_use(connection, flow)
                    return
            self._dialler.dial(flow, data, targets)

    def _send_datagram(self, flow: Flow, data: bytes, targets: Sequence[Target]) -> None:
        for target in targets:
            there = flow._replace(host=target.host, port=target.port)
            endpoint = self._find_udp(there)
            if endpoint is not None and (":" in endpoint.address[0]) == (":" in target.host):
                endpoint.send(there, data)
                return
        self._fail(flow)

    def close_flow(self, flow: Flow) -> None:
        """Close a connection (a banned peer); ``on_closed`` follows."""
        connection = self._connections.get(flow.connection)
        if connection is not None:
            connection.abort()

    def _fail(self, flow: Flow) -> None:
        self._loop.call_soon(self._report_closed, flow)

    def _report_closed(self, flow: Flow) -> None:
        if not self._stopping:
            self._on_closed(flow)

    def _find_udp(self, flow: Flow) -> UdpEndpoint | None:
        endpoint = self._udp.get(flow.listener)
        if endpoint is not None:
            return endpoint
        try:
            return self._udp.get(self._find_listener(flow))
        except LookupError:
            return None

    def _find_listener(self, flow: Flow) -> str:
        spec = self._specs.get(flow.listener)
        if spec is not None and spec.transport == flow.transport and spec.name in self._bound:
            return spec.name
        same = [name for name in self._bound if self._specs[name].transport == flow.transport]
        family = [name for name in same if (":" in self._specs[name].host) == (":" in flow.host)]
        if not same:
            raise LookupError(f"no {flow.transport} listener")
        return (family or same)[0]

    async def _connect(self, transport: str, target: Target, listener: str, name: str) -> StreamConnection:
        local = self._find_listener(Flow(transport, target.host, target.port, listener))
        bound = self._bound[local][0]
        tls = None
        if transport == "tls":
            tls = self._client_tls = self._client_tls or make_client_context()
        server_name = self._server_names.get((target.host, target.port), name) if tls else None
        _, protocol = await self._loop.create_connection(
            lambda: self._make_protocol(transport, local, outgoing=True),
            target.host,
            target.port,
            ssl=tls,
            server_hostname=server_name,
            local_addr=None if bound in ("0.0.0.0", "::") else (bound, 0),
        )
        return protocol

    # --- listeners ------------------------------------------------------------------------------------------------

    async def _open(self, spec: SipListener) -> None:
        try:
            self._bound[spec.name] = await self._bind(spec)
        except OSError as error:
            self._tls.pop(spec.name, None)
            raise _name_failure(spec, error) from error
        self._specs[spec.name] = spec
        host, port = self._bound[spec.name]
        log.info("sip.listening", listener=spec.name, transport=spec.transport, host=host, port=port)

    async def _bind(self, spec: SipListener) -> tuple[str, int]:
        if spec.transport == "udp":
            endpoint = UdpEndpoint(spec.name, self._on_packet, self._report_closed)
            endpoint.open(spec.host, spec.port)
            self._udp[spec.name] = endpoint
            return endpoint.address
        context = None
        if spec.transport in ("tls", "wss"):
            tls = self._load_tls(spec)
            assert tls is not None
            self._tls[spec.name] = tls
            context = tls.context
        if spec.transport in ("ws", "wss"):
            listener = WebSocketListener(
                self._connections, spec.name, spec.transport, path=spec.path, origins=spec.origins
            )
            bound = await listener.open(spec.host, spec.port, context)
            self._websockets[spec.name] = listener
            return bound
        server = await self._loop.create_server(
            lambda: self._make_protocol(spec.transport, spec.name),
            spec.host,
            spec.port,
            ssl=context,
            ssl_handshake_timeout=self._limits.one_message if context else None,
            reuse_address=True,
            backlog=512,
        )
        self._servers[spec.name] = server
        address: tuple[str, int] = server.sockets[0].getsockname()[:2]
        return address

    def _make_protocol(self, transport: str, listener: str, *, outgoing: bool = False) -> StreamConnection:
        protocol = StreamConnection(self._connections, transport, listener, limits=self._framing)
        protocol.outgoing = outgoing
        return protocol

    def _load_tls(self, spec: SipListener) -> ServerTls | None:
        if spec.transport not in ("tls", "wss"):
            return None
        try:
            if spec.certificate is None or spec.key is None:
                raise OSError("a certificate and a key are needed")
            return ServerTls(spec.certificate, spec.key, spec.client_authorities)
        except OSError as error:
            raise _name_failure(spec, error) from error

    def _replace(self, spec: SipListener) -> None:
        tls = self._tls.get(spec.name)
        if tls is not None and spec.certificate is not None and spec.key is not None:
            tls.replace_files(spec.certificate, spec.key, spec.client_authorities)
        websocket = self._websockets.get(spec.name)
        if websocket is not None:
            websocket.path, websocket.origins = spec.path, spec.origins

    async def _close(self, name: str) -> None:
        del self._bound[name], self._specs[name]
        self._tls.pop(name, None)
        if name in self._udp:
            self._udp.pop(name).close()
        if name in self._servers:
            server = self._servers.pop(name)
            server.close()
            for connection in self._connections.all():
                if connection.flow.listener == name:
                    connection.close()
        if name in self._websockets:
            await self._websockets.pop(name).close()

    # --- upkeep ---------------------------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _watch(self) -> None:
        """Close connections that cost more than they say, ping ours, look at certificates."""
        limits = self._limits
        step = min(1.0, limits.one_message / 2, limits.first_message / 2, (limits.idle or 1.0) / 2)
        next_ping = self._loop.time() + self._limits.keep_alive
        next_look = self._loop.time() + self._certificate_poll
        while True:
            await asyncio.sleep(step)
            now = self._loop.time()
            self._connections.close_slow(now)
            if self._limits.keep_alive and now >= next_ping:
                next_ping = now + self._limits.keep_alive
                for connection in self._connections.all():
                    if connection.outgoing:
                        connection.ping()
            if now >= next_look:
                next_look = now + self._certificate_poll
                for tls in self._tls.values():
                    tls.reload()


def _name_failure(spec: SipListener, error: OSError) -> OSError:
    """The same failure, saying which listener it happened to."""
    text = error.strerror or str(error)
    if text.startswith("listener "):
        return error
    file = f": {error.filename}" if error.filename else ""
    return OSError(error.errno, f"listener {spec.name} ({spec.transport} {spec.host}:{spec.port}): {text}{file}")


def _endpoint(spec: SipListener) -> tuple[str, str, int]:
    return spec.transport, spec.host, spec.port


@lru_cache(maxsize=65536)
def _is_address(host: str) -> bool:
    """Whether it is an IP address: a name would make the kernel call resolve it, and block."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4096)
def find_source(host: str) -> str:
    """The local address of the route to ``host``; empty where there is no route."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((host, 9))
        except OSError:
            return ""
        address: str = sock.getsockname()[0]
        return address
