"""Callers who answer menus by speaking: a foreign SIP stack says a word, the flow takes the branch."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import urllib.parse
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

pytest.importorskip("pjsua2", reason="its wheels stop at CPython 3.12")

from media.dsp.level import to_int16
from media.prompts.speech import Speaker
from tests.interop.flow_caller import Caller, open_office, until
from tools import listen

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(180)]

RATE = 8000
Samples = NDArray[np.int16]


def speak(folder: Path, language: str, *texts: str) -> list[Path]:
    """A sound file of each text."""
    speaker = Speaker()
    files = []
    for number, text in enumerate(texts):
        clip = speaker.speak(text, language)
        files.append(folder / f"said-{language}-{number}.wav")
        soundfile.write(files[-1], to_int16(soxr.resample(clip.audio, clip.rate, RATE)), RATE, subtype="PCM_16")
    speaker.close()
    return files


class Ear:
    """A recognition service that knows a few recordings, and tells the one it is sent from the others."""

    def __init__(self, known: dict[str, Samples]) -> None:
        self.url = ""
        self.known = known
        self.asked: list[dict[str, list[str]]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(int(line[15:]) for line in head.lower().split("\r\n") if line.startswith("content-length:"))
        heard, rate = soundfile.read(io.BytesIO(await reader.readexactly(length)), dtype="int16")
        assert rate == RATE
        self.asked.append(urllib.parse.parse_qs(urllib.parse.urlsplit(head.split(" ", 2)[1]).query))
        scores = {text: listen.likeness(heard, said, RATE) for text, said in self.known.items()}
        best = max(scores, key=scores.__getitem__)
        answer = json.dumps({"text": best if scores[best] > 0.9 else "", "confidence": scores[best]}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(answer) + answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@contextlib.asynccontextmanager
async def open_ear(known: dict[str, Samples]) -> AsyncIterator[Ear]:
    ear = Ear(known)
    server = await asyncio.start_server(ear.serve, "127.0.0.1", 0)
    ear.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/recognise"
    try:
        yield ear
    finally:
        server.close()
        await server.wait_closed()


async def test_an_english_caller_says_what_he_wants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pocketsphinx. The first word is none of the menu's; the second cuts the prompt short."""

    def understand(tandem: Any) -> None:
        tandem["speech"]["recognisers"] = {"en": {"kind": "pocketsphinx"}}

    other, wanted = speak(tmp_path, "en", "banana", "sales")
    async with open_office(tmp_path, monkeypatch, "main", configure=understand) as office:
        caller = Caller(office, hz=0)
        async with caller.phone:
            await caller.dial("main")
            await caller.hear("main/choose_language")
            await caller.press("2")
            await caller.hear("main/main_menu")
            caller.say(other)
            await caller.hear("main/not_valid")
            caller.say(wanted)
            assert await until(lambda: "in_queue" in office.path(), 20), caller.tell()
            caller.phone.do("hangup")
            await office.wait_for("CallCleared")
        heard = [(event.node, event.text) for event in office.all("SpeechRecognised")]
    assert heard == [("main_menu", ""), ("main_menu", "sales")]
    assert office.path()[:6] == ["start", "opening", "main_menu", "sales", "to_queue", "in_queue"]


async def test_a_chinese_caller_is_understood_by_a_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service judges by content: it answers with the word whose recording it was sent."""
    files = speak(tmp_path, "zh", "销售", "技术支持")
    known = {
        text: soundfile.read(file, dtype="int16")[0] for text, file in zip(("销售", "技术支持"), files, strict=True)
    }
    async with open_ear(known) as ear:

        def understand(tandem: Any) -> None:
            tandem["speech"]["recognisers"] = {"zh": {"kind": "http", "url": ear.url, "least_confidence": 0.5}}

        async with open_office(tmp_path, monkeypatch, "main", configure=understand) as office:
            caller = Caller(office, hz=0)
            async with caller.phone:
                await caller.dial("main")
                await caller.hear("main/choose_language")
                await caller.press("1")
                await caller.hear("main/main_menu")
                caller.say(files[1])
                assert await until(lambda: "in_queue" in office.path(), 20), caller.tell()
                caller.phone.do("hangup")
                await office.wait_for("CallCleared")
            heard = [event.text for event in office.all("SpeechRecognised")]
    assert heard == ["技术支持"]
    assert ear.asked[0]["language"] == ["zh"] and "销售" in ear.asked[0]["phrase"]
    assert office.path()[3:6] == ["support", "to_queue", "in_queue"]


async def test_who_says_nothing_takes_the_branch_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No input after the declared time; a caller of a language without a recogniser goes on by digits."""

    def understand(tandem: Any) -> None:
        tandem["speech"]["recognisers"] = {"en": {"kind": "pocketsphinx"}}

    (word,) = speak(tmp_path, "en", "sales")
    menu = "attempts: 3\n        no_input: {prompt: no_input"
    change = {menu: f"timeout: 1s\n        {menu}"}
    async with open_office(tmp_path, monkeypatch, "main", change=change, configure=understand) as office:
        caller = Caller(office, hz=0)
        async with caller.phone:
            await caller.dial("main")
            await caller.hear("main/choose_language")
            await caller.press("1")
            await caller.hear("main/main_menu")
            await caller.hear("main/no_input")
            caller.say(word)
            await caller.hear("main/main_menu")
            await caller.press("1")
            assert await until(lambda: "in_queue" in office.path(), 20), caller.tell()
            caller.phone.do("hangup")
            await office.wait_for("CallCleared")
        assert office.all("SpeechRecognised") == []
    assert office.path()[3:6] == ["sales", "to_queue", "in_queue"]
