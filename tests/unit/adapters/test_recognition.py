"""Which recogniser an utterance goes to, and what is made of its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from pbx.adapters import recognition
from pbx.adapters.recognition import MAX_AT_ONCE, Recognition
from pbx.app.outputs import Recognise
from pbx.config.speech import SpeechRecogniser
from pbx.ivr.messages import Recognised
from pbx.ports.recogniser import Heard


class Engine:
    """Answers with its name once it is let."""

    def __init__(self, name: str, confidence: float = 0.5) -> None:
        self.name = name
        self.confidence = confidence
        self.go = asyncio.Event()
        self.go.set()
        self.closed = False

    async def recognise(self, samples: bytes, rate: int, **asked: Any) -> Heard:
        await self.go.wait()
        return Heard(self.name, self.confidence)

    async def close(self) -> None:
        self.closed = True


def configure(**entries: float) -> dict[str, SpeechRecogniser]:
    return {
        language: SpeechRecogniser.model_validate(
            {"language": language, "kind": "http", "url": "http://a/", "least_confidence": least}
        )
        for language, least in entries.items()
    }


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Engine]:
    made: dict[str, Engine] = {}

    def make(entry: SpeechRecogniser, reveal: Callable[[Any], str]) -> Engine:
        made[entry.language] = Engine(entry.language)
        return made[entry.language]

    monkeypatch.setattr(recognition, "_make_engine", make)
    return made


def said(language: str) -> Recognise:
    return Recognise(("call", "r1"), language, ("a",), False, 8000, b"\0\0")


async def test_each_language_has_its_own(engines: Mapping[str, Engine]) -> None:
    served = Recognition(configure(en=0.0, zh=0.9), lambda secret: "")
    assert await served.recognise(said("en-GB")) == Recognised("r1", "en", 0.5)
    assert await served.recognise(said("zh")) == Recognised("r1", "", 0.5), "less sure than is wanted"
    assert "no recogniser for de" in (await served.recognise(said("de"))).failure
    await served.close()
    assert all(engine.closed for engine in engines.values())


async def test_one_caller_too_many_goes_on_with_digits(engines: Mapping[str, Engine]) -> None:
    served = Recognition(configure(en=0.0), lambda secret: "")
    engines["en"].go.clear()
    waiting = [asyncio.create_task(served.recognise(said("en"))) for _ in range(MAX_AT_ONCE)]
    await asyncio.sleep(0)
    assert (await served.recognise(said("en"))).failure
    engines["en"].go.set()
    assert {answer.text for answer in await asyncio.gather(*waiting)} == {"en"}
    assert not (await served.recognise(said("en"))).failure


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"language": "zh", "kind": "http"}, "has no url"),
        ({"language": "zh", "kind": "pocketsphinx"}, "does not understand 'zh'"),
        ({"language": "en", "kind": "pocketsphinx", "timeout": 60}, "10"),
    ],
)
def test_what_cannot_work_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        SpeechRecogniser.model_validate(wrong)
