"""A folder that takes configuration files as texts."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from pbx.config.loader import Examined, examine

Examine = Callable[[dict[str, str]], Examined]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty configuration folder beside one flow, `main`."""
    (tmp_path / "ivr_flows" / "main").mkdir(parents=True)
    (tmp_path / "ivr_flows" / "main" / "flow.yaml").write_text("start: []\n")
    (tmp_path / "config").mkdir()
    return tmp_path / "config"


@pytest.fixture
def look(folder: Path) -> Examine:
    """Write the files, then examine the folder."""

    def write(files: dict[str, str]) -> Examined:
        for name, text in files.items():
            (folder / name).write_text(dedent(text), encoding="utf-8")
        return examine(folder)

    return write
