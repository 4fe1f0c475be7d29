"""HTTP requests of flows: bounded in time and size, retried when asked, cut off per host while a host is failing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import httpx

from pbx.app.outputs import Fetch
from pbx.config.services import Fetching
from pbx.ivr.messages import Fetched

Failure = Literal["", "timeout", "refused", "open_circuit", "too_large", "bad_json", "error"]
TRY_AGAIN = frozenset({502, 503, 504})
FIRST_PAUSE = 0.2
"""Seconds before the first retry; doubles with each."""
MAX_DEPTH = 60
"""Nesting of a JSON answer."""


class Circuit:
    """Whether a host may be asked: closed, open after failures in a row, half open with one trial after a pause."""

    __slots__ = ("_failures", "_limit", "_pause", "_since", "_trial")

    def __init__(self, limit: int, pause: float) -> None:
        self._limit = limit
        self._pause = pause
        self._failures = 0
        self._since = 0.0
        self._trial = False

    def allows(self, now: float) -> bool:
        """True when a request may go out; in the half-open state only for one at a time."""
        if self._failures < self._limit:
            return True
        if self._trial or now < self._since + self._pause:
            return False
        self._trial = True
        return True

    def note(self, ok: bool, now: float) -> None:
        """How a request that was allowed went."""
        self._trial = False
        if ok:
            self._failures = 0
        else:
            self._failures += 1
            self._since = now


class HttpFetcher:
    """Carries out :class:`Fetch`; never raises, whatever the other side does."""

    def __init__(
        self,
        fetching: Fetching,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._fetching = fetching
        self._clock = clock
        self._sleep = sleep
        self._room = asyncio.Semaphore(fetching.max_concurrent)
        self._circuits: dict[str, Circuit] = {}
        limits = httpx.Limits(max_connections=fetching.max_concurrent, max_keepalive_connections=20)
        self._client = httpx.AsyncClient(
            transport=transport, limits=limits, follow_redirects=False, trust_env=False, timeout=None
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def fetch(self, request: Fetch, *, configured: bool = False) -> Fetched:
        """The answer, or how it failed. ``configured``: the address is an administrator's, not to be looked up."""
        key = request.key[1]
        host = self._host(request.url, configured)
        if host is None:
            return Fetched(key, failure="refused")
        circuit = self._circuits.setdefault(host, Circuit(self._fetching.failures, self._fetching.pause))
        answer = Fetched(key, failure="error")
        for attempt in range(request.retries + 1):
            if attempt:
                await self._sleep(FIRST_PAUSE * 2 ** (attempt - 1))
            if not circuit.allows(self._clock()):
                return Fetched(key, failure="open_circuit")
            answer = await self._try(request)
            ok = not answer.failure and answer.status < 500
            circuit.note(ok or answer.failure in ("too_large", "bad_json"), self._clock())
            if not (answer.failure in ("timeout", "error") or answer.status in TRY_AGAIN):
                break
        return answer

    def _host(self, url: str, configured: bool) -> str | None:
        """Scheme, host and port of an address that may be asked."""
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL:
            return None
        if parsed.scheme not in ("http", "https") or not parsed.host:
            return None
        if self._fetching.hosts and not configured and parsed.host not in self._fetching.hosts:
            return None
        return f"{parsed.scheme}://{parsed.host}:{parsed.port or ''}"

    async def _try(self, request: Fetch) -> Fetched:
        key = request.key[1]
        try:
            async with asyncio.timeout(request.timeout), self._room:
                return await self._ask(request)
        except TimeoutError:
            return Fetched(key, failure="timeout")
        except httpx.TimeoutException:
            return Fetched(key, failure="timeout")
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ValueError, OSError, UnicodeError):
            return Fetched(key, failure="error")

    async def _ask(self, request: Fetch) -> Fetched:
        key = request.key[1]
        body = None if request.body is None else json.dumps(request.body, ensure_ascii=False).encode()
        headers = {"accept": "application/json", **request.headers, "accept-encoding": "identity"}
        if body is not None:
            headers.setdefault("content-type", "application/json")
        params = request.query or None
        async with self._client.stream(
            request.method, request.url, params=params, headers=headers, content=body
        ) as response:
            if response.headers.get("content-encoding", "identity") != "identity":
                return Fetched(key, response.status_code, failure="error")  # not asked for; could unfold to anything
            received = bytearray()
            async for chunk in response.aiter_bytes():
                received += chunk
                if len(received) > request.max_bytes:
                    return Fetched(key, response.status_code, failure="too_large")
        return _decode(key, response, bytes(received))


def _decode(key: str, response: httpx.Response, received: bytes) -> Fetched:
    is_json = "json" in response.headers.get("content-type", "").lower()
    if not received.strip():
        return Fetched(key, response.status_code)
    try:
        value: Any = json.loads(received)
        if _depth(value) <= MAX_DEPTH:
            return Fetched(key, response.status_code, value)
    except (ValueError, RecursionError):
        if not is_json:
            return Fetched(key, response.status_code, received.decode("utf-8", "replace"))
    return Fetched(key, response.status_code, failure="bad_json")


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level and depth <= MAX_DEPTH:
        depth += 1
        level = [
            item
            for holder in level
            if isinstance(holder, dict | list)
            for item in (holder.values() if isinstance(holder, dict) else holder)
        ]
    return depth
