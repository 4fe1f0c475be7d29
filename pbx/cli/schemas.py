"""`tandem schemas`: JSON Schemas of the configuration files, for editors and other tools."""

from __future__ import annotations

import json
from pathlib import Path

import click

from pbx.config.schema import make_schemas


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default="config/schemas")
def command(folder: Path) -> None:
    """Write KIND.schema.json for every kind of configuration file into FOLDER (default: config/schemas).

    生成配置文件的 JSON Schema，供编辑器补全和校验。
    """
    folder.mkdir(parents=True, exist_ok=True)
    for kind, text in format_schemas().items():
        path = folder / f"{kind}.schema.json"
        path.write_text(text, encoding="utf-8")
        click.echo(str(path))


def format_schemas() -> dict[str, str]:
    """The text of each schema file, by kind."""
    return {
        kind: json.dumps(schema, indent=1, ensure_ascii=False, sort_keys=False) + "\n"
        for kind, schema in make_schemas().items()
    }
