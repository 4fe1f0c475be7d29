"""All mailboxes: who may in, what is kept, and for how long.

Every method takes the wall clock and returns what has to be done for it. Nothing here reads a file: audio is made,
moved and removed by the shell, which tells :meth:`Mailboxes.made` what came of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec.structs import replace

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
        self._access: dict[str, Access] = {}
        self._trying: Counter[str] = Counter()
        """PINs that are being checked; they count as wrong until they are known to be right."""
        self._greetings: dict[str, str] = {}
        """Greetings whose audio is being made: mailbox to path."""

    # --- configuration and restart ----------------------------------------------------------------------------

    def configure(self, rules: Mapping[str, Rules]) -> None:
        """These mailboxes there are from now on; messages of others are kept, and come back with their mailbox."""
        self._rules = dict(rules)

    def restore(self, messages: Iterable[VoiceMessage], accesses: Iterable[Access]) -> list[AnyOutput]:
        """At start: what was kept. Audio that was not in its place yet is made again."""
        self._messages = {message.id: message for message in messages}
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
        kept = sum(message.mailbox == mailbox and message.state != "deleted" for message in self._messages.values())
        return kept >= self._rules[mailbox].max_messages

    def messages(self, mailbox: str) -> list[VoiceMessage]:
        """What can be listened to, the newest first; deleted ones are not among them."""
        found = [m for m in self._messages.values() if m.mailbox == mailbox and m.ready and m.state != "deleted"]
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
        for message in self._messages.values():
            if message.mailbox != mailbox or not message.ready or message.state == "deleted":
                continue
            if message.state == "new":
                new, urgent_new = new + 1, urgent_new + message.urgent
            else:
                old, urgent_old = old + 1, urgent_old + message.urgent
        return Counts(new=new, old=old, urgent_new=urgent_new, urgent_old=urgent_old)

    # --- messages ---------------------------------------------------------------------------------------------

    def deposit(self, message: VoiceMessage, *, recorded: bool) -> list[AnyOutput]:
        """A message was left. ``recorded``: its recording is complete; otherwise :meth:`recorded` tells so later."""
        self._messages[message.id] = message
        out: list[AnyOutput] = [KeepMessage(message)]
        return out + (self.recorded(message.id) if recorded else [])

    def recorded(self, message_id: str) -> list[AnyOutput]:
        """The recording of a message is complete."""
        message = self._messages.get(message_id)
        return [MakeAudio(message.id, message.sources, message.path)] if message is not None else []

    def lost(self, message_id: str) -> list[AnyOutput]:
        """Nothing of a message's recording was kept."""
        message = self._messages.pop(message_id, None)
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
        self._messages[key] = message
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
        self._messages[message_id] = changed
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
        tries = 0 if access.locked_until and access.locked_until <= wall else access.wrong
        if access.locked_until > wall or tries + self._trying[mailbox] >= rules.max_wrong_pins:
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
        if before.locked_until and before.locked_until <= wall:
            before = replace(before, wrong=0, locked_until=0.0)
        if fits:
            after = replace(before, wrong=0, locked_until=0.0)
        else:
            wrong = before.wrong + 1
            after = replace(
                before, wrong=wrong, locked_until=wall + rules.lock_s if wrong >= rules.max_wrong_pins else 0.0
            )
        return [self._keep(after)] if after != self._read(mailbox) else []

    # --- time -------------------------------------------------------------------------------------------------

    def next_due(self) -> float | None:
        """When :meth:`expire` has something to do."""
        return min((due for m in self._messages.values() if (due := self._ends(m)) is not None), default=None)

    def expire(self, wall: float) -> list[AnyOutput]:
        """Messages whose time is over, deleted or kept, go for good."""
        out: list[AnyOutput] = []
        touched: dict[str, None] = {}
        for message in list(self._messages.values()):
            due = self._ends(message)
            if due is None or due > wall:
                continue
            del self._messages[message.id]
            out.append(DropMessage(message))
            if message.state != "deleted":
                out.append(Expired(message))
                touched[message.mailbox] = None
        return out + [self._waiting(mailbox) for mailbox in touched]

    def _ends(self, message: VoiceMessage) -> float | None:
        if message.state == "deleted":
            return message.deleted_at + UNDELETE_S
        rules = self._rules.get(message.mailbox)
        if rules is None or not rules.retention_s or not message.ready:
            return None
        return message.at + rules.retention_s

    # --- inside -----------------------------------------------------------------------------------------------

    def _read(self, mailbox: str) -> Access:
        return self._access.get(mailbox) or Access(mailbox=mailbox)

    def _keep(self, access: Access) -> KeepAccess:
        self._access[access.mailbox] = access
        return KeepAccess(access)

    def _waiting(self, mailbox: str) -> Waiting:
        return Waiting(mailbox, self.counts(mailbox))
