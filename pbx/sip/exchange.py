"""Requests of ours outside dialogs: REGISTER and OPTIONS of the trunk machine, MESSAGE of the switch."""

from __future__ import annotations

from .commands import SendMessage
from .endpoint import Endpoint
from .policy import RequestDone, SendRequest
from .transactions import Transaction
from .usage_uac import quote_name
from .wire import Packet
from .writer import build_request, clean

_OURS = frozenset(("via", "max-forwards", "content-length", "content-type", "user-agent", "contact"))


class Exchange:
    """Client transactions without a dialog. Results wait in ``done`` for the façade."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._running: set[Transaction] = set()
        self.done: list[RequestDone] = []

    def __len__(self) -> int:
        return len(self._running)

    def send(self, command: SendRequest) -> None:
        """Run one request; its end is appended to ``done``."""
        endpoint, request, flow = self._endpoint, command.request, command.flow
        headers = request.headers
        lines = [
            f"{name}: {value}\r\n"
            for name in headers.keys()
            if name.lower() not in _OURS
            for value in headers.getlist(name)
        ]
        contact = headers.getlist("Contact")
        lines += [f"Contact: {value}\r\n" for value in contact] or [endpoint.get_contact_line(flow)]
        agent = headers.get("User-Agent")
        lines.append(f"User-Agent: {agent}\r\n" if agent else endpoint.user_agent_line)
        branch = endpoint.make_branch()
        data = build_request(
            request.method,
            str(request.uri),
            endpoint.make_via(flow, branch),
            [],
            "".join(lines),
            headers.get("Content-Type") or "",
            request.body,
        )

        def on_event(tx: Transaction, packet: Packet | None, failure: str) -> None:
            if packet is not None and packet.status < 200:
                return
            self._running.discard(tx)
            response = packet.response if packet is not None else None
            self.done.append(RequestDone(key=command.key, response=response, flow=flow, failure=failure))

        tx = endpoint.transactions.start_client(request.method, branch, flow, data, on_event)
        self._running.add(tx)

    def send_message(self, command: SendMessage) -> None:
        """MESSAGE (RFC 3428); nobody waits for its fate."""
        endpoint, flow = self._endpoint, command.flow
        branch = endpoint.make_branch()
        sender = f"{quote_name(command.from_name)}<{clean(command.from_uri)}>"
        headers = (
            f"From: {sender};tag={endpoint.ids.token()}\r\nTo: <{clean(command.uri)}>\r\n"
            f"Call-ID: {endpoint.ids.token()}\r\nCSeq: 1 MESSAGE\r\n{endpoint.user_agent_line}"
        )
        if command.asserted:
            headers += f"P-Asserted-Identity: {sender}\r\n"
        data = build_request(
            "MESSAGE",
            clean(command.uri),
            endpoint.make_via(flow, branch),
            [clean(route) for route in command.route],
            headers,
            clean(command.content_type),
            command.body,
        )
        endpoint.transactions.start_client("MESSAGE", branch, flow, data, _ignore)


def _ignore(tx: Transaction, packet: Packet | None, failure: str) -> None:
    """A MESSAGE is sent once and not followed."""
