"""A message left by pjsip through the trunk, heard by pjsip at the owner's phone, and what comes by e-mail."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pjsua2", reason="its wheels stop at CPython 3.12")

import soundfile

from tests.interop.flow_caller import SPOKEN_HZ, Caller, Office, find_message, open_office, until
from tests.letterbox import open_letterbox
from tools import listen

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(180)]
OWNER_HZ = 2600.0
"""What the owner says: his greeting."""


def speaks(samples: Any, rate: int, hz: float) -> float:
    """Seconds of a tone."""
    return sum(end - start for start, end in listen.find_tone_intervals(samples, rate, hz, bridge_ms=60))


def edit_mailbox(language: str, port: int) -> dict[str, Callable[[Any], None]]:
    def extensions(data: Any) -> None:
        data["extensions"][1001]["language"] = language
        data["extensions"][1001]["voicemail"] = {"email": "li@example.com", "silence": "0s"}

    def tandem(data: Any) -> None:
        data["notices"] = {"smtp": {"host": "127.0.0.1", "port": port, "security": "none", "sender": "pbx@example.com"}}

    return {"extensions": extensions, "tandem": tandem}


async def register(office: Office, owner: Caller) -> None:
    await owner.phone.register("1001", office.secrets["extension-1001"], f"sip:127.0.0.1:{office.port}")


async def dial_menus(office: Office, owner: Caller) -> None:
    owner.phone.do("call", uri=f"sip:*97@127.0.0.1:{office.port}")
    await owner.phone.wait("state", state="CONFIRMED")


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_a_message_goes_round(language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        open_letterbox() as box,
        open_office(
            tmp_path,
            monkeypatch,
            "voicemail",
            "after_hours",
            closed=True,
            languages=(language, "zh"),
            edits=edit_mailbox(language, box.port),
        ) as office,
    ):
        caller, owner = Caller(office), Caller(office, "owner", address="127.0.0.1", hz=0)
        async with caller.phone, owner.phone:
            await register(office, owner)
            await caller.dial("after_hours")
            await caller.hear("after_hours/emergency")
            assert await until(lambda: office.path()[-1] == "message", 10)
            await office.wait_for("RecordingStarted")
            await asyncio.sleep(4)
            await caller.press("#")
            await caller.hear("after_hours/saved")
            await caller.ended()
            waiting = await office.wait_for("MessageWaiting")
            left = office.find("VoicemailLeft")
            file = office.server.configuration.voicemail_folder().absolute() / left.path
            await dial_menus(office, owner)
            await owner.hear("voicemail/summary")
            await owner.hear("voicemail/main")
            await owner.press("1")
            await owner.hear_tone(round(SPOKEN_HZ), name="the message")
            await owner.hear("voicemail/after")
            await owner.press("2")
            await owner.hear("voicemail/saved")
            await owner.hear("voicemail/no_more")
            await owner.press("2")
            await owner.hear_tone(round(SPOKEN_HZ), name="the message again")
            await owner.hear("voicemail/after")
            await owner.press("3")
            await owner.hear("voicemail/deleted")
            await owner.hear("voicemail/no_more")
            await owner.press("*")
            await owner.hear("voicemail/goodbye")
            await owner.ended()
        assert await until(lambda: bool(box.mails), 10)
        changes = [event.change for event in office.all("VoicemailChanged")]
        sound = await find_message(office, left.path)
        assert not (office.server.configuration.recording_folder().absolute() / "messages").exists() or not list(
            (office.server.configuration.recording_folder().absolute() / "messages").rglob("*.wav")
        ), "the message has moved"
    assert (waiting.device, waiting.new, waiting.old) == ("extension:1001", 1, 0)
    assert changes == ["heard", "saved", "deleted"]
    assert file.exists(), "a deleted message can be taken back for a day"
    assert speaks(sound.left, sound.rate, SPOKEN_HZ) > 2, "the message holds what the caller said"
    (mail,) = box.mails
    assert mail["To"] == "li@example.com"
    assert ("语音留言" in mail["Subject"]) == (language == "zh")
    (attachment,) = mail.iter_attachments()
    samples, rate = soundfile.read(io.BytesIO(attachment.get_content()), dtype="float32")
    assert attachment.get_content_type() == "audio/wav"
    assert speaks(samples, rate, SPOKEN_HZ) > 2, "and so does the e-mail"


async def test_a_greeting_recorded_by_phone_is_what_callers_hear_also_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def route(data: Any) -> None:
        for entry in data["inbound"]:
            if entry["to"] == "flow:survey":
                entry["to"] = "voicemail:1001"

    async with open_office(tmp_path, monkeypatch, "voicemail", edits={"routes": route}) as office:
        owner = Caller(office, "owner", address="127.0.0.1", hz=OWNER_HZ)
        async with owner.phone:
            await register(office, owner)
            await dial_menus(office, owner)
            await owner.hear("voicemail/main")
            await owner.press("9")
            await owner.hear("voicemail/say_greeting")
            await asyncio.sleep(3)
            await owner.press("#")
            await owner.hear_tone(round(OWNER_HZ), name="the greeting")
            await owner.hear("voicemail/keep_greeting")
            await owner.press("1")
            await owner.hear("voicemail/saved")
            owner.phone.do("hangup")
            await office.wait_for("CallCleared")
        await office.restart()
        caller = Caller(office, hz=0)
        async with caller.phone:
            await caller.dial("survey")
            await caller.hear_tone(round(OWNER_HZ), name="the greeting")
            caller.phone.do("hangup")
            assert await until(lambda: len(office.all("CallCleared")) == 2, 20)
