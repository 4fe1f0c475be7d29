"""Phones that watch phones, agents, parking slots and mailboxes: lamps, presence, message waiting.

Facts name what may have changed; once an input is worked off, whoever watches it is told, if what he would be told
is not what he was told last. Subscriptions are written down, so that lamps go on after a restart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from pbx.app.lamps.lamps import Lamps, Told
from pbx.app.outputs import Checkpoint
from pbx.app.voicemail.destination import find_box
from pbx.events import catalogue as facts
from pbx.sip.commands import SendNotify
from pbx.sip.dialog_info import WatchedDialog, write_dialog_info
from pbx.sip.events import Origin, Subscribed, Unsubscribed
from pbx.sip.message_summary import write_message_summary
from pbx.sip.pidf import Presence, write_pidf

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange

MAX_PER_WATCHER = 500
"""Subscriptions of one extension."""
KEY = "@watch-"
"""Begins the names of subscriptions among what is written down."""
VERSION_GAP = 100_000
"""Versions that may have been told after the last writing."""
BATCH, BATCH_S = 50, 0.1
"""After a restart every watcher is told anew, so many at a time."""
_TIMER = ("@watchers", "watchers", "")


class Watch(msgspec.Struct, kw_only=True):
    """One subscription."""

    subscription: str
    watcher: str
    """Extension that subscribed."""
    event: str
    target: str
    uri: str
    version: int = 0
    """Of the next dialog-info document."""
    told: Told | None = None
    subjects: tuple[str, ...] = ()
    """What the state depends on: ``extension:1001``, ``agent:8001``, ``park:701``."""


class KeptWatch(msgspec.Struct, kw_only=True):
    """A subscription as it is written down."""

    expires_at: float
    """Wall clock."""
    version: int
    dialog: dict[str, Any]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(KeptWatch).decode


class Watchers:
    def __init__(self, ex: Exchange) -> None:
        self._ex = ex
        self._lamps = Lamps(ex)
        self._watches: dict[str, Watch] = {}
        self._counts: dict[str, int] = {}
        """Subscriptions by watcher."""
        self._index: dict[str, dict[str, None]] = {}
        """Subscriptions by subject."""
        self._changed: dict[str, None] = {}
        self._stale: deque[str] = deque()
        """Taken back after a restart and not told anything yet."""

    def __len__(self) -> int:
        return len(self._watches)

    # --- who may ----------------------------------------------------------------------------------------------

    def admit(self, origin: Origin, event: str, target: str) -> int:
        """Implements ``pbx.sip.usage_subscribe.Admission``: 0, or the status of the refusal."""
        if origin.kind != "extension":
            # What happens inside is nothing a carrier should see.
            return 403
        if self._counts.get(origin.name, 0) >= MAX_PER_WATCHER:
            return 403
        return self._judge(origin.name, event, target)

    def _judge(self, watcher: str, event: str, target: str) -> int:
        configuration = self._ex.settings.configuration
        extension = configuration.extensions.get(target)
        if event == "message-summary":
            box = find_box(configuration, target)
            if box is None:
                return 404
            return 0 if watcher in box.phones else 403
        known = extension is not None or target in configuration.agents
        if event == "dialog":
            known = known or target in configuration.routes.parking.slots
        return 0 if known else 404

    # --- subscriptions come and go ----------------------------------------------------------------------------

    def subscribed(self, event: Subscribed) -> None:
        """New, or refreshed: either way it is told the state at once (RFC 6665 section 4.2.1.2)."""
        watch = self._watches.get(event.subscription)
        if watch is None:
            watch = Watch(
                subscription=event.subscription,
                watcher=event.origin.name,
                event=event.event,
                target=event.target,
                uri=event.uri,
            )
            self._add(watch)
        self._tell(watch, always=True)
        if event.subscription in self._watches and event.expires:
            self._write(watch)

    def unsubscribed(self, event: Unsubscribed) -> None:
        self._remove(event.subscription)

    def _add(self, watch: Watch) -> None:
        self._watches[watch.subscription] = watch
        self._counts[watch.watcher] = self._counts.get(watch.watcher, 0) + 1

    def _remove(self, subscription: str) -> None:
        watch = self._watches.pop(subscription, None)
        if watch is None:
            return
        self._follow(watch, ())
        self._counts[watch.watcher] -= 1
        if not self._counts[watch.watcher]:
            del self._counts[watch.watcher]
        self._ex.out.append(Checkpoint(KEY + subscription, b""))

    def _follow(self, watch: Watch, subjects: tuple[str, ...]) -> None:
        if subjects == watch.subjects:
            return
        for subject in watch.subjects:
            watching = self._index[subject]
            del watching[watch.subscription]
            if not watching:
                del self._index[subject]
        for subject in subjects:
            self._index.setdefault(subject, {})[watch.subscription] = None
        watch.subjects = subjects

    def configured(self) -> None:
        """After a reload: what is not there any more cannot be watched; the rest may look different."""
        for watch in list(self._watches.values()):
            refusal = self._judge(watch.watcher, watch.event, watch.target)
            if watch.watcher not in self._ex.settings.configuration.extensions:
                refusal = 403
            if refusal:
                reason = "noresource" if refusal == 404 else "rejected"
                self._ex.sip(SendNotify(subscription=watch.subscription, state="terminated", reason=reason))
                self._remove(watch.subscription)
            else:
                self._tell(watch)

    # --- changes ----------------------------------------------------------------------------------------------

    def note(self, fact: facts.AnyEvent) -> None:
        """Hears every fact."""
        if not self._index:
            return
        if isinstance(fact, facts.AgentEvent):
            self.changed(f"agent:{fact.agent}")
            return
        device: str = getattr(fact, "device", "")
        if device:
            self.changed(device)

    def changed(self, subject: str) -> None:
        """What ``subject`` shows may be different now."""
        if subject in self._index:
            self._changed[subject] = None

    def settle(self) -> None:
        """Tell what changed; called when an input is worked off."""
        while self._changed:
            names = [name for subject in self._changed for name in self._index.get(subject, ())]
            self._changed = {}
            for name in dict.fromkeys(names):
                watch = self._watches.get(name)
                if watch is not None:
                    self._tell(watch)

    def _tell(self, watch: Watch, always: bool = False) -> None:
        host = watch.uri.rpartition("@")[2].removeprefix("sip:")
        told, subjects = self._lamps.see(watch.event, watch.target, host)
        self._follow(watch, subjects)
        if told == watch.told and not always:
            return
        body = self._write_body(watch, told)
        watch.told = told
        self._ex.sip(SendNotify(subscription=watch.subscription, body=body))

    def _write_body(self, watch: Watch, told: Told) -> bytes:
        if isinstance(told, Presence):
            return write_pidf(watch.uri, told)
        if isinstance(told, tuple):
            # A dialog that is over is told once more as such: many phones wait for that word to put the lamp out.
            before = watch.told if isinstance(watch.told, tuple) else ()
            names = {dialog.id for dialog in told}
            over = [WatchedDialog(id=dialog.id, state="terminated") for dialog in before if dialog.id not in names]
            version, watch.version = watch.version, watch.version + 1
            return write_dialog_info(watch.uri, version, (*told, *over))
        return write_message_summary(watch.uri, told.new, told.old, told.urgent_new, told.urgent_old)

    # --- over a restart ---------------------------------------------------------------------------------------

    def _write(self, watch: Watch) -> None:
        ex = self._ex
        dialog = ex.stack.export_subscription(watch.subscription)
        if dialog is not None:
            kept = KeptWatch(expires_at=ex.epoch + dialog["expires_at"], version=watch.version, dialog=dialog)
            ex.out.append(Checkpoint(KEY + watch.subscription, _encode(kept)))

    def take_over(self, kept: Mapping[str, bytes]) -> None:
        """Take back what a process before us wrote, ``kept`` by name; every watcher is told the state of now."""
        ex = self._ex
        for name, state in kept.items():
            if name.startswith(KEY) and not self._take_back(state):
                ex.out.append(Checkpoint(name, b""))
        if self._stale:
            ex.timers.set(_TIMER, ex.now + BATCH_S)

    def _take_back(self, state: bytes) -> bool:
        ex = self._ex
        try:
            entry = _decode(state)
            dialog = {**entry.dialog, "expires_at": entry.expires_at - ex.epoch}
            watch = Watch(
                subscription=dialog["subscription"],
                watcher=dialog["origin"][1],
                event=dialog["event"],
                target=dialog["target"],
                uri=dialog["uri"],
                version=entry.version + VERSION_GAP,
            )
            if self._judge(watch.watcher, watch.event, watch.target):
                return False
            if not ex.stack.import_subscription(dialog, ex.now):
                return False
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
            ex.note("error", "a kept subscription cannot be read", error=str(error))
            return False
        self._add(watch)
        self._stale.append(watch.subscription)
        return True

    def due(self) -> None:
        """The next of those that were taken back."""
        for _ in range(min(BATCH, len(self._stale))):
            watch = self._watches.get(self._stale.popleft())
            if watch is not None:
                self._tell(watch, always=True)
                self._write(watch)
        if self._stale:
            self._ex.timers.set(_TIMER, self._ex.now + BATCH_S)
