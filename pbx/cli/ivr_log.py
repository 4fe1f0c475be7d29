"""Statistics of flows from the event log of the configured database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click

from pbx.config.loader import examine
from pbx.events import catalogue as facts
from pbx.events.line import parse_line
from pbx.ivr.statistics import FlowStatistics, Mark
from pbx.storage.database import open_engine
from pbx.storage.log_reader import LogReader

PAGE = 5000


def read_statistics(config: Path, since: datetime | None, until: datetime | None) -> FlowStatistics:
    """Fold the log of a period. Raises ClickException where there is no log to read.

    PostgreSQL's password is taken from ``PGPASSWORD``.
    """
    configuration = examine(config).configuration
    if configuration is None:
        raise click.ClickException(f"the configuration in {config} has errors: see `tandem check`")
    url = configuration.database_url()
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        raise click.ClickException(f"there is no event log yet ({url})")
    statistics = FlowStatistics()
    engine = open_engine(url, password=os.environ.get("PGPASSWORD", ""))
    try:
        for mark in _read_marks(LogReader(engine), since, until):
            statistics.add(mark)
    finally:
        engine.dispose()
    return statistics


def _read_marks(reader: LogReader, since: datetime | None, until: datetime | None) -> Iterator[Mark]:
    low = since.timestamp() if since else 0.0
    high = until.timestamp() if until else float("inf")
    seq = 0
    while lines := reader.read(seq, PAGE):
        for line in lines:
            if low <= line.at < high and line.type in (
                "FlowEntered",
                "NodeEntered",
                "FlowTagged",
                "FlowLeft",
                "Queued",
            ):
                mark = make_mark(parse_line(line).event)
                if mark is not None:
                    yield mark
        seq = lines[-1].seq


def make_mark(event: object) -> Mark | None:
    """What an event of the log says about a flow, if anything."""
    if isinstance(event, facts.FlowEntered):
        return Mark(event.call, "entered", event.flow)
    if isinstance(event, facts.NodeEntered):
        return Mark(event.call, "node", event.flow, event.node)
    if isinstance(event, facts.FlowTagged):
        return Mark(event.call, "tagged", event.flow, event.tag)
    if isinstance(event, facts.Queued):
        return Mark(event.call, "queued")
    if isinstance(event, facts.FlowLeft):
        return Mark(event.call, "left", event.flow, event.reason)
    return None
