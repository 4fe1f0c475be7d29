"""An agent's desktop: events in, commands out, over the CTI websocket."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect


class CommandFailed(Exception):
    """The server refused a command."""


class Desktop:
    """``async with Desktop(url, token, on_event)``."""

    def __init__(self, url: str, token: str, on_event: Callable[[dict[str, Any]], None]) -> None:
        self._url = url
        self._token = token
        self._on_event = on_event
        self._answers: dict[str, asyncio.Future[Any]] = {}
        self._changed = asyncio.Condition()
        self.events: list[dict[str, Any]] = []
        self._socket: ClientConnection
        self._reader: asyncio.Task[None]

    async def __aenter__(self) -> Desktop:
        self._socket = await connect(self._url, additional_headers={"Authorization": f"Bearer {self._token}"})
        self._reader = asyncio.get_running_loop().create_task(self._read())
        await self.ask("Subscribe", {"all": True})
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._socket.close()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self) -> None:
        async for text in self._socket:
            message = json.loads(text)
            if "id" in message and message["id"] in self._answers:
                self._answers.pop(message["id"]).set_result(message)
            elif message.get("method") == "event":
                self._on_event(message["params"])
                async with self._changed:
                    self.events.append(message["params"])
                    self._changed.notify_all()

    async def ask(self, method: str, params: dict[str, Any]) -> Any:
        """Give a command and wait for its result. Raises CommandFailed."""
        number = str(uuid.uuid4())
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))
        async with asyncio.timeout(10):
            message = await answer
        if "error" in message:
            raise CommandFailed(f"{method}: {message['error']['message']}")
        return message.get("result")

    async def wait(self, kind: str, *, seconds: float = 20.0, **fields: Any) -> dict[str, Any]:
        """The first event of this type with these fields. Raises TimeoutError."""

        def find() -> dict[str, Any] | None:
            for seen in self.events:
                event = seen["event"]
                if event["type"] == kind and all(event.get(key) == value for key, value in fields.items()):
                    return seen
            return None

        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: find() is not None)
        found = find()
        assert found is not None
        return found

    async def wait_for(self, right: Callable[[list[dict[str, Any]]], bool], *, seconds: float = 60.0) -> None:
        """Until the events so far are ``right``. Raises TimeoutError."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: right(self.events))
