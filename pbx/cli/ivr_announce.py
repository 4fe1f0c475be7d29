"""`tandem ivr announce`: an announcement in front of any flow, at once."""

from __future__ import annotations

from pathlib import Path

import click

from pbx.cli.control import find_socket
from pbx.cli.report import render
from pbx.config.loader import examine
from pbx.core.references import suggest
from pbx.ivr import load_folder
from pbx.ivr.loader import load_flows
from pbx.ivr.outage import FILE, write_outage


@click.command("announce")
@click.argument("names", nargs=-1, required=True, metavar="FLOW…")
@click.option("--text", "texts", multiple=True, metavar="LANGUAGE=TEXT", help="What callers hear, once per language.")
@click.option("--then", type=click.Choice(["continue", "hangup"]), default="continue", show_default=True)
@click.option("--off", is_flag=True, help="Take the announcement away.")
@click.option("--config", default="config", show_default=True, type=Path, help="Folder of the configuration.")
@click.pass_context
def command(
    context: click.Context, names: tuple[str, ...], texts: tuple[str, ...], then: str, off: bool, config: Path
) -> None:
    """Put an outage announcement in front of flows, or take it away; a running server takes it over at once.

    在流程之前插播故障公告，或将其撤下；运行中的服务器立即生效。
    """
    configuration = examine(config).configuration
    if configuration is None:
        raise click.ClickException(f"the configuration in {config} has errors: see `tandem check`")
    flows = configuration.flows
    spoken = dict(text.partition("=")[::2] for text in texts)
    for name in names:
        if not (flows / name / "flow.yaml").is_file():
            raise click.ClickException(f"there is no flow {name} in {flows}")
    if not off:
        _check_texts(flows, names, spoken)
    before = {name: _read(flows / name / FILE) for name in names}
    for name in names:
        if off:
            (flows / name / FILE).unlink(missing_ok=True)
        else:
            write_outage(flows / name, spoken, then)
    problems = [p for p in load_folder(flows)[1] if Path(p.file).name == FILE and Path(p.file).parent.name in names]
    if problems:
        for name, text in before.items():
            _restore(flows / name / FILE, text)
        for problem in problems:
            click.echo(render(problem) + "\n", err=True)
        raise SystemExit(1)
    for name in names:
        click.echo(f"{name}: {'no announcement' if off else 'announcement in front'}")
    if find_socket(config).exists():
        from pbx.cli.reload import command as reload

        context.invoke(reload, folder=config)
    else:
        click.echo("the server is not running here; it will find this when it starts")


def _check_texts(folder: Path, names: tuple[str, ...], spoken: dict[str, str]) -> None:
    """Refuse a text that no caller would hear; say which callers have none in their language."""
    if not spoken or not all(spoken.values()):
        raise click.ClickException("say what callers are to hear: --text zh=… --text en=…")
    flows, _ = load_flows(folder)
    for name in names:
        languages = flows[name].languages if name in flows else tuple(spoken)
        for tag in spoken:
            if tag not in languages:
                raise click.ClickException(f"the flow {name} does not speak {tag!r}: {suggest(tag, languages)}")
        lacking = ", ".join(tag for tag in languages if tag not in spoken)
        if lacking:
            click.echo(f"{name}: warning: no text in {lacking}; their callers hear it in another language", err=True)


def _read(file: Path) -> str | None:
    return file.read_text("utf-8") if file.is_file() else None


def _restore(file: Path, text: str | None) -> None:
    if text is None:
        file.unlink(missing_ok=True)
    else:
        file.write_text(text, "utf-8")
