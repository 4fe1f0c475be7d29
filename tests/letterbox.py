"""A mail server on a free port of the loopback that keeps what it is given (aiosmtpd)."""

from __future__ import annotations

import asyncio
import contextlib
import email
from collections.abc import AsyncIterator
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP


class Letterbox:
    """What came, and what is answered: the replies in turn, then always 250."""

    def __init__(self, *replies: str) -> None:
        self.mails: list[EmailMessage] = []
        self.tries = 0
        self.port = 0
        self._replies = list(replies)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.tries += 1
        if self._replies:
            return self._replies.pop(0)
        mail = email.message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"


@contextlib.asynccontextmanager
async def open_letterbox(*replies: str) -> AsyncIterator[Letterbox]:
    box = Letterbox(*replies)
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(box, hostname="mail"), "127.0.0.1", 0)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
        await server.wait_closed()
