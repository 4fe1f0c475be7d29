"""A recorded call becomes a smaller file after it, which records and the HTTP API then speak of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("pjsua2", reason="its wheels stop at CPython 3.12")

from tests.interop.flow_caller import SPOKEN_HZ, Caller, open_office, until
from tools import listen

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.mark.parametrize("target", ["flac", "opus"])
async def test_a_call_is_archived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    def archive(tandem: Any) -> None:
        tandem["recording"]["archive"] = target

    async with open_office(tmp_path, monkeypatch, "main", configure=archive) as office:
        caller = Caller(office)
        async with caller.phone:
            await caller.dial("main")
            await caller.hear("main/choose_language")
            caller.phone.do("hangup")
            await office.wait_for("CallCleared")
        archived = await office.wait_for("RecordingArchived")
        completed = office.find("RecordingCompleted")
        root = office.server.configuration.recording_folder().absolute()
        assert archived.path == completed.path.removesuffix("wav") + target
        assert await until(lambda: not (root / completed.path).exists(), 10), "the WAV goes"
        sound = listen.load(root / archived.path)
        http = office.server.http
        assert http is not None
        headers = {"authorization": f"Bearer {office.secrets['token-admin']}"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{http.port}", headers=headers) as client:
            found = (await client.get("/api/recordings", params={"call": archived.call})).json()["recordings"]
            audio = await client.get(f"/api/recordings/{archived.recording}/audio")
    assert [(row["path"], row["sha256"]) for row in found] == [(archived.path, archived.sha256)]
    assert audio.status_code == 200 and audio.content == (root / archived.path).read_bytes()
    assert audio.headers["content-type"] == {"flac": "audio/flac", "opus": "audio/ogg"}[target]
    spoken = listen.find_tone_intervals(sound.left, sound.rate, SPOKEN_HZ, bridge_ms=60)
    assert sum(end - start for start, end in spoken) > 1, "the caller is on the left"
    heard = office.tones["main/choose_language"]
    assert listen.find_tone_intervals(sound.right, sound.rate, heard, share=0.8), "what he heard is on the right"
