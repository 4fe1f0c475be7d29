"""Subscriptions of peers to state we publish: dialog (busy lamps), message-summary, presence (RFC 6665).

The switch answers ``Subscribed`` with ``SendNotify`` at once and again at each change; refreshes come as
``Subscribed`` with the same id. Expiry and unsubscription end in ``Unsubscribed`` after which the switch sends
nothing more; the last NOTIFY (terminated) is sent here.

A subscriber has one NOTIFY at a time: what changes before it is answered goes out with the answer, as the state is
by then. So a slow phone sees fewer states and never an old one after a new one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .bindings import reroute
from .commands import Flow, SendNotify
from .dialog import Dialog, make_uas_dialog
from .endpoint import Endpoint
from .events import Origin, Subscribed, Unsubscribed
from .transactions import Transaction
from .wire import Packet, PeerFault, get_user
from .writer import clean

PACKAGES = {
    "dialog": "application/dialog-info+xml",
    "message-summary": "application/simple-message-summary",
    "presence": "application/pidf+xml",
}
"""Event packages and the body each is told in."""
EVENTS_LINE = f"Allow-Events: {', '.join(PACKAGES)}\r\n"
DEFAULT_EXPIRES = 3600
MAX_EXPIRES = 7200
MIN_EXPIRES = 30
MAX_SUBSCRIPTIONS = 50_000
CSEQ_GAP = 100_000
"""NOTIFYs that may have been sent after the last export; their numbers must not be used again."""

Admission = Callable[[Origin, str, str], int]
"""(who, event package, user part asked about): 0, or the status the SUBSCRIBE is refused with."""


class Subscription:
    """One subscription dialog."""

    __slots__ = (
        "_owner",
        "accept",
        "body",
        "content_type",
        "dialog",
        "event",
        "event_id",
        "expires_at",
        "id",
        "origin",
        "is_busy",
        "target",
        "uri",
        "waiting",
    )

    def __init__(self, owner: Subscriptions, subscription: str, dialog: Dialog, origin: Origin) -> None:
        self._owner = owner
        self.id = subscription
        self.dialog = dialog
        self.origin = origin
        self.event = ""
        self.event_id = ""
        self.target = ""
        self.uri = ""
        """What was subscribed to, as the subscriber calls it."""
        self.accept: tuple[str, ...] = ()
        self.is_busy = False
        """A NOTIFY of ours is not answered yet."""
        self.waiting = ""
        """Subscription-State that is to follow it; empty: nothing."""
        self.expires_at = 0.0
        self.content_type = ""
        self.body = b""

    def read(self, packet: Packet) -> None:
        """Take what the SUBSCRIBE that began it says."""
        event, _, params = packet.header("Event").partition(";")
        self.event = event.strip().lower()
        for part in params.split(";"):
            name, _, value = part.partition("=")
            if name.strip().lower() == "id":
                self.event_id = value.strip()
        uri = packet.request.uri
        self.target = get_user(uri)
        port = f":{uri.port}" if uri.port else ""
        self.uri = f"{uri.scheme}:{uri.user or ''}{'@' if uri.user else ''}{uri.host}{port}"
        self.accept = tuple(packet.tokens("accept"))

    def to_state(self) -> dict[str, Any]:
        """Plain data, for a journal; ``expires_at`` is monotonic seconds."""
        return {
            "subscription": self.id,
            "dialog": self.dialog.to_state(),
            "origin": [self.origin.kind, self.origin.name],
            **{name: getattr(self, name) for name in ("event", "event_id", "target", "uri", "expires_at")},
        }

    def on_request(self, tx: Transaction, packet: Packet, dialog: Dialog) -> None:
        self._owner.on_request(self, tx, packet)

    def on_ack(self, packet: Packet, dialog: Dialog) -> None:
        """No INVITE was ever sent in this dialog; a stray ACK changes nothing."""

    def on_timer(self, name: str) -> None:
        self._owner.end(self, "timeout")


class Subscriptions:
    """All subscriptions, by id."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._by_id: dict[str, Subscription] = {}
        self.admit: Admission = lambda origin, event, target: 0

    def __len__(self) -> int:
        return len(self._by_id)

    def check(self, tx: Transaction, packet: Packet, origin: Origin) -> bool:
        """Whether a new SUBSCRIBE is one we could serve; refused here if not (RFC 6665 section 4.2.1)."""
        endpoint = self._endpoint
        event = packet.header("Event").partition(";")[0].strip().lower()
        if event not in PACKAGES:
            endpoint.respond(tx, 489, headers=EVENTS_LINE)
            return False
        accept = packet.tokens("accept")
        if accept and not any(item.partition(";")[0] in (PACKAGES[event], "*/*", "application/*") for item in accept):
            endpoint.respond(tx, 406, headers=f"Accept: {PACKAGES[event]}\r\n")
            return False
        if 0 < self._read_expires(packet) < MIN_EXPIRES:
            endpoint.respond(tx, 423, headers=f"Min-Expires: {MIN_EXPIRES}\r\n")
            return False
        if len(self._by_id) >= MAX_SUBSCRIPTIONS:
            endpoint.respond(tx, 503, headers=f"Retry-After: {endpoint.settings.retry_after}\r\n")
            return False
        refusal = self.admit(origin, event, get_user(packet.request.uri))
        if refusal:
            endpoint.respond(tx, refusal)
        return not refusal

    def start(self, tx: Transaction, packet: Packet, origin: Origin) -> None:
        """Accept a new subscription; with Expires 0 it is a single look (RFC 6665 section 4.4.3)."""
        endpoint = self._endpoint
        try:
            dialog = make_uas_dialog(packet, endpoint.ids.token(), packet.flow)
        except PeerFault as fault:
            endpoint.respond(tx, fault.status, fault.reason)
            return
        subscription = Subscription(self, endpoint.ids.token("sub-"), dialog, origin)
        subscription.read(packet)
        self._by_id[subscription.id] = subscription
        endpoint.add_dialog(dialog, subscription)
        self._accept(subscription, tx, packet)

    def on_request(self, subscription: Subscription, tx: Transaction, packet: Packet) -> None:
        """A request inside the subscription's dialog."""
        endpoint, dialog = self._endpoint, subscription.dialog
        if packet.method != "SUBSCRIBE":
            endpoint.respond(tx, 405, headers="Allow: SUBSCRIBE\r\n")
            return
        if packet.cseq < dialog.remote_cseq:
            endpoint.respond(tx, 500, "CSeq Out Of Order")
            return
        dialog.remote_cseq = packet.cseq
        if subscription.id not in self._by_id:
            endpoint.respond(tx, 481)
            return
        dialog.refresh_target(packet)
        dialog.flow = packet.flow
        self._accept(subscription, tx, packet)

    def _accept(self, subscription: Subscription, tx: Transaction, packet: Packet) -> None:
        endpoint = self._endpoint
        expires = min(self._read_expires(packet), MAX_EXPIRES)
        headers = f"Expires: {expires}\r\n{endpoint.get_contact_line(subscription.dialog.flow)}" + "".join(
            f"Record-Route: {value}\r\n" for value in packet.headers.getlist("record-route")
        )
        endpoint.respond(tx, 200, to_tag=subscription.dialog.local_tag, headers=headers)
        subscription.expires_at = endpoint.now + expires
        if expires:
            endpoint.transactions.set_timer(subscription, "subscription", expires)
        else:
            # The switch still says the state once, as the final NOTIFY; give it this turn.
            endpoint.transactions.set_timer(subscription, "subscription", 1.0)
        endpoint.emit(
            Subscribed(
                subscription=subscription.id,
                origin=subscription.origin,
                event=subscription.event,
                target=subscription.target,
                uri=subscription.uri,
                expires=float(expires),
                accept=subscription.accept,
            )
        )

    def notify(self, command: SendNotify) -> None:
        """Command ``SendNotify``; unknown subscriptions are ignored."""
        subscription = self._by_id.get(command.subscription)
        if subscription is None:
            return
        subscription.content_type = command.content_type or PACKAGES[subscription.event]
        subscription.body = command.body
        left = subscription.expires_at - self._endpoint.now
        if command.state == "terminated":
            self.end(subscription, command.reason or "noresource", announce=False)
        elif left <= 0:
            self.end(subscription, "timeout")
        else:
            self._send(subscription, f"{clean(command.state)};expires={int(left)}")

    def _send(self, subscription: Subscription, state: str) -> None:
        if subscription.is_busy:
            subscription.waiting = state
            return
        endpoint = self._endpoint
        event = subscription.event + (f";id={subscription.event_id}" if subscription.event_id else "")
        headers = (
            f"Event: {event}\r\nSubscription-State: {state}\r\n{endpoint.get_contact_line(subscription.dialog.flow)}"
        )

        def on_answer(tx: Transaction, packet: Packet | None, failure: str) -> None:
            subscription.is_busy = False
            waiting, subscription.waiting = subscription.waiting, ""
            if packet is None or packet.status in (404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604):
                # RFC 6665 section 4.2.2 and RFC 5057: the subscription is gone at the other end.
                self.drop(subscription)
            elif waiting:
                self._send(subscription, waiting)

        subscription.is_busy = True
        endpoint.request(
            subscription.dialog, "NOTIFY", on_answer, headers, subscription.body, subscription.content_type
        )

    def end(self, subscription: Subscription, reason: str, announce: bool = True) -> None:
        """Send the last NOTIFY and forget the subscription."""
        if subscription.id in self._by_id:
            self._forget(subscription)
            self._send(subscription, f"terminated;reason={clean(reason)}")
            if announce:
                self._endpoint.emit(Unsubscribed(subscription=subscription.id))

    def export(self, name: str) -> dict[str, Any] | None:
        subscription = self._by_id.get(name)
        return subscription.to_state() if subscription is not None else None

    def restore(self, state: dict[str, Any]) -> bool:
        """Take a subscription back after a restart, unless it has expired or its subscriber cannot be reached: a phone
        behind a connection that died with the old process subscribes anew when its refresh is answered 481."""
        endpoint = self._endpoint
        dialog = Dialog.from_state(state["dialog"])
        flow: Flow | None = reroute(dialog.flow, dialog.target, 0)
        left = float(state["expires_at"]) - endpoint.now
        if flow is None or left <= 0 or state["event"] not in PACKAGES:
            return False
        dialog.flow = flow
        dialog.local_cseq += CSEQ_GAP
        subscription = Subscription(self, state["subscription"], dialog, Origin(*state["origin"]))
        for name in ("event", "event_id", "target", "uri", "expires_at"):
            setattr(subscription, name, state[name])
        self._by_id[subscription.id] = subscription
        endpoint.add_dialog(dialog, subscription)
        endpoint.transactions.set_timer(subscription, "subscription", left)
        return True

    def drop(self, subscription: Subscription) -> None:
        """Forget the subscription without a word to the peer."""
        if subscription.id in self._by_id:
            self._forget(subscription)
            self._endpoint.emit(Unsubscribed(subscription=subscription.id))

    def _forget(self, subscription: Subscription) -> None:
        del self._by_id[subscription.id]
        self._endpoint.transactions.stop_timer(subscription, "subscription")
        self._endpoint.remove_dialog(subscription.dialog)

    def _read_expires(self, packet: Packet) -> int:
        value = packet.headers.get("expires")
        return int(value) if value is not None else DEFAULT_EXPIRES
