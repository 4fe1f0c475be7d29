"""Business databases for flows without a server: SQLite files beside the flows, read only."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from pbx.ivr.messages import Query, QueryResult


def open_databases(flows: Path) -> Callable[[Query], QueryResult]:
    """Answers a flow's statements from ``<any flow>/<source>.sqlite``."""

    def ask(query: Query) -> QueryResult:
        files = sorted(flows.glob(f"*/{query.source}.sqlite"))
        if not files:
            return QueryResult(query.request, failure="unknown_source")
        connection = sqlite3.connect(f"{files[0].resolve().as_uri()}?mode=ro", uri=True)
        try:
            connection.row_factory = sqlite3.Row
            rows = connection.execute(query.statement, query.params).fetchmany(query.max_rows)
            return QueryResult(query.request, tuple(dict(row) for row in rows))
        except sqlite3.Error:
            return QueryResult(query.request, failure="error")
        finally:
            connection.close()

    return ask


def make_database(script: Path) -> Path:
    """``business.sqlite`` from ``business.sql``."""
    target = script.with_suffix(".sqlite")
    target.unlink(missing_ok=True)
    connection = sqlite3.connect(target)
    try:
        connection.executescript(script.read_text("utf-8"))
    finally:
        connection.close()
    return target
