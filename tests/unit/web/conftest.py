"""A running desk."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.web.desk_harness import Desk, run_desk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with run_desk(tmp_path) as found:
        yield found
