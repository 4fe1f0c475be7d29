"""Reading and writing the configured database from the command line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from sqlalchemy import Engine

from pbx.config.loader import examine
from pbx.storage.database import StorageUnavailable, migrate, open_engine

F = TypeVar("F", bound=Callable[..., Any])


def database_option(function: F) -> F:
    """`--config`, which names the database."""
    option = click.option(
        "--config", "folder", default="config", show_default=True, type=Path, help="Folder of the configuration."
    )
    return option(function)


@contextmanager
def open_database(folder: Path, *, create: bool = False) -> Iterator[Engine]:
    """The configured database. PostgreSQL's password is taken from ``PGPASSWORD``.

    ``create`` makes it where there is none. Raises ClickException where it cannot be had.
    """
    configuration = examine(folder).configuration
    if configuration is None:
        raise click.ClickException(f"the configuration in {folder} has errors: see 'tandem check --config {folder}'")
    url = configuration.database_url()
    if not create and url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        raise click.ClickException(f"there is no database yet ({url}): the server makes it when it starts")
    engine = open_engine(url, password=os.environ.get("PGPASSWORD", ""))
    try:
        migrate(engine)
        yield engine
    except StorageUnavailable as error:
        raise click.ClickException(f"the database is not available: {error}") from None
    finally:
        engine.dispose()
