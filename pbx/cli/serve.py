"""``tandem serve``: run the server until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from pathlib import Path
from typing import Any

import click
import msgspec
import structlog
import uvloop

from pbx.adapters.redaction import hide_numbers
from pbx.cli.report import render
from pbx.config.loader import load
from pbx.config.model import Logging
from pbx.core.problems import ConfigurationErrors
from pbx.server import Server
from pbx.storage.database import AlreadyWriting, StorageUnavailable


@click.command()
@click.option("--config", "folder", type=click.Path(path_type=Path), default=Path("config"), show_default=True,
              help="Folder of the configuration.")  # fmt: skip
def command(folder: Path) -> None:
    """Run the server.

    SIGTERM or Ctrl-C: refuse new calls, wait for those in progress, end; a second one ends at once. SIGHUP: apply a
    changed configuration as a whole, or refuse it and go on with the old one.
    """
    try:
        configuration = load(folder)
        set_up_logging(configuration.logging)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(folder))
    except ConfigurationErrors as error:
        for problem in error.problems:
            click.echo(render(problem) + "\n", err=True)
        sys.exit(1)
    except (OSError, StorageUnavailable, AlreadyWriting) as error:
        click.echo(f"tandem cannot start: {error}", err=True)
        sys.exit(1)


async def _run(folder: Path) -> None:
    server = Server(folder, show_secret=_show_secret)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    at_once = asyncio.Event()

    def end() -> None:
        (at_once if ended.is_set() else ended).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    await server.start()
    loop.add_signal_handler(signal.SIGHUP, lambda: loop.create_task(server.reload()))
    # What was built by now lives as long as the process: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    click.echo(server.describe(), err=True)
    await ended.wait()
    draining = loop.create_task(server.drain())
    impatient = loop.create_task(at_once.wait())
    await asyncio.wait((draining, impatient), return_when=asyncio.FIRST_COMPLETED)
    for task in (draining, impatient):
        task.cancel()
    await server.stop("signal")


def _show_secret(name: str, value: str) -> None:
    """The first start shows what it made, once; later it stands in the data folder alone."""
    click.echo(f"made secret {name}: {value}", err=True)


def _encode(line: Any, **_: Any) -> str:
    return msgspec.json.encode(line, enc_hook=repr).decode()


def set_up_logging(settings: Logging) -> None:
    """One line per fact, for people or for machines."""
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer(_encode)
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    stream = settings.file.open("a", encoding="utf-8") if settings.file else sys.stderr
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *([hide_numbers] if settings.hide_numbers else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, settings.level.upper())),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
