"""REFER and its NOTIFYs inside a call's dialog, in both directions (RFC 3515, RFC 3891, RFC 3892, RFC 4488)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from .bodies import get_content_type
from .events import Refer, ReferProgress
from .transactions import Transaction
from .wire import Packet, PeerFault, get_user, parse_name_addr, parse_params, parse_uri, split_list, split_uri_headers
from .writer import clean, get_reason

if TYPE_CHECKING:
    from .leg import Leg

_SIPFRAG = re.compile(rb"SIP/2\.0 (\d{3})\b", re.IGNORECASE)
LIFETIME = 180.0
"""Seconds after which a transfer that is not heard of any more has failed."""


class ReplacesKey:
    """The dialog a Replaces header names."""

    __slots__ = ("call_id", "early_only", "from_tag", "to_tag")

    def __init__(self, value: str) -> None:
        """Raises ``PeerFault`` (400) for a header without its three parts (RFC 3891 section 6.1)."""
        call_id, semi, params = value.partition(";")
        parsed = parse_params(semi + params)
        self.call_id = call_id.strip()
        self.to_tag = parsed.get("to-tag", "")
        self.from_tag = parsed.get("from-tag", "")
        self.early_only = "early-only" in parsed
        if not self.call_id or not self.to_tag or not self.from_tag:
            raise PeerFault(400, "Bad Replaces")


def read_refer_to(packet: Packet) -> tuple[str, str, str]:
    """(URI without headers, its user part, Replaces value) of Refer-To. Raises ``PeerFault``."""
    values = split_list(packet.headers.getlist("refer-to"))
    if len(values) != 1:
        raise PeerFault(400, "Missing Refer-To" if not values else "Repeated Refer-To")
    uri, headers = split_uri_headers(parse_name_addr(values[0]).uri)
    try:
        user = get_user(parse_uri(uri))
    except ValueError:
        raise PeerFault(416, "Unsupported URI Scheme") from None
    replaces = ""
    for pair in headers.split("&") if headers else ():
        name, _, value = pair.partition("=")
        if name.lower() == "replaces":
            replaces = unquote(value)
    return uri, user, replaces


class Referral:
    """One REFER: of ours (waiting for NOTIFY) or of the peer (told by NOTIFY)."""

    __slots__ = ("accepted", "cseq", "quiet", "tx")

    def __init__(self, cseq: int, tx: Transaction | None = None) -> None:
        self.tx = tx
        self.cseq = cseq
        self.accepted = False
        self.quiet = False
        """The peer wants no NOTIFY (Refer-Sub: false)."""


class Referrals:
    """The transfers of one leg; at most one each way at a time."""

    __slots__ = ("_incoming", "_leg", "_outgoing")

    def __init__(self, leg: Leg) -> None:
        self._leg = leg
        self._incoming: Referral | None = None
        self._outgoing: Referral | None = None

    # --- the peer refers us -------------------------------------------------------------------------------------

    def on_refer(self, tx: Transaction, packet: Packet) -> None:
        leg, endpoint = self._leg, self._leg.endpoint
        try:
            target, user, replaces_value = read_refer_to(packet)
            replaces = self._match_replaces(replaces_value)
        except PeerFault as fault:
            endpoint.respond(tx, fault.status, fault.reason)
            return
        if not leg.is_confirmed:
            endpoint.respond(tx, 403, "Not Answered Yet")
            return
        if self._incoming is not None:
            endpoint.respond(tx, 491)
            return
        self._incoming = Referral(packet.cseq, tx)
        self._incoming.quiet = packet.header("Refer-Sub").strip().lower().startswith("false")
        referred_by = packet.header("Referred-By")
        endpoint.emit(Refer(leg=leg.id, target=target, target_user=user, replaces=replaces, referred_by=referred_by))

    def _match_replaces(self, value: str) -> str:
        """Leg the target's Replaces names. Unknown here: the transfer is to somebody else's call, or too late."""
        if not value:
            return ""
        key = ReplacesKey(value)
        # Seen from the phone that refers: its local tag is our remote tag.
        found = self._leg.endpoint.find_leg(key.call_id, key.to_tag, key.from_tag) or self._leg.endpoint.find_leg(
            key.call_id, key.from_tag, key.to_tag
        )
        if found is None:
            raise PeerFault(481, "No Such Call To Replace")
        return found.id

    def answer(self, status: int) -> None:
        """Command ``AnswerRefer``; a 2xx is followed by the first NOTIFY at once (RFC 3515 section 2.4.4)."""
        referral = self._incoming
        if referral is None or referral.tx is None or referral.accepted:
            return
        endpoint = self._leg.endpoint
        headers = endpoint.get_contact_line(self._leg.dialog.flow)
        if referral.quiet:
            headers += "Refer-Sub: false\r\n"
        endpoint.respond(referral.tx, status, headers=headers)
        if status >= 300:
            self._incoming = None
            return
        referral.accepted = True
        self.notify(100)

    def notify(self, status: int) -> None:
        """Command ``NotifyRefer``: what the new call's progress is."""
        referral = self._incoming
        if referral is None or not referral.accepted:
            return
        final = status >= 200
        if final:
            self._incoming = None
        if referral.quiet:
            return
        state = "terminated;reason=noresource" if final else f"active;expires={int(LIFETIME)}"
        endpoint = self._leg.endpoint
        headers = (
            f"{endpoint.get_contact_line(self._leg.dialog.flow)}Event: refer;id={referral.cseq}\r\n"
            f"Subscription-State: {state}\r\n"
        )
        body = f"SIP/2.0 {status} {get_reason(status)}\r\n".encode()
        self._leg.request(
            self._leg.dialog, "NOTIFY", self._on_notify_answer, headers, body, "message/sipfrag;version=2.0"
        )

    def _on_notify_answer(self, tx: Transaction, packet: Packet | None, failure: str) -> None:
        if packet is not None and packet.status == 481:
            self._incoming = None

    # --- we refer the peer --------------------------------------------------------------------------------------

    def send(self, target: str, referred_by: str) -> None:
        """Command ``SendRefer``."""
        leg, endpoint = self._leg, self._leg.endpoint
        if self._outgoing is not None or not leg.is_confirmed:
            self._report(491, True)
            return
        referred = f"Referred-By: {clean(referred_by)}\r\n" if referred_by else ""
        headers = f"{endpoint.get_contact_line(leg.dialog.flow)}Refer-To: <{clean(target)}>\r\n{referred}"
        sent = Referral(leg.dialog.local_cseq + 1)
        self._outgoing = sent

        def on_answer(tx: Transaction, packet: Packet | None, failure: str) -> None:
            if self._outgoing is sent and not leg.is_over:
                self._on_refer_answer(packet, failure)

        leg.request(leg.dialog, "REFER", on_answer, headers)
        endpoint.transactions.set_timer(leg, "refer", LIFETIME)

    def _on_refer_answer(self, packet: Packet | None, failure: str) -> None:
        if packet is None:
            self._finish(408 if failure == "timeout" else 503)
        elif packet.status >= 300:
            self._finish(packet.status)

    def on_notify(self, tx: Transaction, packet: Packet) -> None:
        """NOTIFY of a transfer we asked for; it may overtake the 202."""
        event = packet.header("Event").partition(";")[0].strip().lower()
        if self._outgoing is None or event != "refer":
            self._leg.endpoint.respond(tx, 481 if event == "refer" else 489)
            return
        if get_content_type(packet) != "message/sipfrag":
            self._leg.endpoint.respond(tx, 415, headers="Accept: message/sipfrag\r\n")
            return
        match = _SIPFRAG.match(packet.body)
        if match is None:
            self._leg.endpoint.respond(tx, 400, "Bad sipfrag")
            return
        self._leg.endpoint.respond(tx, 200)
        status = int(match[1])
        over = packet.header("Subscription-State").lower().startswith("terminated")
        if status >= 200 or over:
            # Ended without a final status: nobody knows how it went.
            self._finish(status if status >= 200 else 408)
        else:
            self._report(status, False)

    def _finish(self, status: int) -> None:
        self._outgoing = None
        self._leg.endpoint.transactions.stop_timer(self._leg, "refer")
        self._report(status, True)

    def _report(self, status: int, final: bool) -> None:
        self._leg.endpoint.emit(ReferProgress(leg=self._leg.id, status=status, final=final))

    # --- both ---------------------------------------------------------------------------------------------------

    def on_timer(self, name: str) -> None:
        if self._outgoing is not None:
            self._finish(408)

    def close(self) -> None:
        """The leg is over."""
        if self._incoming is not None and self._incoming.tx is not None and not self._incoming.accepted:
            self._leg.endpoint.respond(self._incoming.tx, 481)
        self._incoming = None
        if self._outgoing is not None:
            self._outgoing = None
            self._leg.endpoint.transactions.stop_timer(self._leg, "refer")
