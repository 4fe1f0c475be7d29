"""A property that hangs is a failure: an alarm in the test would be taken for a falsifying example, and hang again."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    seconds = float(config.getoption("timeout") or config.getini("timeout"))
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(seconds, method="thread"))
