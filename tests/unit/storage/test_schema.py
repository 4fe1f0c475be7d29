"""Migrations make exactly the tables the code uses, on both databases; other databases are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from pbx.storage.database import REVISION, StorageUnavailable, migrate, open_engine
from pbx.storage.log_reader import LogReader
from pbx.storage.migrate import make_config
from pbx.storage.tables import metadata


def test_migrated_tables_are_those_of_the_code(url: str) -> None:
    engine = open_engine(url)
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        script = ScriptDirectory.from_config(make_config(connection))
        assert [script.get_current_head()] == script.get_heads() == [REVISION]
    engine.dispose()


def test_every_migration_can_be_taken_back(url: str) -> None:
    from alembic import command

    engine = open_engine(url)
    for _ in range(2):
        migrate(engine)
        migrate(engine)
        with engine.begin() as connection:
            command.downgrade(make_config(connection), "base")
            assert inspect(connection).get_table_names() == ["alembic_version"]
    engine.dispose()


@pytest.mark.parametrize("url", ["mysql://x@y/z", "sqlite://", "sqlite:///:memory:"])
def test_no_other_databases(url: str) -> None:
    with pytest.raises(ValueError, match="expected sqlite or postgresql|needs a file"):
        open_engine(url)


def test_a_database_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    engine = open_engine("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(StorageUnavailable):
        migrate(engine)
    with pytest.raises(StorageUnavailable):
        LogReader(engine).read(0, 1)
    engine.dispose()


def test_sqlite_is_as_safe_as_asked(tmp_path: Path) -> None:
    for wanted, number in (("FULL", 2), ("NORMAL", 1)):
        engine = open_engine(f"sqlite:///{tmp_path}/{wanted}.db", synchronous=wanted)
        with engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == number
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        engine.dispose()
    with pytest.raises(ValueError, match="no synchronous mode"):
        open_engine(f"sqlite:///{tmp_path}/x.db", synchronous="1; DROP TABLE events")


def test_a_password_is_not_shown() -> None:
    engine = open_engine("postgresql://tandem@db/tandem", password="geheim")
    assert "geheim" not in repr(engine) and engine.url.password == "geheim"
    engine.dispose()


def test_older_records_get_their_topics(url: str) -> None:
    from alembic import command

    engine = open_engine(url)
    migrate(engine)
    texts, numbers = ", ".join(["''"] * 8), ", ".join("0" * 5)
    row = f"INSERT INTO cdr VALUES ('c', 5.0, NULL, 9.0, 'inbound', {texts}, {numbers}, '{{}}')"
    topics = "SELECT call_id, topic, started_at FROM cdr_topics ORDER BY topic"
    with engine.begin() as connection:
        connection.exec_driver_sql(row)
        for topic in ("agent:1", "queue:a b"):
            connection.exec_driver_sql(f"INSERT INTO cdr_topics VALUES ('c', '{topic}', 5.0)")
    with engine.begin() as connection:
        command.downgrade(make_config(connection), "0001")
    with engine.begin() as connection:
        command.upgrade(make_config(connection), "head")
        assert [tuple(found) for found in connection.exec_driver_sql(topics)] == [
            ("c", "agent:1", 5.0),
            ("c", "queue:a b", 5.0),
        ]
    engine.dispose()
