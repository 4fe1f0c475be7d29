"""An outgoing call until it is answered: forks, early dialogs, PRACK, challenges, CANCEL (RFC 3261 section 13.2)."""

from __future__ import annotations

from .bodies import read_sdp
from .causes import format_reason, get_cause, read_cause, read_reason_text
from .commands import Acknowledge, Flow, Hangup, Invite
from .dialog import Dialog, DialogKey, make_uac_dialog
from .endpoint import ALLOW_LINE, SUPPORTED, Endpoint
from .events import Answered, Ringing
from .leg import ACCEPTED, CLOSED, EARLY, By, Leg, ignore
from .transactions import Transaction
from .usage_modify import read_retry_after
from .usage_timer import read_delta
from .wire import Packet, PeerFault, parse_name_addr, split_list
from .writer import build_request, clean, format_headers

MAX_FORKS = 16
MAX_ATTEMPTS = 3
SILENT_SERVER = 8
"""T1 of silence after which the next server of a name is asked: four transmissions on UDP."""


def quote_name(name: str) -> str:
    """A display name as a quoted string with a space behind it, or nothing."""
    if not name:
        return ""
    escaped = clean(name).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" '


class OutgoingLeg(Leg):
    """A call to a peer."""

    __slots__ = (
        "_alternatives",
        "_attempts",
        "_cancel_wanted",
        "_command",
        "_forks",
        "_min_se",
        "_nonce_counts",
        "_proof",
        "_provisional",
        "_rseq",
        "_udp_flow",
        "_early_sdp",
        "tx",
    )

    owns_call_id = True

    def __init__(self, endpoint: Endpoint, command: Invite) -> None:
        tag = endpoint.ids.token()
        flow = command.flow
        where = endpoint.addresses.get(flow)[1].partition("@")[2].partition(";")[0]
        base = Dialog(
            f"{endpoint.ids.token()}@{where.rpartition(':')[0]}",
            f"{quote_name(command.from_name)}<{clean(command.from_uri)}>;tag={tag}",
            tag,
            f"<{clean(command.to_uri or command.uri)}>",
            "",
            clean(command.uri),
            flow,
            routes=[clean(route) for route in command.route],
        )
        super().__init__(endpoint, command.leg, base)
        self.credentials = command.credentials
        self.local_sdp = command.sdp
        self.never_update = not command.update
        if endpoint.settings.session_id:
            self.session_id = command.session_id or endpoint.ids.token() + endpoint.ids.token()
            base.session_line = f"Session-ID: {self.session_id};remote={'0' * 32}\r\n"
        self._command = command
        self._forks: dict[str, Dialog] = {}
        """Early dialogs by the peer's tag."""
        self._rseq: dict[str, int] = {}
        """Last reliable response taken, by the peer's tag."""
        self._provisional = False
        self._cancel_wanted = ""
        """Header lines of the CANCEL that waits for the first provisional response (section 9.1)."""
        self._attempts = 0
        self._nonce_counts: dict[str, int] = {}
        self._proof = ""
        self._alternatives = list(command.alternatives)
        """Servers that have not been tried yet."""
        self._udp_flow: Flow | None = None
        """Where a long INVITE goes if TCP fails."""
        self._early_sdp: dict[str, bytes] = {}
        """Session descriptions of 18x responses, by the peer's tag."""
        self._min_se = 0
        self.tx: Transaction
        endpoint.transactions.set_timer(self, "ring", command.timeout)
        self._send_invite()

    def _send_invite(self) -> None:
        endpoint, command, dialog = self.endpoint, self._command, self.dialog
        dialog.local_cseq += 1
        self._attempts += 1
        self._provisional = False
        # Without an offer of ours a reliable 18x would bring one that only PRACK could answer.
        reliable = command.reliable and command.sdp is not None
        supported = ", ".join(SUPPORTED if reliable else SUPPORTED[1:])
        headers = (
            f"{dialog.make_head('INVITE', dialog.local_cseq)}{endpoint.get_contact_line(dialog.flow)}{ALLOW_LINE}"
            f"Supported: {supported}\r\n{self.session.offer(self._min_se)}{endpoint.user_agent_line}"
            f"{dialog.session_line}{format_headers(command.headers)}{self._proof}"
        )
        branch = endpoint.make_branch()
        uri, routes = dialog.get_next_hop()
        via = endpoint.make_via(dialog.flow, branch)
        hops = command.max_forwards
        data = build_request("INVITE", uri, via, routes, headers, body=command.sdp or b"", max_forwards=hops)
        tcp = endpoint.find_tcp(data, dialog.flow, uri)
        if tcp is not None:
            self._udp_flow, dialog.flow = dialog.flow, tcp
            dialog.local_cseq -= 1
            self._attempts -= 1
            self._send_invite()
            return
        self.tx = endpoint.transactions.start_client("INVITE", branch, dialog.flow, data, self._on_event, self.id)
        if self._alternatives:
            # A server that is there says 100 within 200 ms; nobody should hear silence for 64*T1 before the next one.
            endpoint.transactions.set_timer(self.tx, "B", SILENT_SERVER * endpoint.transactions.timing.t1)

    # --- commands -----------------------------------------------------------------------------------------------

    def acknowledge(self, command: Acknowledge) -> None:
        if self.phase == ACCEPTED:
            self.local_sdp = command.sdp
            self._send_ack(self.tx, self.dialog, command.sdp)
            self.on_confirmed()
        else:
            self.modification.acknowledge(command.sdp)

    def request_answer(self) -> None:
        """Ask the phones that ring to answer by themselves (Event ``talk``, as many makers' phones know it)."""
        for dialog in self._forks.values():
            self.request(dialog, "NOTIFY", ignore, "Event: talk\r\nSubscription-State: active\r\n")

    def hangup(self, command: Hangup) -> None:
        self._give_up("local", command.cause, command.reason)

    def _give_up(self, by: By, cause: int, reason: str, status: int = 0) -> None:
        phase = self.phase
        self.end(by, status=status, cause=cause, reason=reason)
        self.endpoint.transactions.stop_timer(self, "ring")
        if phase == EARLY:
            self._cancel_wanted = format_reason(cause)
            if self._provisional:
                self._cancel()
            self._drop_forks()
        elif phase != CLOSED:
            if phase == ACCEPTED:
                self._send_ack(self.tx, self.dialog, b"")
            self.send_bye(cause)

    def _cancel(self) -> None:
        """CANCEL: the INVITE's Request-URI, branch, Route, From, To, Call-ID and CSeq number (section 9.1)."""
        endpoint, tx = self.endpoint, self.tx
        head = tx.data[: tx.data.index(b"\r\n\r\n")].decode()
        lines = head.split("\r\n")
        kept = [line for line in lines[1:] if line.startswith(("Via:", "Route:", "From:", "To:", "Call-ID:", "Max-F"))]
        text = "\r\n".join(
            [f"CANCEL {lines[0].split(' ')[1]} SIP/2.0", *kept, f"CSeq: {self.dialog.local_cseq} CANCEL"]
        )
        data = f"{text}\r\n{self._cancel_wanted}Content-Length: 0\r\n\r\n".encode()
        self._cancel_wanted = ""
        branch = str(tx.key[0])
        endpoint.transactions.start_client("CANCEL", branch, tx.flow, data, ignore, self.id)
        # No final response within 64*T1 of the CANCEL: give up (section 9.1).
        endpoint.transactions.set_timer(tx, "B", endpoint.transactions.timing.limit)

    # --- the wire -----------------------------------------------------------------------------------------------

    def _on_event(self, tx: Transaction, packet: Packet | None, failure: str) -> None:
        if packet is None:
            self._on_failure(failure)
        elif packet.status < 200:
            self._on_provisional(packet)
        elif packet.status < 300:
            self._on_success(tx, packet)
        elif tx is self.tx:
            self._on_refusal(packet)

    def _on_failure(self, failure: str) -> None:
        if self._udp_flow is not None and failure == "transport" and self.phase == EARLY:
            # No TCP there after all: the long request goes by UDP (section 18.1.1).
            self.endpoint.note_no_tcp(self._udp_flow)
            self.dialog.flow, self._udp_flow = self._udp_flow, None
            self._send_invite()
            return
        if self._try_next():
            return
        self.endpoint.transactions.stop_timer(self, "ring")
        self._drop_forks()
        if failure == "timeout":
            self.end("timeout", status=408, cause=102, reason="no response")
        else:
            self.end("transport", status=503, cause=27, reason="transport failed")

    def _try_next(self) -> bool:
        """Send the INVITE to the next server of the name (RFC 3263 section 4.3). False: there is none, or one rings."""
        if self.phase != EARLY or self._forks or not self._alternatives:
            return False
        self.dialog.flow, self._udp_flow = self._alternatives.pop(0), None
        # What the last server wanted proven it wanted with its own nonce.
        self._attempts, self._proof = 0, ""
        self._send_invite()
        return True

    def _on_provisional(self, packet: Packet) -> None:
        if not self._provisional:
            self._provisional = True
            if self._cancel_wanted:
                self._cancel()
        if self.phase != EARLY or packet.status == 100:
            return
        dialog = self._get_fork(packet)
        sdp = read_sdp(packet)
        if dialog is not None:
            if not self._take_reliable(packet, dialog):
                return
            self.dialog.remote_cseq = max(self.dialog.remote_cseq, dialog.remote_cseq)
        self.read_allow(packet)
        if sdp is not None:
            self.remote_sdp = sdp
            if dialog is not None:
                self._early_sdp[packet.to_tag] = sdp
        self.endpoint.emit(Ringing(leg=self.id, status=packet.status, sdp=sdp))

    def _get_fork(self, packet: Packet) -> Dialog | None:
        """The early dialog of a response, made at its first one (section 12.1)."""
        if not packet.to_tag:
            return None
        dialog = self._forks.get(packet.to_tag)
        if dialog is None and len(self._forks) < MAX_FORKS:
            dialog = self._forks[packet.to_tag] = make_uac_dialog(packet, self.dialog, self._flow_of(packet))
            self.endpoint.add_dialog(dialog, self)
        elif dialog is not None:
            dialog.refresh_target(packet)
        return dialog

    def _flow_of(self, packet: Packet) -> Flow:
        return packet.flow if self.endpoint.settings.symmetric else self.dialog.flow

    def _take_reliable(self, packet: Packet, dialog: Dialog) -> bool:
        """PRACK a reliable response (RFC 3262 section 4). False: it is a repetition or out of order."""
        if "100rel" not in packet.tokens("require"):
            return True
        value = packet.header("RSeq")
        if not (value.isascii() and value.isdigit() and len(value) < 11) or self._command.sdp is None:
            return True
        rseq, last = int(value), self._rseq.get(packet.to_tag)
        if last is not None and rseq != last + 1:
            return False
        self._rseq[packet.to_tag] = rseq
        rack = f"RAck: {rseq} {packet.cseq} INVITE\r\n"
        self.request(dialog, "PRACK", ignore, rack)
        return True

    def _on_success(self, tx: Transaction, packet: Packet) -> None:
        if tx.ack and packet.to_tag == self.dialog.remote_tag:
            self.endpoint.transactions.transmit(self.dialog.flow, tx.ack, self.id, "retransmission")
            return
        if self.phase != EARLY:
            if self.phase == ACCEPTED and packet.to_tag == self.dialog.remote_tag:
                return
            self._refuse_fork(tx, packet)
            return
        early = self._forks.pop(packet.to_tag, None)
        dialog = make_uac_dialog(packet, self.dialog, self._flow_of(packet))
        if early is not None:
            dialog.local_cseq = early.local_cseq
            dialog.remote_cseq = early.remote_cseq
        self._drop_forks()
        self.dialog = dialog
        self.endpoint.add_dialog(dialog, self)
        self.endpoint.transactions.stop_timer(self, "ring")
        self.read_allow(packet)
        self.note_session_id(packet, dialog)
        self.session.take_answer(packet)
        sdp = read_sdp(packet)
        if sdp is None and self._command.sdp is not None:
            # The answer came in a provisional response of the same fork.
            sdp = self._early_sdp.get(packet.to_tag)
        self.remote_sdp = sdp
        self._early_sdp.clear()
        self.phase = ACCEPTED
        answered = Answered(leg=self.id, sdp=sdp, response=packet.response)
        if self._command.sdp is not None:
            self._send_ack(tx, dialog, b"")
            self.endpoint.emit(answered)
            self.on_confirmed()
        else:
            self.endpoint.emit(answered)

    def _send_ack(self, tx: Transaction, dialog: Dialog, sdp: bytes) -> None:
        endpoint = self.endpoint
        endpoint.prepare_flow(dialog)
        cseq = int(tx.data.partition(b"\r\nCSeq: ")[2].partition(b" ")[0])
        tx.ack = endpoint.build_in_dialog(dialog, "ACK", cseq, endpoint.make_branch(), self._proof, sdp)
        endpoint.transactions.transmit(dialog.flow, tx.ack, self.id)

    def _refuse_fork(self, tx: Transaction, packet: Packet) -> None:
        """A 2xx nobody wants, of another fork or crossing our CANCEL: ACK it, then BYE (section 13.2.2.4)."""
        dialog = make_uac_dialog(packet, self.dialog, self._flow_of(packet))
        if (dialog.key in self.endpoint.dialogs) or len(self._forks) >= MAX_FORKS:
            return
        self._forks[packet.to_tag] = dialog
        dialog.local_cseq = packet.cseq
        endpoint = self.endpoint
        ack = endpoint.build_in_dialog(dialog, "ACK", packet.cseq, endpoint.make_branch(), self._proof)
        endpoint.transactions.transmit(dialog.flow, ack, self.id)
        endpoint.add_dialog(dialog, self)

        def on_bye_answer(tx: Transaction, packet: Packet | None, failure: str) -> None:
            if packet is None or packet.status >= 200:
                self._forks.pop(dialog.remote_tag, None)
                endpoint.remove_dialog(dialog)

        endpoint.request(dialog, "BYE", on_bye_answer, format_reason(16), leg=self.id)

    def _on_refusal(self, packet: Packet) -> None:
        if packet.status == 503 and self._try_next():
            return
        self._drop_forks()
        if self.phase != EARLY:
            return
        if self._retry(packet):
            return
        self.endpoint.transactions.stop_timer(self, "ring")
        status = packet.status
        reasons = packet.headers.getlist("reason")
        reason = read_reason_text(reasons) or packet.response.phrase
        contacts = _read_contacts(packet) if status // 100 == 3 else ()
        cause = read_cause(reasons, status) if reasons else get_cause(status)
        retry = max(0, read_retry_after(packet))
        self.end("remote", status=status, cause=cause, reason=reason, contacts=contacts, retry_after=retry)

    def _retry(self, packet: Packet) -> bool:
        """Try once more where the response says what was missing."""
        if self._attempts >= MAX_ATTEMPTS:
            return False
        if packet.status in (401, 407):
            proof = self.endpoint.answer(packet, "INVITE", self.dialog.target, self.credentials, self._nonce_counts)
            if not proof or (self._proof and "stale=true" not in _read_challenges(packet)):
                return False
            self._proof = proof
        elif packet.status == 422 and not self._min_se:
            self._min_se = read_delta(packet.header("Min-SE"))
            if self._min_se <= 0:
                return False
        else:
            return False
        self._send_invite()
        return True

    def get_dialog_key(self) -> DialogKey:
        """While it rings, the dialog of the latest fork."""
        if self.phase == EARLY and self._forks:
            return next(reversed(self._forks.values())).key
        return self.dialog.key

    def _drop_forks(self) -> None:
        for dialog in self._forks.values():
            self.endpoint.remove_dialog(dialog)
        self._forks.clear()

    def on_bye(self, dialog: Dialog, cause: int, reason: str) -> None:
        if self.phase == EARLY:
            # A callee must not BYE an early dialog (section 15); only this fork is gone.
            self.endpoint.remove_dialog(dialog)
            self._forks.pop(dialog.remote_tag, None)
            return
        if dialog is not self.dialog:
            # A fork we did not want hangs up before our own BYE reached it.
            self.endpoint.remove_dialog(dialog)
            return
        if self.phase == ACCEPTED:
            self._send_ack(self.tx, self.dialog, b"")
        super().on_bye(dialog, cause, reason)

    def on_timer(self, name: str) -> None:
        if name == "ring":
            self._give_up("timeout", 19, "no answer", status=408)
        else:
            super().on_timer(name)


def _read_challenges(packet: Packet) -> str:
    values = packet.headers.getlist("www-authenticate") + packet.headers.getlist("proxy-authenticate")
    return ",".join(values).lower().replace(" ", "").replace('"', "")


def _read_contacts(packet: Packet) -> tuple[str, ...]:
    """Contacts of a 3xx, highest q first."""
    found: list[tuple[float, str]] = []
    try:
        for value in split_list(packet.headers.getlist("contact"))[:10]:
            address = parse_name_addr(value)
            try:
                q = float(address.params.get("q", "1"))
            except ValueError:
                q = 0.0
            found.append((q, address.uri))
    except PeerFault:
        return ()
    return tuple(uri for _, uri in sorted(found, key=lambda item: -item[0]))
