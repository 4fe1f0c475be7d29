"""The transaction layer: matches packets to transactions and carries out what their tables say.

``Transactions`` owns the transactions, and the timers and outputs of the whole stack: one turn (one call of a
stack entry point) sets ``now`` and ``out``, and everything that happens appends to ``out`` in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pbx.core.timers import Timers

from . import fsm, fsm_ict, fsm_ist, fsm_nict, fsm_nist
from .commands import Flow
from .events import Output, Transmit
from .timing import Timing
from .wire import Packet
from .writer import get_response_flow

MAGIC = "z9hG4bK"
"""Branches of RFC 3261 senders begin so (section 8.1.1.7)."""

Handler = Callable[["Transaction", "Packet | None", str], None]
"""Told of responses (client), of the ACK (INVITE server), or of a failure: ``timeout`` or ``transport``."""


class Timed(Protocol):
    def on_timer(self, name: str) -> None: ...


def is_reliable(flow: Flow) -> bool:
    return flow.transport != "udp"


def is_name(host: str) -> bool:
    """A host name that the shell has yet to resolve, not an address."""
    return ":" not in host and not host.replace(".", "").isdigit()


class Transaction:
    """One of the four machines, with what its actions need."""

    __slots__ = (
        "ack",
        "data",
        "flow",
        "handler",
        "interval",
        "key",
        "layer",
        "leg",
        "method",
        "packet",
        "session_line",
        "state",
        "table",
    )

    def __init__(self, layer: Transactions, table: fsm.Table, state: str, key: tuple[object, ...]) -> None:
        self.layer = layer
        self.table = table
        self.state = state
        self.key = key
        self.flow: Flow
        self.method = ""
        self.data = b""
        self.ack = b""
        """The ACK of a 2xx to INVITE, kept by the user for when the 2xx comes again."""
        self.interval = 0.0
        self.handler: Handler | None = None
        self.packet: Packet | None = None
        """The request, of a server transaction."""
        self.leg = ""
        self.session_line = ""
        """Session-ID header line of our responses."""

    def on_timer(self, name: str) -> None:
        self.layer.feed(self, name, None)

    @property
    def is_done(self) -> bool:
        """A final response was sent or received."""
        return self.state not in ("Calling", "Trying", "Proceeding")


class Transactions:
    """All transactions of a stack, its timers, and the outputs of the turn that is running."""

    def __init__(self, timing: Timing) -> None:
        self.timing = timing
        self.timers: Timers[tuple[Timed, str]] = Timers()
        self.now = 0.0
        self.out: list[Output] = []
        self.clients: dict[tuple[object, ...], Transaction] = {}
        self.servers: dict[tuple[object, ...], Transaction] = {}
        self._by_peer: dict[tuple[str, str, int], set[Transaction]] = {}
        """So that a closed connection, or an ICMP error, costs what hung on it and no more."""
        self._actions: dict[str, Callable[[Transaction, Packet | None], None]] = {
            fsm.SEND: self._send,
            fsm.RESEND: self._resend,
            fsm.SEND_ACK: self._send_ack,
            fsm.PASS: self._pass,
            fsm.TIMEOUT: self._timeout,
            fsm.FAIL: self._fail,
            fsm.FREE: self._free,
            fsm.STOP: self._stop,
            fsm.DOUBLE: self._double,
            fsm.DOUBLE_T2: self._double_t2,
            fsm.REPEAT_T2: self._repeat_t2,
        }
        for letter in "AEG":
            self._actions[fsm.START + letter] = self._make_start_retransmission(letter)
        for letter, seconds, reliable_seconds in (
            ("B", timing.limit, timing.limit),
            ("D", timing.timer_d, 0.0),
            ("F", timing.limit, timing.limit),
            ("H", timing.limit, timing.limit),
            ("I", timing.t4, 0.0),
            ("J", timing.limit, 0.0),
            ("K", timing.t4, 0.0),
            ("L", timing.limit, timing.limit),
            ("M", timing.limit, timing.limit),
        ):
            self._actions[fsm.START + letter] = self._make_start(letter, seconds, reliable_seconds)

    # --- making -------------------------------------------------------------------------------------------------

    def start_client(
        self, method: str, branch: str, flow: Flow, data: bytes, handler: Handler, leg: str = ""
    ) -> Transaction:
        """Send a request of ours in a new client transaction."""
        invite = method == "INVITE"
        state, actions = fsm_ict.INITIAL if invite else fsm_nict.INITIAL
        tx = Transaction(self, fsm_ict.TABLE if invite else fsm_nict.TABLE, state, (branch, method))
        tx.flow, tx.method, tx.data, tx.handler, tx.leg = flow, method, data, handler, leg
        self.clients[tx.key] = tx
        self._by_peer.setdefault(flow[:3], set()).add(tx)
        for action in actions:
            self._actions[action](tx, None)
        return tx

    def start_server(self, packet: Packet) -> Transaction:
        """A new server transaction for a request that matched none."""
        invite = packet.method == "INVITE"
        state = fsm_ist.INITIAL[0] if invite else fsm_nist.INITIAL[0]
        key = server_key(packet, packet.method)
        tx = Transaction(self, fsm_ist.TABLE if invite else fsm_nist.TABLE, state, key)
        tx.flow, tx.method, tx.packet = get_response_flow(packet), packet.method, packet
        self.servers[key] = tx
        self._by_peer.setdefault(tx.flow[:3], set()).add(tx)
        return tx

    # --- matching -----------------------------------------------------------------------------------------------

    def find_client(self, packet: Packet) -> Transaction | None:
        """The transaction a response belongs to (RFC 3261 section 17.1.3)."""
        return self.clients.get((packet.branch, packet.method))

    def find_server(self, packet: Packet, method: str) -> Transaction | None:
        """The transaction a request belongs to (section 17.2.3); ``method`` INVITE for ACK and CANCEL."""
        return self.servers.get(server_key(packet, method))

    # --- running ------------------------------------------------------------------------------------------------

    def feed(self, tx: Transaction, what: str, packet: Packet | None) -> bool:
        """Apply one input. False: the table has no such transition and nothing happened."""
        step = tx.table.get((tx.state, what))
        if step is None:
            return False
        tx.state, actions = step
        table = self._actions
        for action in actions:
            table[action](tx, packet)
        return True

    def receive_response(self, tx: Transaction, packet: Packet) -> bool:
        """A matched response."""
        if is_name(tx.flow.host) and tx.flow.transport == "udp":
            # Sent to a name: ACK, CANCEL and retransmissions go where the answer came from (RFC 3263 section 4).
            tx.flow = packet.flow
        status = packet.status
        what = fsm.RESPONSE_1XX if status < 200 else fsm.RESPONSE_2XX if status < 300 else fsm.RESPONSE_FINAL
        return self.feed(tx, what, packet)

    def send_response(self, tx: Transaction, status: int, data: bytes) -> bool:
        """Send a response of ours through its server transaction. False: it is too late for this one."""
        what = fsm.SEND_1XX if status < 200 else fsm.SEND_2XX if status < 300 else fsm.SEND_FINAL
        if (tx.state, what) not in tx.table:
            return False
        tx.data = data
        return self.feed(tx, what, None)

    def forget(self, tx: Transaction) -> None:
        """Leave a server transaction without an answer: to whom nothing is owed."""
        self._free(tx, None)

    def fail_flow(self, flow: Flow) -> None:
        """Transport error for every transaction on a connection that is gone, or with a peer that cannot be reached.

        A transaction that left the choice of connection to the shell (number 0) was on it if the peer is the same.
        """
        numbers = (0, flow.connection)
        hit = [tx for tx in self._by_peer.get(flow[:3], ()) if tx.flow.connection in numbers]
        for tx in sorted(hit, key=lambda tx: str(tx.key)):
            self.feed(tx, fsm.ERROR, None)

    def transmit(self, flow: Flow, data: bytes, leg: str = "", note: str = "") -> None:
        self.out.append(Transmit(flow=flow, data=data, leg=leg, note=note))

    def set_timer(self, owner: Timed, name: str, delay: float) -> None:
        self.timers.set((owner, name), self.now + delay)

    def stop_timer(self, owner: Timed, name: str) -> None:
        self.timers.cancel((owner, name))

    # --- actions ------------------------------------------------------------------------------------------------

    def _send(self, tx: Transaction, packet: Packet | None) -> None:
        self.out.append(Transmit(flow=tx.flow, data=tx.data, leg=tx.leg))

    def _resend(self, tx: Transaction, packet: Packet | None) -> None:
        if tx.data:
            self.out.append(Transmit(flow=tx.flow, data=tx.data, leg=tx.leg, note="retransmission"))

    def _send_ack(self, tx: Transaction, packet: Packet | None) -> None:
        assert packet is not None
        tx.data = build_non_2xx_ack(tx.data, packet)
        self.out.append(Transmit(flow=tx.flow, data=tx.data, leg=tx.leg))

    def _pass(self, tx: Transaction, packet: Packet | None) -> None:
        if tx.handler is not None:
            tx.handler(tx, packet, "")

    def _timeout(self, tx: Transaction, packet: Packet | None) -> None:
        if tx.handler is not None:
            tx.handler(tx, None, "timeout")

    def _fail(self, tx: Transaction, packet: Packet | None) -> None:
        if tx.handler is not None:
            tx.handler(tx, None, "transport")

    def _free(self, tx: Transaction, packet: Packet | None) -> None:
        self._stop(tx, packet)
        transactions = self.servers if tx.packet is not None else self.clients
        if transactions.get(tx.key) is tx:
            del transactions[tx.key]
        same_peer = self._by_peer.get(tx.flow[:3])
        if same_peer is not None:
            same_peer.discard(tx)
            if not same_peer:
                del self._by_peer[tx.flow[:3]]

    def _stop(self, tx: Transaction, packet: Packet | None) -> None:
        for letter in _TIMERS_OF[id(tx.table)]:
            self.timers.cancel((tx, letter))

    def _double(self, tx: Transaction, packet: Packet | None) -> None:
        tx.interval *= 2
        self.timers.set((tx, _RETRANSMISSION_OF[id(tx.table)]), self.now + tx.interval)

    def _double_t2(self, tx: Transaction, packet: Packet | None) -> None:
        tx.interval = min(tx.interval * 2, self.timing.t2)
        self.timers.set((tx, _RETRANSMISSION_OF[id(tx.table)]), self.now + tx.interval)

    def _repeat_t2(self, tx: Transaction, packet: Packet | None) -> None:
        tx.interval = self.timing.t2
        self.timers.set((tx, _RETRANSMISSION_OF[id(tx.table)]), self.now + tx.interval)

    def _make_start_retransmission(self, letter: str) -> Callable[[Transaction, Packet | None], None]:
        def start(tx: Transaction, packet: Packet | None) -> None:
            if tx.flow.transport == "udp":
                tx.interval = self.timing.t1
                self.timers.set((tx, letter), self.now + tx.interval)

        return start

    def _make_start(
        self, letter: str, seconds: float, reliable_seconds: float
    ) -> Callable[[Transaction, Packet | None], None]:
        def start(tx: Transaction, packet: Packet | None) -> None:
            delay = seconds if tx.flow.transport == "udp" else reliable_seconds
            self.timers.set((tx, letter), self.now + delay)

        return start


_RETRANSMISSION_OF = {id(fsm_ict.TABLE): "A", id(fsm_nict.TABLE): "E", id(fsm_ist.TABLE): "G", id(fsm_nist.TABLE): ""}
_TIMERS_OF = {
    id(table): tuple(sorted({what for _, what in table if len(what) == 1}))
    for table in (fsm_ict.TABLE, fsm_nict.TABLE, fsm_ist.TABLE, fsm_nist.TABLE)
}


def server_key(packet: Packet, method: str) -> tuple[object, ...]:
    """What identifies a server transaction (RFC 3261 section 17.2.3), with the rule for RFC 2543 senders."""
    branch = packet.branch
    via = packet.via
    if branch.startswith(MAGIC) and len(branch) > len(MAGIC):
        return (branch, via.host, via.port, method)
    to_tag = "" if method == "INVITE" else packet.to_tag
    return (packet.call_id, packet.cseq, packet.from_tag, to_tag, via.host, via.port, branch, method)


def build_non_2xx_ack(invite: bytes, response: Packet) -> bytes:
    """The ACK of a non-2xx response (section 17.1.1.3): the INVITE's own top Via, Route, From and Call-ID."""
    head = invite[: invite.index(b"\r\n\r\n")].decode()
    lines = head.split("\r\n")
    uri = lines[0].split(" ")[1]
    kept = [line for line in lines[1:] if line.startswith(("Via:", "Route:", "From:", "Call-ID:", "Max-Forwards:"))]
    text = "\r\n".join(
        [
            f"ACK {uri} SIP/2.0",
            *kept,
            f"To: {response.header('To')}",
            f"CSeq: {response.cseq} ACK",
            "Content-Length: 0",
        ]
    )
    return (text + "\r\n\r\n").encode()
