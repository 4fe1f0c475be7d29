"""A running desk with one user of each kind."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.web.desk_harness import Desk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    found = Desk(tmp_path)
    await found.start()
    found.add_user("anna", "agent", agent="1001")
    found.add_user("bob", "agent", agent="1003")
    found.add_user("susan", "supervisor", teams=["red"])
    found.add_user("quentin", "quality")
    found.add_user("root", "administrator")
    yield found
    await found.stop()
