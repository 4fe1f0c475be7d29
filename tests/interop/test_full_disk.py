"""The disk of the recordings is full: what the administrator chose happens to calls, and everybody is told."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pjsua2", reason="its wheels stop at CPython 3.12")

from pbx.events.catalogue import DiskStateChanged
from tests.interop.flow_caller import SPOKEN_HZ, Caller, open_office
from tools import listen

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(180)]

MORE_THAN_ANY_DISK_T = 1 << 20


def fill(when_full: str) -> Any:
    """Watermarks above what any disk has free: to the gateway the disk is full."""

    def edit(tandem: Any) -> None:
        tandem["recording"].update(
            policy="all",
            when_full=when_full,
            full_watermark=f"{MORE_THAN_ANY_DISK_T}T",
            low_watermark=f"{MORE_THAN_ANY_DISK_T + 1}T",
        )

    return edit


async def test_calls_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_office(tmp_path, monkeypatch, "main", configure=fill("reject")) as office:
        alarm: DiskStateChanged = await office.wait_for("DiskStateChanged")
        assert (alarm.level, alarm.gateway) == ("full", "local") and 0 < alarm.free_bytes < MORE_THAN_ANY_DISK_T << 40
        caller = Caller(office)
        async with caller.phone:
            caller.phone.do("call", uri=f"sip:01055550200@127.0.0.1:{office.port}")
            gone = await caller.phone.wait("state", state="DISCONNECTED")
        assert gone["code"] == 503
        assert not office.all("Established")


async def test_calls_go_on_without_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is recorded and the log says so; one who wants to leave a message is told that he cannot."""
    async with open_office(tmp_path, monkeypatch, "after_hours", closed=True, configure=fill("continue")) as office:
        caller = Caller(office)
        async with caller.phone:
            await caller.dial("after_hours")
            await caller.hear("after_hours/closed")
            await caller.hear("after_hours/failed")
            caller.phone.do("hangup")
            await office.wait_for("CallCleared")
        assert "failed" in office.path()
        assert not office.all("RecordingStarted") and not office.all("VoicemailLeft")
        assert office.find("RecordingFailed").reason == "the disk is full"
        assert not list(office.server.configuration.recording_folder().rglob("*.wav"))


async def test_a_disk_that_fills_up_ends_the_recording_and_not_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_office(tmp_path, monkeypatch, "main") as office:
        caller = Caller(office)
        async with caller.phone:
            await caller.dial("main")
            await office.wait_for("RecordingStarted")
            pid = office.server._links["local"].process_id
            assert pid is not None
            # No file of the gateway may grow beyond this: the kernel refuses the next block.
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (60_000, 60_000))
            failed = await office.wait_for("RecordingFailed")
            await caller.press("2")
            await caller.hear("main/main_menu", 30)
            caller.phone.do("hangup")
            await office.wait_for("CallCleared")
        assert failed.kept
        root = office.server.configuration.recording_folder().absolute()
        sound = listen.load(root / failed.path)
    assert listen.find_tone_intervals(sound.left, sound.rate, SPOKEN_HZ, bridge_ms=60), "what was written is kept"
