"""Connections to SQLite or PostgreSQL, the schema in its newest version, and the rule of one writer."""

from __future__ import annotations

import fcntl
import os
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

REVISION = "0004"
"""The newest migration; a test holds it to ``migrations/versions``."""

_WRITER_LOCK = 0x54414E44454D
"""Key of PostgreSQL's advisory lock: "TANDEM" in ASCII."""


class StorageUnavailable(Exception):
    """The database cannot be reached now; trying again later may help."""


class AlreadyWriting(Exception):
    """Another server writes this log."""


def open_engine(url: str, *, password: str = "", synchronous: str = "FULL") -> Engine:
    """Engine for ``sqlite:///path`` or ``postgresql://user@host/name``; connects to nothing yet.

    ``synchronous`` is SQLite's pragma: FULL survives a loss of power, NORMAL only the death of the process.
    Raises ValueError for any other kind of database.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise ValueError("the log needs a file: sqlite:///path")
        _make_private(Path(parsed.database))
        engine = create_engine(parsed, connect_args={"timeout": 5.0, "check_same_thread": False})
        _set_pragmas(engine, synchronous)
        return engine
    if parsed.get_backend_name() != "postgresql":
        raise ValueError(f"{parsed.get_backend_name()!r} is no database Tandem knows: expected sqlite or postgresql")
    if password:
        parsed = parsed.set(password=password)
    return create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        pool_size=4,
        max_overflow=4,
        pool_timeout=5,
        # A server that stopped answering is noticed in seconds, not in TCP's quarter of an hour.
        connect_args={
            "connect_timeout": 3,
            "tcp_user_timeout": 4000,
            "keepalives_idle": 5,
            "application_name": "tandem",
        },
    )


def _make_private(path: Path) -> None:
    """Numbers and names of callers are nobody else's business; SQLite gives its side files the same mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _set_pragmas(engine: Engine, synchronous: str) -> None:
    if synchronous not in ("OFF", "NORMAL", "FULL", "EXTRA"):
        raise ValueError(f"{synchronous!r} is no synchronous mode of SQLite")

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute(f"PRAGMA synchronous={synchronous}")
        cursor.execute("PRAGMA busy_timeout=2000")
        cursor.execute("PRAGMA wal_autocheckpoint=4000")
        cursor.close()


def is_away(error: BaseException) -> bool:
    """Whether the fault is the database's absence (stopped, locked, disk full) and not what we sent it."""
    if isinstance(error, (StorageUnavailable, PoolTimeout, OperationalError, InterfaceError, OSError)):
        return True
    return isinstance(error, DBAPIError) and bool(error.connection_invalidated)


def migrate(engine: Engine) -> None:
    """Bring the schema to the newest version. Raises StorageUnavailable if the database cannot be reached."""
    try:
        with engine.begin() as connection:
            if _read_revision(connection) == REVISION:
                return
            # alembic takes a third of a second to import: only when there is something to do.
            import_module("pbx.storage.migrate").upgrade(connection)
    except DBAPIError as error:
        if is_away(error):
            raise StorageUnavailable(str(error.orig)) from error
        raise


def _read_revision(connection: Connection) -> str:
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")


class WriterLock:
    """Two servers on one log would each believe their numbers: the second is refused.

    For SQLite a lock on a file beside the database, for PostgreSQL an advisory lock of the writer's connection.
    """

    def __init__(self, engine: Engine) -> None:
        self._path = f"{engine.url.database}.lock" if engine.dialect.name == "sqlite" else ""
        self._file = -1

    def acquire(self, connection: Connection) -> None:
        """Raises AlreadyWriting."""
        if not self._path:
            if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _WRITER_LOCK}).scalar():
                raise AlreadyWriting("another Tandem server writes to this database")
            return
        if self._file >= 0:
            return
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            raise AlreadyWriting(f"another Tandem server writes to the database (it holds {self._path})") from None
        self._file = file

    def release(self) -> None:
        """The lock of PostgreSQL goes with the connection."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
