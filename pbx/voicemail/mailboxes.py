"""All mailboxes: who may in, what is kept, and for how long.

Every method takes the wall clock and returns what has to be done for it. Nothing here reads a file: audio is made,
moved and removed by the shell, which tells :meth:`Mailboxes.made` what came of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from msgspec.structs import replace

from pbx.core.timers import Timers
from pbx.voicemail.model import (
    Access,
    AnyOutput,
    Arrived,
    Change,
    Counts,
    DropMessage,
    Expired,
    KeepAccess,
    KeepMessage,
    MakeAudio,
    RemoveAudio,
    Rules,
    VoiceMessage,
    Waiting,
)

UNDELETE_S = 86400.0
"""So long a deleted message can be taken back."""
GREETING = "greeting:"
"""Begins the keys of audio that becomes a greeting."""
FORWARDED = "voicemail:"
"""Marks a source that is in the voicemail folder already."""
Entry = Literal["ask", "locked", "unknown"]


class Mailboxes:
    def __init__(self) -> None:
        self._rules: dict[str, Rules] = {}
        self._messages: dict[str, VoiceMessage] = {}
        self._held: dict[str, dict[str, None]] = {}
        """Messages by mailbox."""
        self._ends: Timers[str] = Timers()
        """When a message's time is over (wall clock)."""
        self._access: dict[str, Access] = {}
        self._trying: Counter[str] = Counter()
        """PINs that are being checked; they count as wrong until they are known to be right."""
        self._greetings: dict[str, str] = {}
        """Greetings whose audio is being made: mailbox to path."""

    # --- configuration and restart ----------------------------------------------------------------------------

    def configure(self, rules: Mapping[str, Rules]) -> None:
        """These mailboxes there are from now on; messages of others are kept, and come back with their mailbox."""
        self._rules = dict(rules)
        for message in self._messages.values():
            self._put(message)

    def restore(self, messages: Iterable[VoiceMessage], accesses: Iterable[Access]) -> list[AnyOutput]:
        """At start: what was kept. Audio that was not in its place yet is made again."""
        for message in messages:
            self._put(message)
        self._access = {access.mailbox: access for access in accesses}
        out: list[AnyOutput] = [
            MakeAudio(message.id, message.sources, message.path)
            for message in self._messages.values()
            if message.sources
        ]
        return out + [self._waiting(number) for number in self._rules if self.counts(number) != Counts()]

    # --- questions --------------------------------------------------------------------------------------------

    def exists(self, mailbox: str) -> bool:
        return mailbox in self._rules

    def is_full(self, mailbox: str) -> bool:
        """Whether no further message fits in."""
        kept = sum(message.state != "deleted" for message in self._list(mailbox))
        return kept >= self._rules[mailbox].max_messages

    def messages(self, mailbox: str) -> list[VoiceMessage]:
        """What can be listened to, the newest first; deleted ones are not among them."""
        found = [message for message in self._list(mailbox) if message.ready and message.state != "deleted"]
        return sorted(found, key=lambda message: (-message.at, message.id))

    def find(self, mailbox: str, message: str) -> VoiceMessage | None:
        """A message of this mailbox, deleted or not."""
        found = self._messages.get(message)
        return found if found is not None and found.mailbox == mailbox and found.ready else None

    def greeting(self, mailbox: str) -> str:
        """Path of the greeting recorded by phone; empty: there is none."""
        return self._read(mailbox).greeting

    def pin_hash(self, mailbox: str) -> str:
        return self._read(mailbox).pin_hash

    def counts(self, mailbox: str) -> Counts:
        new = old = urgent_new = urgent_old = 0
        for message in self._list(mailbox):
            if not message.ready or message.state == "deleted":
                continue
            if message.state == "new":
                new, urgent_new = new + 1, urgent_new + message.urgent
            else:
                old, urgent_old = old + 1, urgent_old + message.urgent
        return Counts(new=new, old=old, urgent_new=urgent_new, urgent_old=urgent_old)

    # --- messages ---------------------------------------------------------------------------------------------

    def deposit(self, message: VoiceMessage, *, recorded: bool) -> list[AnyOutput]:
        """A message was left. ``recorded``: its recording is complete; otherwise :meth:`recorded` tells so later."""
        self._put(message)
        out: list[AnyOutput] = [KeepMessage(message)]
        return out + (self.recorded(message.id) if recorded else [])

    def recorded(self, message_id: str) -> list[AnyOutput]:
        """The recording of a message is complete."""
        message = self._messages.get(message_id)
        return [MakeAudio(message.id, message.sources, message.path)] if message is not None else []

    def lost(self, message_id: str) -> list[AnyOutput]:
        """Nothing of a message's recording was kept."""
        message = self._take_out(message_id)
        return [DropMessage(message)] if message is not None else []

    def made(self, key: str, seconds: float, *, failed: bool) -> list[AnyOutput]:
        """What came of :class:`MakeAudio`: so many seconds of audio, or nothing that could be read."""
        if key.startswith(GREETING):
            return self._made_greeting(key.removeprefix(GREETING), failed)
        message = self._messages.get(key)
        if message is None:
            return []
        if failed:
            return self.lost(key)
        message = replace(message, sources=(), ready=True, seconds=round(seconds, 1))
        self._put(message)
        return [KeepMessage(message), Arrived(message), self._waiting(message.mailbox)]

    def change(self, mailbox: str, message_id: str, change: Change, wall: float) -> list[AnyOutput]:
        """Something is done with a message; empty: there is no such message, or nothing changes."""
        message = self.find(mailbox, message_id)
        if message is None:
            return []
        if change == "restored":
            changed = replace(message, state=message.before) if message.state == "deleted" else message
        elif change == "deleted":
            deleted = replace(message, state="deleted", before=message.state, deleted_at=wall)
            changed = message if message.state == "deleted" else deleted
        elif change == "heard" and message.state != "new":
            changed = message
        else:
            changed = replace(message, state=change)
        if changed == message:
            return []
        self._put(changed)
        return [KeepMessage(changed), self._waiting(mailbox)]

    def forward(
        self, mailbox: str, message_id: str, to: str, new_id: str, path: str, introduction: str, wall: float
    ) -> tuple[Literal["", "unknown", "full"], list[AnyOutput]]:
        """A copy for ``to``, behind the recorded ``introduction`` where there is one; why not, and what to do."""
        message = self.find(mailbox, message_id)
        if message is None or to not in self._rules or to == mailbox:
            return "unknown", []
        if self.is_full(to):
            return "full", []
        sources = (*([introduction] if introduction else ()), FORWARDED + message.path)
        copy = VoiceMessage(
            id=new_id,
            mailbox=to,
            call=message.call,
            caller=message.caller,
            at=wall,
            seconds=message.seconds,
            path=path,
            sources=sources,
            urgent=message.urgent,
            forwarded_by=mailbox,
        )
        return "", self.deposit(copy, recorded=True)

    # --- the owner's choices ----------------------------------------------------------------------------------

    def set_greeting(self, mailbox: str, source: str, path: str) -> list[AnyOutput]:
        """This recording is the greeting from now on, at ``path``; without ``source`` the standard one is again."""
        if mailbox not in self._rules:
            return []
        if source:
            self._greetings[mailbox] = path
            return [MakeAudio(GREETING + mailbox, (source,), path)]
        return self._put_greeting(mailbox, "")

    def _made_greeting(self, mailbox: str, failed: bool) -> list[AnyOutput]:
        path = self._greetings.pop(mailbox, "")
        return self._put_greeting(mailbox, path) if path and not failed else []

    def _put_greeting(self, mailbox: str, path: str) -> list[AnyOutput]:
        before = self._read(mailbox)
        out: list[AnyOutput] = [RemoveAudio(before.greeting)] if before.greeting and before.greeting != path else []
        return [*out, self._keep(replace(before, greeting=path))]

    def set_pin(self, mailbox: str, pin_hash: str) -> list[AnyOutput]:
        """The mailbox opens with the PIN behind this hash from now on."""
        if mailbox not in self._rules:
            return []
        return [self._keep(replace(self._read(mailbox), pin_hash=pin_hash, wrong=0, locked_until=0.0))]

    # --- getting in -------------------------------------------------------------------------------------------

    def begin_try(self, mailbox: str, wall: float) -> Entry:
        """Somebody comes with a PIN: ``ask`` whether it fits and say so to :meth:`end_try`.

        PINs that are being checked count as wrong ones meanwhile, so that many calls at once get no more tries.
        """
        if mailbox not in self._rules:
            return "unknown"
        access, rules = self._read(mailbox), self._rules[mailbox]
        if access.is_locked(wall) or access.tries(wall) + self._trying[mailbox] >= rules.max_wrong_pins:
            return "locked"
        self._trying[mailbox] += 1
        return "ask"

    def end_try(self, mailbox: str, fits: bool, wall: float) -> list[AnyOutput]:
        """What came of a PIN."""
        self._trying[mailbox] -= 1
        if self._trying[mailbox] <= 0:
            del self._trying[mailbox]
        if mailbox not in self._rules:
            return []
        before, rules = self._read(mailbox), self._rules[mailbox]
        after = before.after(fits, wall, rules.max_wrong_pins, rules.lock_s)
        return [self._keep(after)] if after != before else []

    # --- time -------------------------------------------------------------------------------------------------

    def next_due(self) -> float | None:
        """When :meth:`expire` has something to do."""
        return self._ends.next()

    def expire(self, wall: float) -> list[AnyOutput]:
        """Messages whose time is over, deleted or kept, go for good."""
        out: list[AnyOutput] = []
        touched: dict[str, None] = {}
        while (name := self._ends.pop(wall)) is not None:
            message = self._take_out(name)
            assert message is not None
            out.append(DropMessage(message))
            if message.state != "deleted":
                out.append(Expired(message))
                touched[message.mailbox] = None
        return out + [self._waiting(mailbox) for mailbox in touched]

    def _end_of(self, message: VoiceMessage) -> float | None:
        if message.state == "deleted":
            return message.deleted_at + UNDELETE_S
        rules = self._rules.get(message.mailbox)
        if rules is None or not rules.retention_s or not message.ready:
            return None
        return message.at + rules.retention_s

    # --- inside -----------------------------------------------------------------------------------------------

    def _list(self, mailbox: str) -> Iterator[VoiceMessage]:
        return (self._messages[name] for name in self._held.get(mailbox, ()))

    def _put(self, message: VoiceMessage) -> None:
        self._messages[message.id] = message
        self._held.setdefault(message.mailbox, {})[message.id] = None
        end = self._end_of(message)
        if end is None:
            self._ends.cancel(message.id)
        else:
            self._ends.set(message.id, end)

    def _take_out(self, name: str) -> VoiceMessage | None:
        message = self._messages.pop(name, None)
        if message is not None:
            del self._held[message.mailbox][name]
            self._ends.cancel(name)
        return message

    def _read(self, mailbox: str) -> Access:
        return self._access.get(mailbox) or Access(mailbox=mailbox)

    def _keep(self, access: Access) -> KeepAccess:
        self._access[access.mailbox] = access
        return KeepAccess(access)

    def _waiting(self, mailbox: str) -> Waiting:
        return Waiting(mailbox, self.counts(mailbox))
