"""Speech recognition: pocketsphinx on synthesised telephone speech, and a web service that behaves and misbehaves."""

from __future__ import annotations

import io
import wave
from collections.abc import AsyncIterator, Iterator

import httpx
import numpy as np
import pytest
import soxr

from media.dsp.level import to_int16
from media.prompts.speech import Speaker
from pbx.adapters.recognise_http import HttpRecogniser
from pbx.adapters.recognise_pocketsphinx import PocketSphinxRecogniser
from pbx.ports.recogniser import Heard

RATE = 8000


@pytest.fixture(scope="module")
def speaker() -> Iterator[Speaker]:
    speaker = Speaker()
    yield speaker
    speaker.close()


@pytest.fixture
async def sphinx() -> AsyncIterator[PocketSphinxRecogniser]:
    recogniser = PocketSphinxRecogniser()
    yield recogniser
    await recogniser.close()


def say(speaker: Speaker, text: str) -> bytes:
    clip = speaker.speak(text, "en")
    return to_int16(soxr.resample(clip.audio, clip.rate, RATE)).astype("<i2").tobytes()


MENU = ("sales", "operator", "技术支持", "press { here }")


async def test_a_word_of_the_menu_is_understood(speaker: Speaker, sphinx: PocketSphinxRecogniser) -> None:
    for word in ("sales", "operator"):
        heard = await sphinx.recognise(say(speaker, word), RATE, language="en-US", phrases=MENU)
        assert (heard.text, heard.failure) == (word, "")


async def test_another_word_and_silence_are_not(speaker: Speaker, sphinx: PocketSphinxRecogniser) -> None:
    assert (await sphinx.recognise(say(speaker, "banana"), RATE, language="en", phrases=MENU)).text == ""
    assert (await sphinx.recognise(np.zeros(RATE, "<i2").tobytes(), RATE, language="en", phrases=MENU)).text == ""
    assert await sphinx.recognise(b"", RATE, language="en", phrases=MENU) == Heard()


async def test_digits_come_as_words(speaker: Speaker, sphinx: PocketSphinxRecogniser) -> None:
    heard = await sphinx.recognise(say(speaker, "nine"), RATE, language="en", digits=True)
    assert heard.failure == ""
    assert set(heard.text.split()) <= set("zero oh one two three four five six seven eight nine".split())


async def test_what_cannot_be_tried_is_said(sphinx: PocketSphinxRecogniser) -> None:
    assert "no model for zh" in (await sphinx.recognise(b"\0\0", RATE, language="zh", phrases=("销售",))).failure
    assert "dictionary" in (await sphinx.recognise(b"\0\0", RATE, language="en", phrases=("qqxyzzy",))).failure


async def test_many_menus_do_not_pile_up(sphinx: PocketSphinxRecogniser) -> None:
    words = ("sales", "support", "operator", "yes", "no", "one", "two", "three", "four", "five", "six", "seven")
    menus = [(one, two) for one in words for two in words if one < two]
    for menu in menus:
        assert (await sphinx.recognise(b"\0\0" * 800, RATE, language="en", phrases=menu)).failure == ""
    assert len(menus) > 64


def service(answer: httpx.Response | Exception, seen: list[httpx.Request] | None = None) -> HttpRecogniser:
    def reply(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return HttpRecogniser("http://asr/", token="secret", transport=httpx.MockTransport(reply))


async def test_a_service_gets_a_wav_and_the_grammar() -> None:
    seen: list[httpx.Request] = []
    recogniser = service(httpx.Response(200, json={"text": "销售", "confidence": 0.8}), seen)
    heard = await recogniser.recognise(b"\1\0" * 80, RATE, language="zh", phrases=("销售", "客服"))
    await recogniser.close()
    assert heard == Heard("销售", 0.8)
    assert seen[0].headers["authorization"] == "Bearer secret"
    assert seen[0].url.params.get_list("phrase") == ["销售", "客服"]
    with wave.open(io.BytesIO(seen[0].content)) as file:
        assert (file.getframerate(), file.getnframes(), file.getnchannels()) == (RATE, 80, 1)


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (httpx.Response(503), "the service answers 503"),
        (httpx.Response(200, text="not json"), "does not answer with text"),
        (httpx.Response(200, json=["a"]), "does not answer with text"),
        (httpx.Response(200, json={"text": "a", "confidence": "high"}), "does not answer with text"),
        (httpx.Response(200, text="x" * 100_000), "too much"),
        (httpx.ConnectError("refused"), "the service failed: ConnectError"),
    ],
)
async def test_a_service_that_misbehaves_is_a_failure(answer: httpx.Response | Exception, failure: str) -> None:
    recogniser = service(answer)
    assert failure in (await recogniser.recognise(b"\0\0", RATE, language="en")).failure
    await recogniser.close()


async def test_a_service_may_understand_nothing() -> None:
    recogniser = service(httpx.Response(200, json={"text": None}))
    assert await recogniser.recognise(b"\0\0", RATE, language="en") == Heard("", 1.0)
    await recogniser.close()
