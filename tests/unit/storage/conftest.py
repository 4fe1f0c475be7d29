"""Databases to test with: every test that takes `url` runs on SQLite and on PostgreSQL."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pbx.storage.event_log import EventLog
from tests.unit.storage.postgres import Postgres


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    # Not below pytest's own folder: that is closed to the user postgres.
    import tempfile

    with tempfile.TemporaryDirectory(prefix="tandem-pg-") as folder:
        server = Postgres(Path(folder))
        server.start()
        yield server
        server.stop()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/tandem.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.create_database()


@pytest.fixture
def open_log(tmp_path: Path) -> Iterator[Callable[..., EventLog]]:
    """Opens logs, and closes them at the end."""
    opened: list[EventLog] = []

    def start(url: str, **options: Any) -> EventLog:
        log = EventLog(url, journal=tmp_path / "journal", **options)
        opened.append(log)
        log.open()
        return log

    yield start
    for log in opened:
        assert log.close()
