"""Business databases that flows read: a small pool per source, read-only connections, a limit on time and rows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool

from pbx.app.outputs import Query
from pbx.config.base import SecretSource
from pbx.config.services import Source
from pbx.ivr.messages import QueryResult

MAX_TEXT = 4000
"""Characters of one value; longer texts are cut."""
STEPS_BETWEEN_LOOKS = 10_000
"""SQLite's virtual machine looks at the clock after so many steps."""


class SqlSources:
    """Carries out :class:`Query`; never raises for what a database does."""

    def __init__(
        self, sources: Mapping[str, Source], reveal: Callable[[SecretSource], str], *, clock: Callable[[], float]
    ) -> None:
        self._sources = dict(sources)
        self._clock = clock
        self._engines = {name: _open(source, reveal) for name, source in self._sources.items()}
        self._threads = {
            name: ThreadPoolExecutor(source.pool, thread_name_prefix=f"sql-{name}")
            for name, source in self._sources.items()
        }

    async def close(self) -> None:
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)
        for engine in self._engines.values():
            engine.dispose()

    async def query(self, request: Query) -> QueryResult:
        """The rows, or how it failed."""
        key = request.key[1]
        source = self._sources.get(request.source)
        if source is None:
            return QueryResult(key, failure="unknown_source")
        seconds = min(request.timeout, source.timeout)
        engine, threads = self._engines[request.source], self._threads[request.source]
        ends = self._clock() + seconds
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds + 0.5):
                rows = await loop.run_in_executor(threads, self._read, engine, request, ends)
        except TimeoutError:
            return QueryResult(key, failure="timeout")
        except SQLAlchemyError as error:
            late = self._clock() >= ends or "timeout" in str(error).lower() or "interrupted" in str(error).lower()
            return QueryResult(key, failure="timeout" if late else "error")
        return QueryResult(key, tuple(rows))

    def _read(self, engine: Engine, request: Query, ends: float) -> list[dict[str, Any]]:
        """Runs in a thread of the source's pool."""
        left = ends - self._clock()
        if left <= 0:
            raise SQLAlchemyError("timeout before a connection was free")
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                raw = connection.connection.driver_connection
                assert raw is not None
                raw.set_progress_handler(lambda: int(self._clock() >= ends), STEPS_BETWEEN_LOOKS)
            else:
                connection.execute(text(f"SET LOCAL statement_timeout = {int(left * 1000) + 1}"))
            result = connection.execute(text(request.statement), request.params)
            return [
                {name: _plain(value) for name, value in row.items()}
                for row in result.mappings().fetchmany(request.max_rows)
            ]


def _open(source: Source, reveal: Callable[[SecretSource], str]) -> Engine:
    if source.file is not None:
        url: URL | str = f"sqlite:///file:{quote(str(source.file))}?mode=ro&uri=true"
        engine = create_engine(
            url, poolclass=QueuePool, pool_size=source.pool, max_overflow=0, connect_args={"check_same_thread": False}
        )
        event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA query_only = ON"))
        return engine
    assert source.url is not None
    place = make_url(source.url).set(drivername="postgresql+psycopg")
    if source.password is not None:
        place = place.set(password=reveal(source.password))
    return create_engine(
        place,
        pool_size=source.pool,
        max_overflow=0,
        pool_pre_ping=True,
        pool_timeout=source.timeout,
        connect_args={"connect_timeout": 3, "options": "-c default_transaction_read_only=on"},
    )


def _plain(value: Any) -> Any:
    """A value a flow can work with: money as a number, times as ISO 8601."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()[:MAX_TEXT]
    if isinstance(value, str):
        return value[:MAX_TEXT]
    return value if isinstance(value, int | float | bool | type(None)) else str(value)[:MAX_TEXT]
