"""What flows ask of the world outside: web services, business databases, SMS and e-mail. Answers go back as inputs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from smtplib import SMTPException
from typing import Any

import httpx

from pbx.adapters.http_fetcher import HttpFetcher
from pbx.adapters.mail import MailRefused, send_mail, write_mail
from pbx.adapters.recognition import Recognition
from pbx.adapters.sql_sources import SqlSources
from pbx.app.outputs import Fetch, Notify, Query, Recognise
from pbx.config.base import SecretSource
from pbx.config.services import Fetching, Notices, Smtp, Source
from pbx.config.speech import SpeechRecogniser
from pbx.ivr.messages import Fetched, QueryResult, Recognised

Answer = Callable[[str, Fetched | QueryResult | Recognised], None]
"""Takes the call's id and the flow's input."""
Tell = Callable[[str, str, dict[str, Any]], None]
"""Takes level, text and details of a line for the log."""
MAX_WAITING_NOTICES = 1000


class FlowServices:
    """Give :meth:`handle` to the runtime; every request ends in one answer, unless it is a notice."""

    def __init__(
        self,
        fetching: Fetching,
        sources: Mapping[str, Source],
        notices: Notices,
        recognisers: Mapping[str, SpeechRecogniser],
        *,
        answer: Answer,
        tell: Tell,
        reveal: Callable[[SecretSource], str],
        clock: Callable[[], float],
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._fetcher = HttpFetcher(fetching, clock=clock, sleep=sleep, transport=transport)
        self._sql = SqlSources(sources, reveal, clock=clock)
        self._recognition = Recognition(recognisers, reveal)
        self._notices = notices
        self._answer = answer
        self._tell = tell
        self._reveal = reveal
        self._sleep = sleep
        self._wall = wall
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting_notices = 0

    def configure(self, notices: Notices, reveal: Callable[[SecretSource], str]) -> None:
        """Notices go this way from now on."""
        self._notices, self._reveal = notices, reveal

    def handle(self, request: Fetch | Query | Recognise | Notify) -> None:
        """Begin; returns at once."""
        if isinstance(request, Fetch):
            self._start(self._fetch(request))
        elif isinstance(request, Query):
            self._start(self._query(request))
        elif isinstance(request, Recognise):
            self._start(self._recognise(request))
        elif self._waiting_notices >= MAX_WAITING_NOTICES:
            self._tell("error", "a notice is dropped, too many are waiting", {"kind": request.kind})
        else:
            self._waiting_notices += 1
            self._start(self._notify(request))

    async def close(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._fetcher.close()
        await self._sql.close()
        await self._recognition.close()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fetch(self, request: Fetch) -> None:
        answer = await self._fetcher.fetch(request)
        if answer.failure:
            place = "<secret>" if request.secret else request.url
            details = {"failure": answer.failure, "status": answer.status, "url": place, "call": request.key[0]}
            self._tell("warning", "a web service failed a flow", details)
        self._answer(request.key[0], answer)

    async def _query(self, request: Query) -> None:
        answer = await self._sql.query(request)
        if answer.failure:
            details = {"failure": answer.failure, "source": request.source, "call": request.key[0]}
            self._tell("warning", "a database failed a flow", details)
        self._answer(request.key[0], answer)

    async def _recognise(self, request: Recognise) -> None:
        answer = await self._recognition.recognise(request)
        if answer.failure:
            details = {"failure": answer.failure, "language": request.language, "call": request.key[0]}
            self._tell("warning", "a recogniser failed a flow", details)
        self._answer(request.key[0], answer)

    async def _notify(self, notice: Notify) -> None:
        try:
            if notice.kind == "email" and self._notices.smtp is not None:
                await self._mail(self._notices.smtp, notice)
                return
            service = self._notices.sms if notice.kind == "sms" else self._notices.email
            if service is None:
                self._tell("error", f"no service for {notice.kind} is configured", {})
                return
            body = {"to": notice.to, "text": notice.text, "from": service.sender}
            if notice.kind == "email":
                body["subject"] = notice.subject
            headers = {} if service.token is None else {"authorization": f"Bearer {self._reveal(service.token)}"}
            url, timeout = str(service.url), self._notices.timeout
            request = Fetch(("", "notice"), url, "POST", headers, {}, body, timeout, 0, 65_536, True)
            for attempt in range(self._notices.attempts):
                if attempt:
                    await self._sleep(min(300.0, 2.0**attempt))
                answer = await self._fetcher.fetch(request, configured=True)
                if not answer.failure and answer.status < 300:
                    return
            details = {"kind": notice.kind, "failure": answer.failure, "status": answer.status}
            self._tell("error", "a notice could not be sent", details)
        finally:
            self._waiting_notices -= 1

    async def _mail(self, smtp: Smtp, notice: Notify) -> None:
        password = "" if smtp.password is None else self._reveal(smtp.password)
        attachment = Path(notice.attachment) if notice.attachment else None
        reason = ""
        for attempt in range(self._notices.attempts):
            if attempt:
                await self._sleep(min(300.0, 2.0**attempt))
            try:
                mail = write_mail(smtp.sender, notice.to, notice.subject, notice.text, attachment, self._wall())
                await asyncio.to_thread(send_mail, smtp, password, mail, self._notices.timeout)
                return
            except FileNotFoundError:
                # Listened to and deleted before the mail got through: there is nothing to tell any more.
                return
            except (MailRefused, ValueError) as error:
                reason = str(error)
                break
            except (OSError, SMTPException) as error:
                reason = (
                    f"{type(error).__name__}: {getattr(error, 'strerror', None) or getattr(error, 'smtp_code', '')}"
                )
        self._tell("error", "an e-mail could not be sent", {"reason": reason, "server": smtp.host})
