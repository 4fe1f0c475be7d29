"""`tandem kpi`: key figures of a span of time, recomputed from the event log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from pbx.cli.database import database_option, open_database
from pbx.config.loader import examine
from pbx.events.catalogue import Record
from pbx.events.folds.counts import ServiceGoal
from pbx.events.folds.figures import FiguresFold
from pbx.events.indicators import INDICATORS, Indicator
from pbx.events.kpi import (
    SERVICE_LEVELS,
    AgentTimes,
    QueueCounts,
    ServiceLevelKind,
    measure_abandonment,
    measure_calls_per_hour,
    measure_handling_time,
    measure_missed_offers,
    measure_occupancy,
    measure_service_level,
    measure_speed_of_answer,
    measure_time_to_abandon,
    measure_transfer_rate,
    measure_utilisation,
    measure_wait,
)
from pbx.events.line import parse_line
from pbx.storage.log_reader import LogReader

_DAY = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])

QUEUE_TITLES = {
    "offered": "offered 呼入",
    "answered": "answered 应答",
    "abandoned": "abandoned 放弃",
    "flowed_out": "flowed out 流出",
    "service_level": "service level 服务水平",
    "speed_of_answer_s": "speed of answer 应答速度",
    "wait_s": "wait 平均等待",
    "abandoned_share": "abandonment 放弃率",
    "time_to_abandon_s": "time to abandon 放弃前等待",
    "longest_wait_s": "longest wait 最长等待",
}
AGENT_TITLES = {
    "handled": "handled 接听",
    "handling_time_s": "handling time 处理时长",
    "occupancy_share": "occupancy 占线率",
    "utilisation_share": "utilisation 利用率",
    "calls_per_hour": "calls/h 每小时",
    "transfer_share": "transferred 转接率",
    "missed_share": "missed offers 未接率",
    "logged_on_s": "logged on 签入",
    "not_ready_s": "not ready 示忙",
}


@click.command()
@database_option
@click.option("--from", "start", type=_DAY, help="Begin of the span (local time); default: midnight.")
@click.option("--to", "end", type=_DAY, help="End of the span; default: a day after its begin.")
@click.option(
    "--service-level", "kind", type=click.Choice(sorted(SERVICE_LEVELS)), default="standard", show_default=True
)
@click.option("--short", type=click.FloatRange(0), default=5.0, show_default=True, help="Abandons before are short, s.")
@click.option("--json", "as_json", is_flag=True, help="Base counts and figures as one JSON object.")
def command(
    folder: Path, start: datetime | None, end: datetime | None, kind: ServiceLevelKind, short: float, as_json: bool
) -> None:
    """Figures of queues and agents, and the classic 23 indicators, for a span of time.

    查询一段时间的队列与坐席指标，以及经典的 23 项指标；全部由事件日志重新计算。
    """
    today = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    begin = start.astimezone() if start else today
    until = end.astimezone() if end else begin + timedelta(days=1)
    if until <= begin:
        raise click.ClickException("the span ends before it begins")
    fold = FiguresFold(begin.timestamp(), until.timestamp(), _read_goals(folder, short))
    last = begin.timestamp()
    with open_database(folder) as engine:
        for record in _read(LogReader(engine)):
            fold.read(record)
            last = record.at
    fold.close(last)
    if as_json:
        click.echo(json.dumps(to_data(fold, kind), ensure_ascii=False, indent=2))
    else:
        _print(fold, kind, f"{begin:%Y-%m-%d %H:%M} – {until:%Y-%m-%d %H:%M}")


def _read_goals(folder: Path, short: float) -> dict[str, ServiceGoal]:
    configuration = examine(folder).configuration
    if configuration is None:
        return {}
    return {queue.name: ServiceGoal(queue.service_level.threshold, short) for queue in configuration.queues.values()}


def _read(reader: LogReader) -> Iterator[Record]:
    since = 0
    while lines := reader.read(since, 5000):
        yield from (parse_line(line) for line in lines)
        since = lines[-1].seq


def measure_queue(counts: QueueCounts, kind: ServiceLevelKind) -> dict[str, float | None]:
    """The figures of a queue by key."""
    return {
        "offered": counts.offered,
        "answered": counts.answered,
        "abandoned": counts.abandoned,
        "flowed_out": counts.flowed_out,
        "service_level": measure_service_level(counts, kind),
        "speed_of_answer_s": measure_speed_of_answer(counts),
        "wait_s": measure_wait(counts),
        "abandoned_share": measure_abandonment(counts),
        "time_to_abandon_s": measure_time_to_abandon(counts),
        "longest_wait_s": counts.longest_wait_s if counts.offered else None,
    }


def measure_agent(times: AgentTimes) -> dict[str, float | None]:
    """The figures of an agent by key."""
    return {
        "handled": times.handled,
        "handling_time_s": measure_handling_time(times),
        "occupancy_share": measure_occupancy(times),
        "utilisation_share": measure_utilisation(times),
        "calls_per_hour": measure_calls_per_hour(times),
        "transfer_share": measure_transfer_rate(times),
        "missed_share": measure_missed_offers(times),
        "logged_on_s": times.logged_on_s,
        "not_ready_s": times.not_ready_s,
    }


def to_data(fold: FiguresFold, kind: ServiceLevelKind) -> dict[str, Any]:
    """Everything as plain data; thresholds stand with the figures made by them."""
    total = fold.total()
    return {
        "service_level": kind,
        "queues": {
            name: measure_queue(counts, kind) | {"threshold_s": counts.threshold_s, "short_s": counts.short_s}
            for name, counts in sorted(fold.queues.items())
        },
        "agents": {name: measure_agent(times) for name, times in sorted(fold.agents.items())},
        "indicators": {indicator.key: indicator.measure(total) for indicator in INDICATORS},
    }


def _print(fold: FiguresFold, kind: ServiceLevelKind, span: str) -> None:
    console = Console(highlight=False)
    queues = {name: measure_queue(counts, kind) for name, counts in sorted(fold.queues.items())}
    agents = {name: measure_agent(times) for name, times in sorted(fold.agents.items())}
    console.print(_make_table(f"queues 队列, {span}", QUEUE_TITLES, queues))
    console.print(_make_table(f"agents 坐席, {span}", AGENT_TITLES, agents))
    table = Table(title="the 23 indicators 23 项指标", title_justify="left")
    for column in ("", "indicator 指标", "value 值", "custom 惯例"):
        table.add_column(column, justify="right" if column.startswith("value") else "left")
    total = fold.total()
    for indicator in INDICATORS:
        value = _show_unit(indicator, indicator.measure(total))
        table.add_row(str(indicator.number), f"{indicator.en} {indicator.zh}", value, indicator.custom)
    console.print(table)


def _make_table(title: str, titles: dict[str, str], rows: dict[str, dict[str, float | None]]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for heading in titles.values():
        table.add_column(heading, justify="right")
    for name, figures in rows.items():
        table.add_row(name, *(_show(key, figures[key]) for key in titles))
    return table


def _show(key: str, value: float | None) -> str:
    if value is None:
        return "–"
    if key.endswith("_share") or key == "service_level":
        return f"{value:.1%}"
    if key.endswith("_s"):
        return f"{value:,.1f} s"
    return f"{value:,.1f}" if key == "calls_per_hour" else f"{value:,.0f}"


def _show_unit(indicator: Indicator, value: float | None) -> str:
    if value is None:
        return "–"
    return {"share": f"{value:.1%}", "s": f"{value:,.1f} s", "count": f"{value:,.10g}"}.get(
        indicator.unit, f"{value:,.1f}"
    )
