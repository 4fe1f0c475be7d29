"""Each flow that ships, called by pjsip and navigated by ear."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pjsua2", reason="its wheels stop at CPython 3.12")

from tests.interop.flow_caller import Caller, open_office

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(180)]


async def test_main_in_english_to_the_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_office(tmp_path, monkeypatch, "main") as office:
        caller = Caller(office)
        async with caller.phone:
            await caller.dial("main")
            await caller.hear("main/welcome")
            await caller.hear("main/choose_language")
            await caller.press("2")
            await caller.hear("main/recorded")
            await caller.hear("main/main_menu")
            await caller.press("9")
            await caller.hear("main/not_valid")
            await caller.press("2")
            await office.wait_for("Queued")
            caller.phone.do("hangup")
            await office.wait_for("CallCleared")
    assert office.path() == ["start", "opening", "main_menu", "support", "to_queue", "in_queue"]
    assert office.find("CallCleared").outcome == "abandoned"
