"""Fixtures every test may use."""

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def tandem_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder of the test's own, where `TANDEM_HOME` points as long as the test runs."""
    monkeypatch.setenv("TANDEM_HOME", str(tmp_path))
    yield tmp_path
