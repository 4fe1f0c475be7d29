"""What is generated is what the code would generate now."""

from pathlib import Path

import pytest

from tools.docs import PAGES
from tools.schemas import make_files

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", PAGES)
def test_page_is_current(name: str) -> None:
    path = ROOT / name
    assert path.read_text("utf-8") == PAGES[name](path), "run `make docs`"


@pytest.mark.parametrize("name", make_files())
def test_schema_is_current(name: str) -> None:
    assert (ROOT / name).read_text("utf-8") == make_files()[name], "run `make schemas`"
