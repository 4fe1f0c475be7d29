"""Requests of peers: sanity checks (RFC 3261 section 8.2), who it is from, and which usage it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .bodies import has_foreign_body
from .dialog import make_uas_dialog
from .endpoint import ALLOW_LINE, KNOWN_EXTENSIONS, Endpoint
from .events import IncomingCall, Origin
from .leg import describe_self
from .policy import Authenticated, Authenticator, Challenge, Challenged, Policy, Refuse, Registrar, Trusted
from .restore import restore_leg
from .transactions import Transaction
from .usage_message import take_message
from .usage_refer import ReplacesKey
from .usage_subscribe import Subscriptions
from .usage_uas import IncomingLeg
from .values import escape_breakout
from .wire import NameAddr, Packet, PeerFault, get_user, parse_name_addr, parse_uri, split_list
from .writer import format_headers

NEEDS_DIALOG = frozenset(("BYE", "PRACK", "UPDATE", "INFO", "NOTIFY"))


class Incoming:
    """Dispatch of requests that start a server transaction."""

    def __init__(
        self,
        endpoint: Endpoint,
        subscriptions: Subscriptions,
        policy: Policy,
        authenticator: Authenticator | None,
        registrar: Registrar | None,
    ) -> None:
        self.policy = policy
        self.draining = False
        self._endpoint = endpoint
        self._subscriptions = subscriptions
        self._authenticator = authenticator
        self._registrar = registrar
        self._seen: dict[tuple[str, str, int, str], Transaction] = {}
        """New requests by Call-ID, From tag and CSeq, to find those that came by two ways (section 8.2.2.2)."""
        self._methods: dict[str, Callable[[Transaction, Packet], None]] = {
            "INVITE": self._on_invite,
            "OPTIONS": self._on_options,
            "REGISTER": self._on_register,
            "SUBSCRIBE": self._on_subscribe,
            "MESSAGE": self._on_message,
            "REFER": self._on_refer,
        }

    # --- routing ------------------------------------------------------------------------------------------------

    def cancel(self, tx: Transaction, packet: Packet) -> None:
        """CANCEL (section 9.2)."""
        endpoint = self._endpoint
        invite = endpoint.transactions.find_server(packet, "INVITE")
        if invite is None:
            endpoint.respond(tx, 481)
            return
        endpoint.respond(tx, 200)
        if not invite.is_done and invite.handler is not None:
            invite.handler(invite, packet, "cancel")

    def route_in_dialog(self, tx: Transaction, packet: Packet) -> None:
        """A request with a To tag."""
        entry = self._endpoint.dialogs.get((packet.call_id, packet.to_tag, packet.from_tag))
        if entry is None:
            self._endpoint.respond(tx, 481)
        elif self._check_extensions(tx, packet):
            entry[1].on_request(tx, packet, entry[0])

    def route_new(self, tx: Transaction, packet: Packet) -> None:
        """A request without a To tag."""
        endpoint, method = self._endpoint, packet.method
        handle = self._methods.get(method)
        if handle is None:
            if method in NEEDS_DIALOG:
                endpoint.respond(tx, 481)
            else:
                endpoint.respond(tx, 405 if method == "PUBLISH" else 501, headers=ALLOW_LINE)
            return
        if self._is_merged(tx, packet):
            endpoint.respond(tx, 482)
        elif self._check_extensions(tx, packet):
            handle(tx, packet)

    def _is_merged(self, tx: Transaction, packet: Packet) -> bool:
        key = (packet.call_id, packet.from_tag, packet.cseq, packet.method)
        servers = self._endpoint.transactions.servers
        other = self._seen.get(key)
        if other is not None and other is not tx and servers.get(other.key) is other:
            return True
        self._seen[key] = tx
        if len(self._seen) > 2 * len(servers) + 256:
            self._seen = {key: tx for key, tx in self._seen.items() if servers.get(tx.key) is tx}
        return False

    def _check_extensions(self, tx: Transaction, packet: Packet) -> bool:
        """Require (section 8.2.2.3)."""
        if packet.headers.get("require") is None:
            return True
        unknown = [token for token in packet.tokens("require") if token not in KNOWN_EXTENSIONS]
        if unknown:
            self._endpoint.respond(tx, 420, headers=f"Unsupported: {', '.join(unknown)}\r\n")
        return not unknown

    # --- who it is ----------------------------------------------------------------------------------------------

    def _identify(self, tx: Transaction, packet: Packet) -> Origin | None:
        """The proven origin; None: the request has been answered or is to be left alone."""
        endpoint = self._endpoint
        verdict = self.policy.identify(packet.request, packet.flow)
        if isinstance(verdict, Trusted):
            return verdict.origin
        if isinstance(verdict, Refuse):
            if verdict.status:
                endpoint.respond(tx, verdict.status, verdict.reason)
            else:
                endpoint.transactions.forget(tx)
            return None
        assert isinstance(verdict, Challenge)
        if self._authenticator is None:
            endpoint.respond(tx, 403)
            return None
        result = self._authenticator.authenticate(packet.request, verdict.realm, packet.flow, endpoint.now)
        if isinstance(result, Authenticated):
            return result.origin
        if isinstance(result, Challenged):
            endpoint.respond(tx, result.status, headers=format_headers(result.headers))
            return None
        for output in result.outputs:
            endpoint.emit(output)
        endpoint.respond(tx, result.status, result.reason, headers=format_headers(result.headers))
        return None

    # --- methods ------------------------------------------------------------------------------------------------

    def _on_invite(self, tx: Transaction, packet: Packet) -> None:
        endpoint = self._endpoint
        settings = endpoint.settings
        if self.draining or len(endpoint.legs) >= settings.max_legs:
            endpoint.respond(tx, 503, headers=f"Retry-After: {settings.retry_after}\r\n")
            return
        if packet.header("Max-Forwards") in ("0", "00", "000"):
            # We would send the call on (section 16.3 point 3).
            endpoint.respond(tx, 483)
            return
        if has_foreign_body(packet):
            endpoint.respond(tx, 415, headers="Accept: application/sdp\r\nAccept-Encoding: identity\r\n")
            return
        if not _accepts_sdp(packet):
            endpoint.respond(tx, 406, headers="Accept: application/sdp\r\n")
            return
        origin = self._identify(tx, packet)
        if origin is None:
            return
        endpoint.respond(tx, 100)
        try:
            replaces = self._match_replaces(packet)
            dialog = make_uas_dialog(packet, endpoint.ids.token(), packet.flow)
        except PeerFault as fault:
            endpoint.respond(tx, fault.status, fault.reason)
            return
        leg = IncomingLeg(endpoint, endpoint.ids.token("leg-"), dialog, tx, packet)
        leg.origin = origin
        if leg.session.is_too_small(packet):
            leg.refuse_silently(422, f"Min-SE: {settings.min_se}\r\n")
            return
        expires = packet.header("Expires")
        if expires:
            endpoint.transactions.set_timer(leg, "invite expired", max(1.0, float(expires)))
        caller = self._read_caller(packet, origin)
        endpoint.emit(
            IncomingCall(
                leg=leg.id,
                origin=origin,
                flow=packet.flow,
                request=packet.request,
                called=get_user(packet.request.uri),
                caller=_user_of(caller.uri),
                caller_name=caller.name,
                sdp=leg.remote_sdp,
                replaces=replaces,
                referred_by=packet.header("Referred-By"),
                max_forwards=int(packet.header("Max-Forwards") or 70),
            )
        )

    def _match_replaces(self, packet: Packet) -> str:
        """The leg a Replaces header names (RFC 3891 section 3). Raises ``PeerFault``."""
        values = packet.headers.getlist("replaces")
        if not values:
            return ""
        if len(values) > 1:
            raise PeerFault(400, "Repeated Replaces")
        key = ReplacesKey(values[0])
        leg = self._endpoint.find_leg(key.call_id, key.to_tag, key.from_tag)
        if leg is None:
            raise PeerFault(481, "No Such Call To Replace")
        if leg.is_confirmed and key.early_only:
            raise PeerFault(486, "Already Answered")
        if not leg.is_confirmed and not leg.owns_call_id:
            # An early dialog may be replaced only by who was called, that is where we are the caller.
            raise PeerFault(481, "Not Replaceable")
        return leg.id

    def _read_caller(self, packet: Packet, origin: Origin) -> NameAddr:
        """P-Asserted-Identity of a trusted peer, else From (RFC 3325 section 9.1)."""
        if origin.kind == "trunk":
            for value in packet.headers.getlist("p-asserted-identity"):
                try:
                    return parse_name_addr(split_list([value])[0])
                except (PeerFault, IndexError):
                    continue
        return parse_name_addr(packet.headers["from"])

    def _on_options(self, tx: Transaction, packet: Packet) -> None:
        endpoint = self._endpoint
        verdict = self.policy.identify(packet.request, packet.flow)
        if isinstance(verdict, Refuse) and not verdict.status:
            endpoint.transactions.forget(tx)
        elif isinstance(verdict, Refuse):
            endpoint.respond(tx, verdict.status, verdict.reason)
        elif self.draining:
            endpoint.respond(tx, 503, headers=f"Retry-After: {endpoint.settings.retry_after}\r\n")
        else:
            endpoint.respond(tx, 200, headers=endpoint.get_contact_line(packet.flow) + describe_self())

    def _on_register(self, tx: Transaction, packet: Packet) -> None:
        endpoint = self._endpoint
        if self._registrar is None:
            endpoint.respond(tx, 405, headers=ALLOW_LINE)
            return
        origin = self._identify(tx, packet)
        if origin is None:
            return
        try:
            reply, outputs = self._registrar.register(packet.request, origin, packet.flow, endpoint.now)
        except ValueError:
            # A header of the peer that cannot be read, found late: To and Contact with schemes nobody knows.
            endpoint.respond(tx, 400)
            return
        endpoint.respond(tx, reply.status, reply.reason, headers=format_headers(reply.headers))
        for output in outputs:
            endpoint.emit(output)

    def _on_subscribe(self, tx: Transaction, packet: Packet) -> None:
        origin = self._identify(tx, packet)
        if origin is not None and self._subscriptions.check(tx, packet, origin):
            self._subscriptions.start(tx, packet, origin)

    def _on_message(self, tx: Transaction, packet: Packet) -> None:
        origin = self._identify(tx, packet)
        if origin is not None:
            take_message(self._endpoint, tx, packet, origin, get_user(packet.request.uri))

    def _on_refer(self, tx: Transaction, packet: Packet) -> None:
        """Transfers are asked for inside a call: a REFER from nowhere would dial for free."""
        self._endpoint.respond(tx, 403, "Refer Inside A Call")

    def restore(self, state: dict[str, Any]) -> None:
        restore_leg(self._endpoint, state)


def _accepts_sdp(packet: Packet) -> bool:
    """Whether the caller would take a session description in the answer (RFC 4475 section 3.3.15)."""
    values = packet.tokens("accept")
    kinds = {value.partition(";")[0] for value in values}
    return not values or not kinds.isdisjoint(("application/sdp", "application/*", "*/*"))


def _user_of(uri: str) -> str:
    try:
        return get_user(parse_uri(uri))
    except ValueError:
        # A scheme we do not speak in From is legal (RFC 4475 section 3.1.1.8): show what stands before the host.
        return escape_breakout(uri.partition(":")[2].partition("@")[0])
