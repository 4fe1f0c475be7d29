"""An incoming call until it is answered: provisional responses, the 2xx and its ACK, CANCEL (RFC 3261 section 13.3)."""

from __future__ import annotations

from .bodies import read_sdp
from .causes import format_reason, read_cause, read_reason_text
from .commands import Accept, Hangup, Progress, Redirect
from .dialog import Dialog
from .endpoint import ALLOW_LINE, SUPPORTED, Endpoint
from .events import Acknowledged
from .leg import ACCEPTED, CLOSED, EARLY, Leg
from .transactions import Transaction
from .usage_accept import Acceptance
from .usage_prack import Provisionals
from .wire import Packet
from .writer import clean, format_headers

SUPPORTED_LINE = f"Supported: {', '.join(SUPPORTED)}\r\n"


class IncomingLeg(Leg):
    """A call from a peer."""

    __slots__ = (
        "_acceptance",
        "_answered_early",
        "_offered_early",
        "_bye_cause",
        "_provisionals",
        "_record_route",
        "invite",
        "tx",
    )

    def __init__(self, endpoint: Endpoint, leg: str, dialog: Dialog, tx: Transaction, packet: Packet) -> None:
        super().__init__(endpoint, leg, dialog)
        self.tx = tx
        self.invite = packet
        tx.leg = leg
        tx.handler = self._on_invite_event
        self.remote_sdp = read_sdp(packet)
        self._acceptance: Acceptance | None = None
        self._provisionals: Provisionals | None = None
        self._answered_early = False
        """The exchange was completed by a reliable provisional response, so the 2xx carries no SDP."""
        self._offered_early = False
        """Our offer is in a reliable provisional response; its PRACK answers it (RFC 3262 section 5)."""
        self._bye_cause = 0
        """Hung up between our 2xx and its ACK: BYE with this cause once the ACK is here."""
        routes = packet.headers.getlist("record-route")
        self._record_route = "".join([f"Record-Route: {value}\r\n" for value in routes])
        self.read_allow(packet)
        if endpoint.settings.session_id:
            self.session_id = endpoint.ids.token() + endpoint.ids.token()
            self.note_session_id(packet, dialog)
            tx.session_line = dialog.session_line
        endpoint.add_dialog(dialog, self)

    # --- commands -----------------------------------------------------------------------------------------------

    def progress(self, command: Progress) -> None:
        if self.phase != EARLY or not 101 <= command.status <= 199 or self._acceptance is not None:
            return
        provisionals = self._provisionals
        if provisionals is not None and provisionals.is_pending:
            provisionals.wait(lambda: self.progress(command))
            return
        headers = f"{self._common_headers()}{format_headers(command.headers)}"
        body = command.sdp or b""
        if self._wants_reliable(command):
            if body:
                self.local_sdp = body
                self._answered_early = self.remote_sdp is not None
                self._offered_early = self.remote_sdp is None
            provisionals = self._provisionals = provisionals or Provisionals(self)
            provisionals.send(lambda extra: self._respond(command.status, headers + extra, body))
        else:
            self._respond(command.status, headers, body)

    def _wants_reliable(self, command: Progress) -> bool:
        if "100rel" in self.invite.tokens("require"):
            return True
        # A late offer in a reliable response would have to be answered in PRACK; the 2xx carries it instead.
        wanted = command.reliable and self.endpoint.settings.reliable_provisionals and command.sdp is not None
        return wanted and self.remote_sdp is not None and "100rel" in self.invite.tokens("supported")

    def accept(self, command: Accept) -> None:
        if self.phase != EARLY:
            return
        if self._provisionals is not None and self._provisionals.is_pending:
            # RFC 3262 section 3: no 2xx while a reliable response with SDP is unacknowledged.
            self._provisionals.wait(lambda: self.accept(command))
            return
        self.never_update = not command.update
        timer = self.session.accept(self.invite)
        headers = f"{self._common_headers()}{SUPPORTED_LINE}{timer}{format_headers(command.headers)}"
        body = b"" if self._answered_early else command.sdp
        if body:
            self.local_sdp = body
        self.phase = ACCEPTED
        self.endpoint.transactions.stop_timer(self, "invite expired")
        data = self._respond(200, headers, body)
        self._acceptance = Acceptance(self.endpoint, self.tx, self.invite.cseq, data, self._on_ack_lost)

    def redirect(self, command: Redirect) -> None:
        if self.phase == EARLY:
            contacts = "".join(f"Contact: <{clean(uri)}>\r\n" for uri in command.contacts)
            self._refuse(302, "", contacts)
            self.end("local", status=302)

    def hangup(self, command: Hangup) -> None:
        cause = command.cause
        if self.phase == EARLY:
            status = command.status if 300 <= command.status <= 699 else 486
            headers = format_reason(cause) if cause != 16 else ""
            if command.retry_after:
                headers += f"Retry-After: {command.retry_after}\r\n"
            self._refuse(status, command.reason, headers)
            self.end("local", status=status, cause=cause, reason=command.reason)
        elif self.phase == ACCEPTED:
            # RFC 3261 section 15: no BYE before the ACK, unless it never comes.
            self._bye_cause = cause
            self.end("local", cause=cause, reason=command.reason)
        else:
            self.end("local", cause=cause, reason=command.reason)
            self.send_bye(cause)

    # --- the wire -----------------------------------------------------------------------------------------------

    def _common_headers(self) -> str:
        return f"{self._record_route}{self.endpoint.get_contact_line(self.dialog.flow)}{ALLOW_LINE}"

    def _respond(self, status: int, headers: str, body: bytes = b"", reason: str = "") -> bytes:
        return self.endpoint.respond(self.tx, status, reason, self.dialog.local_tag, headers, body)

    def _refuse(self, status: int, reason: str = "", headers: str = "") -> None:
        self.endpoint.transactions.stop_timer(self, "invite expired")
        if self._provisionals is not None:
            self._provisionals.stop()
        self._respond(status, headers, reason=reason)
        self.endpoint.remove_dialog(self.dialog)

    def refuse_silently(self, status: int, headers: str) -> None:
        """Refuse before the switch heard of the call: no ``Ended`` follows."""
        self._refuse(status, headers=headers)
        self.phase = CLOSED
        self.endpoint.legs.pop(self.id, None)

    def on_cancel(self, packet: Packet) -> None:
        """CANCEL arrived and was answered; it changes nothing once a final response is out (section 9.2)."""
        if self.phase == EARLY:
            self._refuse(487)
            reasons = packet.headers.getlist("reason")
            self.end("remote", status=487, cause=read_cause(reasons), reason=read_reason_text(reasons))

    def on_bye(self, dialog: Dialog, cause: int, reason: str) -> None:
        if self.phase == EARLY:
            # The caller may BYE an early dialog (section 15); the INVITE still needs its final response.
            self._refuse(487)
            self.end("remote", status=487, cause=cause, reason=reason)
            return
        self._stop_acceptance()
        super().on_bye(dialog, cause, reason)

    def on_ack(self, packet: Packet, dialog: Dialog) -> None:
        acceptance = self._acceptance
        if acceptance is None or packet.cseq != acceptance.cseq:
            super().on_ack(packet, dialog)
            return
        self._stop_acceptance()
        if self.phase == CLOSED:
            if self._bye_cause:
                self.send_bye(self._bye_cause)
                self._bye_cause = 0
            return
        if self.endpoint.settings.symmetric:
            dialog.flow = packet.flow
        # The answer to a late offer of ours came in PRACK already, if it is not here.
        late = self.remote_sdp if read_sdp(self.invite) is None else None
        self._confirm(read_sdp(packet) or late)

    def _confirm(self, sdp: bytes | None) -> None:
        if sdp is not None and self.remote_sdp is None:
            self.remote_sdp = sdp
        self.endpoint.emit(Acknowledged(leg=self.id, sdp=sdp))
        self.on_confirmed()

    def assume_ack(self) -> None:
        if self.phase == ACCEPTED and self.remote_sdp is not None:
            self._stop_acceptance()
            self._confirm(None)

    def on_prack(self, tx: Transaction, packet: Packet) -> None:
        if self._provisionals is None:
            self.endpoint.respond(tx, 481)
            return
        if self._provisionals.on_prack(tx, packet):
            offer = read_sdp(packet)
            if offer is not None and self._offered_early:
                self._offered_early, self._answered_early = False, True
                self.remote_sdp = offer
                self.endpoint.respond(tx, 200)
            elif offer is not None and self.local_sdp is not None:
                # An offer in PRACK cannot be put to the switch in time; the call goes on as negotiated.
                self.endpoint.respond(tx, 488)
            else:
                self.endpoint.respond(tx, 200)
            self.modification.resume()
            self._provisionals.resume()

    def on_timer(self, name: str) -> None:
        if name != "invite expired":
            super().on_timer(name)
        elif self.phase == EARLY:
            # The caller said how long the invitation is good for (section 13.3.1 point 1).
            self._refuse(487)
            self.end("timeout", status=487, cause=102, reason="invitation expired")

    def on_unacknowledged(self) -> None:
        """A reliable provisional response was never acknowledged (RFC 3262 section 3: reject with 5xx)."""
        if self.phase == EARLY:
            self._refuse(504)
            self.end("timeout", status=504, cause=102, reason="no PRACK")

    def _stop_acceptance(self) -> None:
        if self._acceptance is not None:
            self._acceptance.stop()
            self._acceptance = None

    def _on_ack_lost(self) -> None:
        self._acceptance = None
        if self.phase == CLOSED:
            self.send_bye(self._bye_cause or 16)
            self._bye_cause = 0
        else:
            self.break_off("timeout", 102, "no ACK")

    def _on_invite_event(self, tx: Transaction, packet: Packet | None, failure: str) -> None:
        if packet is not None and failure == "cancel":
            self.on_cancel(packet)
        elif packet is not None:
            self.on_ack(packet, self.dialog)
        elif failure == "transport" and self.phase == EARLY:
            if self._provisionals is not None:
                self._provisionals.stop()
            self.endpoint.transactions.stop_timer(self, "invite expired")
            self.endpoint.remove_dialog(self.dialog)
            self.end("transport", status=503, cause=27, reason="connection lost")
