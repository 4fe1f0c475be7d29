"""`tandem ivr test`: runs the test cases of flows on a virtual clock through the real interpreter."""

from __future__ import annotations

from pathlib import Path

import click

from pbx.cli.ivr_database import open_databases
from pbx.cli.report import render
from pbx.core.problems import has_errors
from pbx.ivr import load_folder
from pbx.ivr.cases import PlacedCase, read_cases
from pbx.ivr.coverage import Coverage, measure
from pbx.ivr.junit import write_junit
from pbx.ivr.testing import Result, run_cases


@click.command("test")
@click.argument("names", nargs=-1, metavar="[FLOW…]")
@click.option("--flows", default="ivr_flows", show_default=True, type=Path, help="Folder of the flows.")
@click.option("-k", "part", default="", help="Only cases whose name holds this.")
@click.option("--junit", type=Path, help="Write the results as JUnit XML.")
@click.option("--min-coverage", default=0.0, help="Fail below this percentage of branches.")
@click.option("-v", "--verbose", is_flag=True, help="Tell the story of every call, and every branch not taken.")
def command(
    names: tuple[str, ...], flows: Path, part: str, junit: Path | None, min_coverage: float, verbose: bool
) -> None:
    """Run the test cases of all flows, or of those named; exit with 1 if any fails.

    在虚拟时钟上运行流程的测试用例，无需电话。
    """
    if not flows.is_dir():
        raise click.ClickException(f"there is no folder {flows}")
    library, problems = load_folder(flows)
    for problem in problems:
        click.echo(render(problem) + "\n")
    folders = [file.parent for file in sorted(flows.glob("*/flow.yaml")) if not names or file.parent.name in names]
    missing = set(names) - {folder.name for folder in folders}
    if missing:
        raise click.ClickException(f"there is no flow {', '.join(sorted(missing))} in {flows}")
    cases: list[PlacedCase] = []
    wrong = has_errors(problems)
    for folder in folders:
        found, unreadable = read_cases(folder)
        cases += [placed for placed in found if part in placed.case.name]
        for problem in unreadable:
            wrong = True
            click.echo(render(problem) + "\n")
    results = run_cases(library, cases, open_databases(flows))
    show_results(results, verbose)
    chosen = {name: flow for name, flow in library.items() if not names or name in names}
    coverages = measure(chosen, [step for result in results for step in result.record.steps])
    show_coverage(coverages, verbose)
    if junit is not None:
        junit.write_text(write_junit(results), "utf-8")
    low = [c for c in coverages if c.percent < min_coverage]
    for coverage in low:
        click.secho(f"{coverage.flow}: {coverage.percent:.0f} % is below {min_coverage:.0f} %", fg="red")
    raise SystemExit(1 if wrong or low or not all(result.passed for result in results) else 0)


def show_results(results: list[Result], verbose: bool) -> None:
    for result in results:
        mark = click.style("ok  ", fg="green") if result.passed else click.style("FAIL", fg="red", bold=True)
        click.echo(f"{mark} {result.placed.flow}: {result.placed.case.name}")
        if not result.passed:
            click.echo(f"     {result.placed.file}:{result.placed.line}")
            for failure in result.failures:
                click.echo(f"     {click.style(failure, fg='red')}")
        if not result.passed or verbose:
            for line in result.record.story:
                click.echo(f"       {line}")
    failed = sum(not result.passed for result in results)
    click.echo(f"\n{len(results)} cases, {failed} failed")


def show_coverage(coverages: list[Coverage], verbose: bool) -> None:
    click.echo(f"\n{'flow':24} {'nodes':>9} {'branches':>11}")
    for c in coverages:
        nodes, branches = f"{c.nodes_passed}/{c.nodes}", f"{c.branches_passed}/{c.branches}"
        click.echo(f"{c.flow:24} {nodes:>9} {branches:>11} {c.percent:4.0f} %")
        for missed in c.missed if verbose else c.missed[:3]:
            click.echo(f"  not taken: {missed}")
        if not verbose and len(c.missed) > 3:
            click.echo(f"  … and {len(c.missed) - 3} more (-v shows all)")
