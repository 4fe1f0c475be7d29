"""Checks tokens and passwords without holding up the event loop, and slows down those who guess."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from pbx.cti.actor import Actor

TRUST_S = 5.0
"""How long a token that was found good is not looked up again: the time a revoked one may still be used."""
MAX_FAILURES = 20
WINDOW_S = 60.0
"""So many failures from one address in so long, and it is not listened to until they are past."""
MAX_ADDRESSES = 10_000
MAX_CHECKING = 4
"""Passwords checked at a time: each takes 50 ms of a core and 64 MiB."""


class TooManyFailures(Exception):
    """The address has guessed too often; nothing was checked."""


class CredentialStore(Protocol):
    """What ``pbx.storage.users.Users`` does; blocking."""

    def check_token(self, token: str, wall: float) -> Actor | None: ...

    def check_password(self, name: str, password: str) -> Actor | None: ...


class Gatekeeper:
    """Lives in the event loop. ``clock`` is monotonic, ``wall`` seconds since 1970."""

    def __init__(self, store: CredentialStore, *, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._wall = wall
        self._good: OrderedDict[str, tuple[float, Actor]] = OrderedDict()
        self._failures: OrderedDict[str, list[float]] = OrderedDict()
        self._checking = asyncio.Semaphore(MAX_CHECKING)

    async def check_token(self, token: str, address: str) -> Actor | None:
        """Whose token this is. Raises TooManyFailures or StorageUnavailable."""
        now = self._clock()
        known = self._good.get(token)
        if known is not None and known[0] > now - TRUST_S:
            return known[1]
        self._refuse_guessers(address, now)
        actor = await asyncio.to_thread(self._store.check_token, token, self._wall())
        if actor is None:
            self._good.pop(token, None)
            self._note_failure(address, now)
            return None
        self._good[token] = (now, actor)
        self._good.move_to_end(token)
        while len(self._good) > MAX_ADDRESSES:
            self._good.popitem(last=False)
        return actor

    async def check_password(self, name: str, password: str, address: str) -> Actor | None:
        """Who this is. Raises TooManyFailures or StorageUnavailable."""
        self._refuse_guessers(address, self._clock())
        async with self._checking:
            actor = await asyncio.to_thread(self._store.check_password, name, password)
        if actor is None:
            self._note_failure(address, self._clock())
        return actor

    def forget(self, token: str | None = None) -> None:
        """A token was revoked, or (None) users changed: look everything up again."""
        if token is None:
            self._good.clear()
        else:
            self._good.pop(token, None)

    def _refuse_guessers(self, address: str, now: float) -> None:
        failures = self._failures.get(address)
        if failures is not None:
            failures[:] = [at for at in failures if at > now - WINDOW_S]
            if len(failures) >= MAX_FAILURES:
                raise TooManyFailures("too many failed attempts from this address; wait a minute")

    def _note_failure(self, address: str, now: float) -> None:
        self._failures.setdefault(address, []).append(now)
        self._failures.move_to_end(address)
        while len(self._failures) > MAX_ADDRESSES:
            self._failures.popitem(last=False)
