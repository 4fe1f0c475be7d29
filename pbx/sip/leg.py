"""A leg: one INVITE dialog usage from its first message to its ``Ended``, common to incoming and outgoing calls.

What happens before the answer is in ``usage_uas`` and ``usage_uac``; new offers in ``usage_modify``, session timers in
``usage_timer``, transfers in ``usage_refer``, INFO in ``usage_info``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

from .causes import format_reason, read_cause, read_reason_text
from .commands import Credentials, Hangup
from .dialog import Dialog, DialogKey
from .endpoint import ALLOW_LINE, SUPPORTED, Endpoint
from .events import Ended, Origin
from .transactions import Handler, Transaction
from .usage_info import receive_info
from .usage_message import take_message
from .usage_modify import Modification
from .usage_refer import Referrals
from .usage_timer import SessionTimer
from .wire import Packet, PeerFault, get_user, parse_name_addr, parse_uri
from .writer import clean

_SESSION_ID = re.compile(r"\s*([0-9A-Fa-f]{32})\s*(?:;|\Z)")
EARLY = "early"
"""Not answered yet."""
ACCEPTED = "accepted"
"""Answered, the ACK is missing."""
CONFIRMED = "confirmed"
CLOSED = "closed"
"""``Ended`` is out; only the last transactions are still running."""

By = Literal["remote", "local", "timeout", "transport"]


class Leg:
    """Common part; see ``IncomingLeg`` and ``OutgoingLeg``."""

    __slots__ = (
        "allows",
        "credentials",
        "dialog",
        "endpoint",
        "id",
        "local_sdp",
        "modification",
        "never_update",
        "origin",
        "phase",
        "referrals",
        "remote_sdp",
        "session",
        "session_id",
    )

    def __init__(self, endpoint: Endpoint, leg: str, dialog: Dialog) -> None:
        self.endpoint = endpoint
        self.id = leg
        self.dialog = dialog
        self.phase = EARLY
        self.origin: Origin | None = None
        self.allows: frozenset[str] = frozenset()
        """Methods the peer said it takes, in capitals; empty: it did not say."""
        self.never_update = False
        self.local_sdp: bytes | None = None
        """Last session description we sent."""
        self.remote_sdp: bytes | None = None
        self.credentials: Credentials | None = None
        self.modification = Modification(self)
        self.session = SessionTimer(self)
        self.session_id = ""
        """Our UUID of RFC 7989."""
        self.referrals = Referrals(self)
        endpoint.legs[leg] = self

    owns_call_id = False
    """We made the Call-ID: decides who waits longer after 491."""

    # --- what usages need ---------------------------------------------------------------------------------------

    @property
    def is_confirmed(self) -> bool:
        return self.phase == CONFIRMED

    @property
    def is_over(self) -> bool:
        return self.phase == CLOSED

    def read_allow(self, packet: Packet) -> None:
        values = packet.headers.getlist("allow")
        if values:
            self.allows = parse_allow(",".join(values))

    def end(
        self,
        by: By,
        status: int = 0,
        cause: int = 16,
        reason: str = "",
        contacts: tuple[str, ...] = (),
        retry_after: int = 0,
    ) -> None:
        """Announce the end, once, and let go of everything but running transactions."""
        if self.phase == CLOSED:
            return
        self.phase = CLOSED
        self.modification.close()
        self.session.stop()
        self.referrals.close()
        self.endpoint.legs.pop(self.id, None)
        self.endpoint.emit(
            Ended(
                leg=self.id,
                by=by,
                status=status,
                cause=cause,
                reason=reason,
                contacts=contacts,
                retry_after=retry_after,
            )
        )

    def send_bye(self, cause: int = 16) -> None:
        """Send BYE; the dialog stays known until it is answered, so that a BYE crossing ours gets its 200."""
        dialog = self.dialog

        def on_answer(tx: Transaction, packet: Packet | None, failure: str) -> None:
            if packet is None or packet.status >= 200:
                self.endpoint.remove_dialog(dialog)

        self.request(dialog, "BYE", on_answer, format_reason(cause))

    def request(
        self,
        dialog: Dialog,
        method: str,
        handler: Handler,
        headers: str = "",
        body: bytes = b"",
        content_type: str = "application/sdp",
    ) -> Transaction:
        """Send a request of this leg; a challenge is answered and the request sent again (at most twice)."""
        nonce_counts: dict[str, int] = {}

        def on_event(tx: Transaction, packet: Packet | None, failure: str) -> None:
            if packet is not None and packet.status in (401, 407) and len(nonce_counts) < 2:
                proof = self.endpoint.answer(packet, method, dialog.target, self.credentials, nonce_counts)
                if proof:
                    self.endpoint.request(dialog, method, on_event, headers + proof, body, content_type, leg=self.id)
                    return
            handler(tx, packet, failure)

        return self.endpoint.request(dialog, method, on_event, headers, body, content_type, leg=self.id)

    def break_off(self, by: By, cause: int, reason: str) -> None:
        """BYE a confirmed dialog on our own account (a lost peer, an expired session) and announce the end."""
        if self.phase != CLOSED:
            self.end(by, cause=cause, reason=reason)
            self.send_bye(cause)

    def hangup(self, command: Hangup) -> None:
        """End a confirmed leg; unanswered ones do it their own way."""
        self.end("local", cause=command.cause, reason=command.reason)
        self.send_bye(command.cause)

    def get_dialog_key(self) -> DialogKey:
        """The dialog others know this leg by."""
        return self.dialog.key

    @property
    def may_update(self) -> bool:
        """UPDATE can be sent."""
        return "UPDATE" in self.allows and not self.never_update

    def note_session_id(self, packet: Packet, dialog: Dialog) -> None:
        """Name both ends in what we send: our UUID and the one of the peer, if it told one."""
        if self.session_id:
            match = _SESSION_ID.match(packet.header("Session-ID"))
            remote = match[1].lower() if match else "0" * 32
            dialog.session_line = f"Session-ID: {self.session_id};remote={remote}\r\n"

    # --- requests inside the dialog -----------------------------------------------------------------------------

    def on_request(self, tx: Transaction, packet: Packet, dialog: Dialog) -> None:
        """Route one request of the peer inside the dialog."""
        tx.leg = self.id
        tx.session_line = dialog.session_line
        method = packet.method
        if 0 <= packet.cseq < dialog.remote_cseq:
            self.endpoint.respond(tx, 500, "CSeq Out Of Order")
            return
        dialog.remote_cseq = packet.cseq
        if self.endpoint.settings.symmetric or packet.flow.transport != "udp":
            dialog.flow = packet.flow
        if method == "BYE":
            self._on_bye(tx, packet, dialog)
        elif self.phase == CLOSED or (dialog is not self.dialog and self.phase != EARLY):
            self.endpoint.respond(tx, 481)
        else:
            handle = _HANDLERS.get(method)
            if handle is None:
                self.endpoint.respond(tx, 405, headers=ALLOW_LINE)
            else:
                handle(self, tx, packet, dialog)

    def _on_bye(self, tx: Transaction, packet: Packet, dialog: Dialog) -> None:
        self.endpoint.respond(tx, 200)
        reasons = packet.headers.getlist("reason")
        self.on_bye(dialog, read_cause(reasons), read_reason_text(reasons))

    def on_bye(self, dialog: Dialog, cause: int, reason: str) -> None:
        self.endpoint.remove_dialog(dialog)
        self.end("remote", cause=cause, reason=reason)

    def send_info(self, content_type: str, body: bytes) -> None:
        """INFO on a confirmed leg; nobody waits for its answer."""
        if self.is_confirmed:
            self.request(self.dialog, "INFO", ignore, "", body, clean(content_type))

    def assume_ack(self) -> None:
        """A request that can only follow the ACK arrived before it."""

    def on_prack(self, tx: Transaction, packet: Packet) -> None:
        self.endpoint.respond(tx, 481)

    def on_ack(self, packet: Packet, dialog: Dialog) -> None:
        self.modification.on_ack(packet)

    def on_options(self, tx: Transaction) -> None:
        self.endpoint.respond(tx, 200, headers=describe_self())

    def on_message(self, tx: Transaction, packet: Packet) -> None:
        """The request URI is our Contact; who it is for stands in To."""
        to = _find_user(packet.header("To"))
        take_message(self.endpoint, tx, packet, self.origin, to, self.id)

    def on_confirmed(self) -> None:
        """The dialog is confirmed: what waited for it may start."""
        self.phase = CONFIRMED
        self.session.start()
        self.modification.resume()

    # --- timers of components go through the leg, so that one object owns them -------------------------------------

    def on_timer(self, name: str) -> None:
        if name.startswith("session"):
            self.session.on_timer(name)
        elif name.startswith("modify"):
            self.modification.on_timer(name)
        elif name.startswith("refer"):
            self.referrals.on_timer(name)

    # --- taking back after a restart ------------------------------------------------------------------------------

    def to_state(self) -> dict[str, Any]:
        """Plain data of a confirmed leg."""
        return {
            "leg": self.id,
            "dialog": self.dialog.to_state(),
            "owns_call_id": self.owns_call_id,
            "allows": sorted(self.allows),
            "never_update": self.never_update,
            "local_sdp": self.local_sdp,
            "remote_sdp": self.remote_sdp,
            "origin": [self.origin.kind, self.origin.name] if self.origin else None,
            "session": self.session.to_state(),
        }


_HANDLERS: dict[str, Callable[[Leg, Transaction, Packet, Dialog], None]] = {
    "INVITE": lambda leg, tx, packet, dialog: leg.modification.on_invite(tx, packet, dialog),
    "UPDATE": lambda leg, tx, packet, dialog: leg.modification.on_update(tx, packet, dialog),
    "PRACK": lambda leg, tx, packet, dialog: leg.on_prack(tx, packet),
    "INFO": lambda leg, tx, packet, dialog: receive_info(leg, tx, packet),
    "REFER": lambda leg, tx, packet, dialog: leg.referrals.on_refer(tx, packet),
    "NOTIFY": lambda leg, tx, packet, dialog: leg.referrals.on_notify(tx, packet),
    "OPTIONS": lambda leg, tx, packet, dialog: leg.on_options(tx),
    "MESSAGE": lambda leg, tx, packet, dialog: leg.on_message(tx, packet),
}


@lru_cache(maxsize=256)
def parse_allow(value: str) -> frozenset[str]:
    """Methods of an Allow header; there are as many different ones as kinds of phones."""
    return frozenset(item.strip().upper() for item in value.split(","))


def ignore(tx: Transaction, packet: Packet | None, failure: str) -> None:
    """For requests whose outcome changes nothing: CANCEL, PRACK, INFO."""


def _find_user(address: str) -> str:
    try:
        return get_user(parse_uri(parse_name_addr(address).uri))
    except (PeerFault, ValueError):
        # A scheme we do not speak.
        return ""


def describe_self() -> str:
    """Allow, Accept, Supported: what an OPTIONS response says (RFC 3261 section 11.2)."""
    return (
        f"{ALLOW_LINE}Accept: application/sdp, application/dtmf-relay, message/sipfrag\r\n"
        f"Accept-Encoding: identity\r\nAccept-Language: en, zh\r\nSupported: {', '.join(SUPPORTED)}\r\n"
        "Allow-Events: dialog, message-summary, presence, refer\r\n"
    )
