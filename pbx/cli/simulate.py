"""``tandem simulate``: the real ACD in virtual time, beside Erlang's formulae where they apply."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pbx.acd.erlang import staff_for_service_level
from pbx.acd.model import AcdConfig
from pbx.acd.simulation.distributions import Arrivals, Exponential, Poisson
from pbx.acd.simulation.engine import RunResult, Simulation
from pbx.acd.simulation.replay import read_replay
from pbx.acd.simulation.results import (
    Comparison,
    Estimate,
    compare_with_theory,
    find_theory,
    summarise_agents,
    summarise_queue,
)
from pbx.acd.simulation.scenario import Manners, Scenario, Shift, Stream, make_simple_scenario
from pbx.acd.strategies import STRATEGIES
from pbx.app.queueing.acd_config import make_acd_config
from pbx.cli.report import render
from pbx.config.loader import load
from pbx.core.ids import SeededIds
from pbx.core.problems import ConfigurationErrors
from pbx.events.catalogue import Record
from pbx.events.line import parse_line
from pbx.storage.database import open_engine
from pbx.storage.log_reader import LogReader


class ScenarioFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scenario as written in YAML; what it leaves out comes from the options."""

    streams: tuple[Stream, ...] = ()
    shifts: tuple[Shift, ...] = ()
    manners: Manners = Manners()
    hours: float | None = None
    warm_up_hours: float | None = None


@click.command()
@click.option("--config", "folder", type=click.Path(path_type=Path), help="Queues and agents of this configuration.")
@click.option(
    "--scenario", "file", type=click.Path(path_type=Path, exists=True), help="Streams, shifts, manners (YAML)."
)
@click.option("--replay", help="Arrivals from an event log: the URL of its database, or a .jsonl of records.")
@click.option("--agents", type=click.IntRange(1, 100_000), help="Without --config: so many like agents, one queue.")
@click.option("--calls-per-hour", type=click.FloatRange(0, min_open=True), default=200.0, show_default=True)
@click.option("--handling", type=click.FloatRange(0, min_open=True), default=180.0, show_default=True, help="Mean, s.")
@click.option("--patience", type=click.FloatRange(0), default=0.0, help="Mean, seconds; 0: endless.")
@click.option("--threshold", type=click.FloatRange(0), default=20.0, show_default=True, help="Of the service level, s.")
@click.option("--target", type=click.FloatRange(1, 99.9), help="Wanted service level in per cent: finds --agents.")
@click.option("--strategy", "strategies", multiple=True, type=click.Choice(sorted(STRATEGIES)), help="Compare several.")
@click.option("--hours", type=click.FloatRange(0, min_open=True), default=8.0, show_default=True)
@click.option("--warm-up", type=click.FloatRange(0), default=1.0, show_default=True, help="Hours not counted.")
@click.option("--runs", type=click.IntRange(1, 1000), default=10, show_default=True, help="Independent runs.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(**options: Any) -> None:
    """Simulate queues and agents with the real ACD.

    \b
    tandem simulate --agents 14 --calls-per-hour 200 --patience 300
    tandem simulate --target 80 --calls-per-hour 200 --patience 300
    tandem simulate --config config --scenario monday.yaml --strategy longest_idle --strategy least_calls

    用真实的 ACD 在虚拟时间中仿真：等待、服务水平、放弃率、占线率及其置信区间，并与 Erlang 公式比较。
    """
    try:
        scenarios = _make_scenarios(options)
        reports = [
            _report(name, scenario, options["runs"], options["seed"], options["target"])
            for name, scenario in scenarios.items()
        ]
    except ConfigurationErrors as error:
        for problem in error.problems:
            click.echo(render(problem) + "\n", err=True)
        raise SystemExit(1) from None
    except (ValueError, msgspec.ValidationError, YAMLError) as error:
        raise click.ClickException(str(error)) from None
    if options["form"] == "json":
        click.echo(json.dumps([report.to_data() for report in reports], indent=2))
    else:
        _print(reports)


# --- scenarios -------------------------------------------------------------------------------------------------


def _make_scenarios(options: dict[str, Any]) -> dict[str, Scenario]:
    """By strategy, or the one that is configured."""
    base = _make_configured(options) if options["folder"] else _make_simple(options)
    strategies: Sequence[str] = options["strategies"]
    if not strategies:
        return {"": base}
    return {strategy: _with_strategy(base, strategy) for strategy in strategies}


def _with_strategy(scenario: Scenario, strategy: str) -> Scenario:
    queues = tuple(msgspec.structs.replace(queue, strategy=strategy) for queue in scenario.config.queues)
    return msgspec.structs.replace(scenario, config=msgspec.structs.replace(scenario.config, queues=queues))


def _make_simple(options: dict[str, Any]) -> Scenario:
    if options["file"] or options["replay"]:
        raise click.UsageError("--scenario and --replay need --config: they name its queues")
    handling, patience, per_hour = options["handling"], options["patience"] or None, options["calls_per_hour"]
    agents = options["agents"]
    if agents is None:
        if options["target"] is None:
            raise click.UsageError("one of --config, --agents and --target is needed")
        erlangs = per_hour / 3600.0 * handling
        agents = staff_for_service_level(erlangs, handling, options["threshold"], options["target"] / 100.0, patience)
    return make_simple_scenario(
        agents=agents,
        per_hour=per_hour,
        handling_s=handling,
        patience_s=patience,
        threshold_s=options["threshold"],
        duration_s=(options["hours"] + options["warm_up"]) * 3600.0,
        warm_up_s=options["warm_up"] * 3600.0,
    )


def _make_configured(options: dict[str, Any]) -> Scenario:
    config = msgspec.structs.replace(make_acd_config(load(options["folder"])), explain_members=0)
    written = ScenarioFile() if options["file"] is None else _read_scenario(options["file"])
    hours = options["hours"] if written.hours is None else written.hours
    warm_up = options["warm_up"] if written.warm_up_hours is None else written.warm_up_hours
    streams = written.streams
    if options["replay"]:
        replays = read_replay(_read_records(options["replay"]))
        streams = tuple(_make_stream(queue, arrivals, options) for queue, arrivals in sorted(replays.items()))
        hours = max((replay.calls[-1].at for replay in replays.values()), default=0.0) / 3600.0 + 1.0
        warm_up = 0.0
    elif not streams:
        share = options["calls_per_hour"] / max(len(config.queues), 1)
        streams = tuple(_make_stream(queue.name, Poisson(share), options) for queue in config.queues)
    _check_names(config, streams, written.shifts)
    return Scenario(
        config=config,
        streams=streams,
        shifts=written.shifts,
        manners=written.manners,
        duration_s=(hours + warm_up) * 3600.0,
        warm_up_s=warm_up * 3600.0,
    )


def _make_stream(queue: str, arrivals: Arrivals, options: dict[str, Any]) -> Stream:
    patience = options["patience"]
    return Stream(
        queue=queue,
        arrivals=arrivals,
        handling=Exponential(options["handling"]),
        patience=Exponential(patience) if patience else None,
    )


def _read_scenario(path: Path) -> ScenarioFile:
    with path.open(encoding="utf-8") as file:
        data = YAML(typ="safe").load(file)
    try:
        return msgspec.convert(data or {}, ScenarioFile, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(f"{path}: {error}") from None


def _check_names(config: AcdConfig, streams: Sequence[Stream], shifts: Sequence[Shift]) -> None:
    queues, agents = {queue.name for queue in config.queues}, {agent.id for agent in config.agents}
    unknown = [f"queue {stream.queue}" for stream in streams if stream.queue not in queues]
    unknown += [f"agent {agent}" for shift in shifts for agent in shift.agents if agent not in agents]
    if unknown:
        raise ValueError(f"not in the configuration: {', '.join(dict.fromkeys(unknown))}")


def _read_records(source: str) -> Iterator[Record]:
    if source.endswith(".jsonl"):
        decoder = msgspec.json.Decoder(Record)
        with Path(source).open("rb") as file:
            yield from (decoder.decode(line) for line in file if line.strip())
        return
    reader = LogReader(open_engine(source if "://" in source else f"sqlite:///{source}"))
    since = 0
    while lines := reader.read(since, 5000):
        yield from (parse_line(line) for line in lines)
        since = lines[-1].seq


# --- report ----------------------------------------------------------------------------------------------------


class Report(msgspec.Struct):
    """What one scenario came to."""

    strategy: str
    agents: int
    queues: dict[str, dict[str, Estimate]]
    floor: dict[str, Estimate]
    theory: str
    comparison: tuple[Comparison, ...]
    calls: int
    cpu_s: float
    target: float | None
    refused: dict[str, int]
    overflowed: dict[str, int]
    still_waiting: int

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = msgspec.to_builtins(self)
        return data


def _report(name: str, scenario: Scenario, runs: int, seed: int, target: float | None) -> Report:
    started = time.process_time()
    results = [Simulation(scenario, random.Random(seed + n).random, SeededIds(seed + n)).run() for n in range(runs)]
    theory = find_theory(scenario)
    return Report(
        strategy=name,
        agents=len(scenario.config.agents),
        queues={queue.name: summarise_queue(results, queue.name) for queue in scenario.config.queues},
        floor=summarise_agents(results),
        theory="" if theory is None else theory[0],
        comparison=compare_with_theory(scenario, results),
        calls=sum(result.calls for result in results),
        cpu_s=round(time.process_time() - started, 3),
        target=target,
        refused=_sum(results, "refused"),
        overflowed=_sum(results, "overflowed"),
        still_waiting=sum(result.still_waiting for result in results),
    )


def _sum(results: Sequence[RunResult], name: str) -> dict[str, int]:
    total: dict[str, int] = {}
    for result in results:
        for reason, count in getattr(result, name).items():
            total[reason] = total.get(reason, 0) + count
    return total


TITLES = {
    "offered": "offered 呼入",
    "waited_share": "had to wait 需等待",
    "service_level": "service level 服务水平",
    "abandoned_share": "abandoned 放弃率",
    "flow_out_share": "flowed out 流出",
    "speed_of_answer_s": "speed of answer 应答速度",
    "wait_s": "wait of all 平均等待",
    "longest_wait_s": "longest wait 最长等待",
    "occupancy": "occupancy 占线率",
    "estimate_bias_s": "estimate: bias 估计偏差",
    "estimate_error_s": "estimate: error 估计误差",
    "estimate_wait_s": "estimate: of waits 实际等待",
}


def _print(reports: Sequence[Report]) -> None:
    console = Console(highlight=False)
    for report in reports:
        _print_report(console, report)
    calls, seconds = sum(report.calls for report in reports), sum(report.cpu_s for report in reports)
    console.print(f"{calls:,} calls in {seconds:.2f} s of CPU ({1e6 * seconds / max(calls, 1):.1f} µs a call)")


def _print_report(console: Console, report: Report) -> None:
    title = f"{report.strategy or 'as configured'}, {report.agents} agents"
    table = Table(title=title, title_justify="left")
    table.add_column("mean ± 95 % 置信区间")
    for queue in report.queues:
        table.add_column(queue, justify="right")
    for figure in next(iter(report.queues.values()), {}):
        table.add_row(TITLES[figure], *(_show(figure, figures[figure]) for figures in report.queues.values()))
    for figure, estimate in report.floor.items():
        table.add_row(TITLES[figure], _show(figure, estimate))
    console.print(table)
    if report.comparison:
        beside = Table(title=f"beside {report.theory}", title_justify="left")
        for column in ("", "formula 公式", "simulated 仿真", "σ"):
            beside.add_column(column, justify="right" if column else "left")
        for row in report.comparison:
            sigmas = "" if row.sigmas is None else f"{row.sigmas:+.2f}"
            beside.add_row(
                TITLES[row.figure], _value(row.figure, row.formula), _show(row.figure, row.simulated), sigmas
            )
        console.print(beside)
    for word, counts in (("refused 拒绝", report.refused), ("overflowed 溢出", report.overflowed)):
        if counts:
            console.print(f"{word}: " + ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items())))
    if report.target is not None:
        level = next(iter(report.queues.values()))["service_level"].mean or 0.0
        verdict = "reached 达到" if level >= report.target / 100.0 else "missed 未达到"
        console.print(f"target 目标 {report.target:g} %: {verdict} ({level:.1%})")


def _show(figure: str, estimate: Estimate) -> str:
    if estimate.mean is None:
        return "–"
    text = _value(figure, estimate.mean)
    return text if estimate.half_width is None else f"{text} ± {_value(figure, estimate.half_width)}"


def _value(figure: str, value: float) -> str:
    if figure == "offered":
        return f"{value:,.0f}"
    return f"{value:,.1f} s" if figure.endswith("_s") else f"{value:.2%}"
