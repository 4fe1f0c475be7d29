"""Telling others of events by HTTP: one POST per event, in order, signed, tried again, dropped when nobody answers.

Each webhook has a worker and a bounded queue of its own, so that a slow one delays no other and holds no memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping

import httpx
import structlog

from pbx.config.base import SecretSource
from pbx.config.services import Webhook
from pbx.events.line import Line

ALARMS = frozenset(
    {
        "AgentOverstayed",
        "ConfigurationRefused",
        "DiskStateChanged",
        "GatewayStateChanged",
        "MediaLost",
        "QueueAlarm",
        "RecordingFailed",
        "SecurityAlert",
        "TrunkStateChanged",
    }
)
"""What a webhook without `events` is told of."""
MAX_WAITING = 10_000
"""Events that wait for one webhook; beyond, the oldest are dropped."""
ATTEMPTS = 6
SIGNATURE = "X-Tandem-Signature"

log = structlog.get_logger()


class Webhooks:
    """``publish`` never blocks; ``configure`` may be called at any time."""

    def __init__(
        self,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._sleep = sleep
        self._client = httpx.AsyncClient(transport=transport, follow_redirects=False)
        self._workers: dict[str, _Worker] = {}

    def configure(self, webhooks: Mapping[str, Webhook], reveal: Callable[[SecretSource], str]) -> None:
        """Serve these from now on; what waits for those that stay is kept."""
        for name in [name for name in self._workers if name not in webhooks]:
            self._workers.pop(name).task.cancel()
        for name, hook in webhooks.items():
            secret = reveal(hook.secret).encode() if hook.secret is not None else b""
            if name not in self._workers:
                self._workers[name] = _Worker(self._client, self._sleep)
            self._workers[name].configure(hook, secret)

    def publish(self, lines: Iterable[Line]) -> None:
        """Tell whoever wants to know."""
        if self._workers:
            for line in lines:
                for worker in self._workers.values():
                    worker.offer(line)

    async def close(self) -> None:
        """Give up what waits."""
        tasks = [worker.task for worker in self._workers.values()]
        self._workers.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()


class _Worker:
    """Delivers to one webhook, one event after the other."""

    hook: Webhook

    def __init__(self, client: httpx.AsyncClient, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._client = client
        self._sleep = sleep
        self._secret = b""
        self._wanted: frozenset[str] = frozenset()
        self._waiting: deque[Line] = deque()
        self._dropped = 0
        self._filled = asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(self._run())

    def configure(self, hook: Webhook, secret: bytes) -> None:
        self.hook, self._secret = hook, secret
        self._wanted = frozenset(hook.events) or ALARMS

    def offer(self, line: Line) -> None:
        if line.type not in self._wanted:
            return
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append(line)
        self._filled.set()

    async def _run(self) -> None:
        while True:
            await self._filled.wait()
            while self._waiting:
                await self._deliver(self._waiting.popleft())
            self._filled.clear()

    async def _deliver(self, line: Line) -> None:
        reason = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                await self._sleep(min(60.0, 2.0**attempt))
            reason = await self._post(line)
            if not reason:
                self._tell_dropped()
                return
        log.error("webhook.failed", webhook=self.hook.name, event_type=line.type, seq=line.seq, reason=reason)

    async def _post(self, line: Line) -> str:
        """Empty, or why it did not work."""
        body = line.json.encode()
        headers = {"content-type": "application/json"}
        if self._secret:
            headers[SIGNATURE] = "sha256=" + hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        with contextlib.suppress(httpx.HTTPError):
            async with self._client.stream(
                "POST", str(self.hook.url), content=body, headers=headers, timeout=self.hook.timeout
            ) as response:
                return "" if response.status_code < 300 else f"status {response.status_code}"
        return "no answer"

    def _tell_dropped(self) -> None:
        if self._dropped:
            log.error("webhook.dropped", webhook=self.hook.name, events=self._dropped)
            self._dropped = 0
