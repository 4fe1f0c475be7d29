"""What every usage stands on: sending requests and responses, the dialog table, ids, and the running turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from sipmessage import URI

from pbx.core.ids import IdSource

from .commands import Credentials, Flow
from .dialog import Dialog, DialogKey
from .events import Output, TextMessage
from .identity import Addresses, LocalIdentity, Settings
from .policy import ChallengeAnswerer
from .transactions import MAGIC, Handler, Transaction, Transactions
from .wire import Packet, parse_uri
from .writer import build_request, build_response

if TYPE_CHECKING:
    from .leg import Leg

ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, INFO, REFER, NOTIFY, SUBSCRIBE, MESSAGE, REGISTER"
ALLOW_LINE = f"Allow: {ALLOW}\r\n"
SUPPORTED = ("100rel", "timer", "replaces", "path", "outbound", "norefersub", "tdialog")
KNOWN_EXTENSIONS = frozenset((*SUPPORTED, "from-change", "histinfo", "pref", "early-session"))
MAX_REMEMBERED = 10_000
TextAdmission = Callable[[TextMessage], int]
"""0, or the status a MESSAGE is refused with."""


class Usage(Protocol):
    """What is done inside a dialog: a call leg or a subscription."""

    def on_request(self, tx: Transaction, packet: Packet, dialog: Dialog) -> None: ...

    def on_ack(self, packet: Packet, dialog: Dialog) -> None: ...


class Endpoint:
    """Shared by the façade and all usages of one stack."""

    def __init__(
        self,
        transactions: Transactions,
        local: LocalIdentity,
        settings: Settings,
        ids: IdSource,
        answer_challenge: ChallengeAnswerer | None,
    ) -> None:
        self.transactions = transactions
        self.addresses = Addresses(local)
        self.settings = settings
        self.ids = ids
        self.answer_challenge = answer_challenge
        self.admit_text: TextAdmission = lambda message: 0
        self.dialogs: dict[DialogKey, tuple[Dialog, Usage]] = {}
        self.legs: dict[str, Leg] = {}
        self._closed: dict[Flow, None] = {}
        """Stream connections that ended; dialogs still pointing at one are sent elsewhere when they next speak."""
        self._without_tcp: dict[tuple[str, int], None] = {}
        """Peers a TCP connection for a long request could not be made to."""
        self._set_local(local)

    def _set_local(self, local: LocalIdentity) -> None:
        self.server_line = f"Server: {local.user_agent}\r\n"
        self.user_agent_line = f"User-Agent: {local.user_agent}\r\n"

    def replace_local(self, local: LocalIdentity) -> None:
        """Take a new configuration; dialogs keep what they told their peers until their next request."""
        self.addresses = Addresses(local)
        self._set_local(local)

    # --- the running turn ---------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        return self.transactions.now

    def emit(self, output: Output) -> None:
        self.transactions.out.append(output)

    # --- dialogs ------------------------------------------------------------------------------------------------

    def add_dialog(self, dialog: Dialog, usage: Usage) -> None:
        self.dialogs[dialog.key] = (dialog, usage)

    def find_leg(self, call_id: str, local_tag: str, remote_tag: str) -> Leg | None:
        """The call leg whose dialog this is."""
        entry = self.dialogs.get((call_id, local_tag, remote_tag))
        if entry is None:
            return None
        leg = self.legs.get(getattr(entry[1], "id", ""))
        return leg if leg is entry[1] else None

    def remove_dialog(self, dialog: Dialog) -> None:
        self.dialogs.pop(dialog.key, None)

    # --- sending ------------------------------------------------------------------------------------------------

    def respond(
        self,
        tx: Transaction,
        status: int,
        reason: str = "",
        to_tag: str = "",
        headers: str = "",
        body: bytes = b"",
        content_type: str = "application/sdp",
    ) -> bytes:
        """Answer a server transaction; returns the bytes, for those who repeat them."""
        assert tx.packet is not None
        if status > 100:
            headers = self.server_line + tx.session_line + headers
            to_tag = to_tag or tx.packet.to_tag or self.ids.token()
        data = build_response(tx.packet, status, reason, to_tag, headers, content_type, body)
        self.transactions.send_response(tx, status, data)
        return data

    def get_contact_line(self, flow: Flow) -> str:
        return f"Contact: <{self.addresses.get(flow)[1]}>\r\n"

    def make_via(self, flow: Flow, branch: str) -> str:
        return f"{self.addresses.get(flow)[0]};branch={branch};rport"

    def make_branch(self) -> str:
        return self.ids.token(MAGIC)

    def build_in_dialog(
        self,
        dialog: Dialog,
        method: str,
        cseq: int,
        branch: str,
        headers: str = "",
        body: bytes = b"",
        content_type: str = "application/sdp",
    ) -> bytes:
        uri, routes = dialog.get_next_hop()
        head = dialog.make_head(method, cseq) + self.user_agent_line + dialog.session_line + headers
        return build_request(method, uri, self.make_via(dialog.flow, branch), routes, head, content_type, body)

    def request(
        self,
        dialog: Dialog,
        method: str,
        handler: Handler,
        headers: str = "",
        body: bytes = b"",
        content_type: str = "application/sdp",
        leg: str = "",
    ) -> Transaction:
        """Send a request inside ``dialog`` in a new transaction."""
        self.prepare_flow(dialog)
        dialog.local_cseq += 1
        branch = self.make_branch()
        data = self.build_in_dialog(dialog, method, dialog.local_cseq, branch, headers, body, content_type)
        return self.transactions.start_client(method, branch, dialog.flow, data, handler, leg)

    def prepare_flow(self, dialog: Dialog) -> None:
        """Where the next request of a dialog goes: a fresh connection if its own is gone; without symmetric routing
        what the route set or the target says (section 8.1.2)."""
        if dialog.flow.connection and dialog.flow in self._closed:
            dialog.flow = self.get_flow(dialog.target, dialog.flow)._replace(connection=0)
        elif not self.settings.symmetric and dialog.flow.transport == "udp":
            uri, routes = dialog.get_next_hop()
            hop = routes[0].partition("<")[2].partition(">")[0] if routes else uri
            dialog.flow = self.get_flow(hop, dialog.flow)

    def note_closed(self, flow: Flow) -> None:
        """A stream connection ended."""
        if flow.connection:
            self._closed[flow] = None
            while len(self._closed) > MAX_REMEMBERED:
                del self._closed[next(iter(self._closed))]

    def find_tcp(self, data: bytes, flow: Flow, uri: str) -> Flow | None:
        """The TCP flow for a UDP request that is too long (RFC 3261 section 18.1.1); None: UDP will have to do.

        Tried only where the peer listens on the port it is reached at, which a peer behind NAT does not.
        """
        limit = self.settings.tcp_above_bytes
        if flow.transport != "udp" or not limit or len(data) <= limit or not self.addresses.has_transport("tcp"):
            return None
        if (flow.host, flow.port) in self._without_tcp or self.get_flow(uri, flow)[1:3] != flow[1:3]:
            return None
        return Flow("tcp", flow.host, flow.port)

    def note_no_tcp(self, flow: Flow) -> None:
        """TCP to this peer failed; do not try again."""
        self._without_tcp[flow.host, flow.port] = None
        while len(self._without_tcp) > MAX_REMEMBERED:
            del self._without_tcp[next(iter(self._without_tcp))]

    def get_flow(self, uri: str, current: Flow) -> Flow:
        """Where a URI points, as a flow; ``current`` where it cannot be read. Names are left to the shell."""
        try:
            target = parse_uri(uri)
        except ValueError:
            return current
        return flow_of(target, current)

    def answer(
        self,
        packet: Packet,
        method: str,
        uri: str,
        credentials: Credentials | None,
        nonce_counts: dict[str, int],
    ) -> str:
        """Header line answering a 401 or 407, or an empty string."""
        if credentials is None or self.answer_challenge is None:
            return ""
        cnonce = self.ids.token()
        header = self.answer_challenge(packet.response, method, uri, credentials, nonce_counts, cnonce)
        return "" if header is None else f"{header[0]}: {header[1]}\r\n"


def flow_of(uri: URI, current: Flow | None = None) -> Flow:
    """The flow to a SIP URI: transport parameter, host, and the transport's default port."""
    transport = (uri.parameters.get("transport") or "").lower()
    if not transport:
        transport = "tls" if uri.scheme == "sips" else "udp"
    if transport not in ("udp", "tcp", "tls", "ws", "wss"):
        transport = current.transport if current else "udp"
    host = uri.host[1:-1] if uri.host.startswith("[") else uri.host
    port = uri.port or (
        5061 if transport == "tls" else 443 if transport == "wss" else 80 if transport == "ws" else 5060
    )
    listener = current.listener if current and current.transport == transport else ""
    return Flow(transport, host, port, listener)
