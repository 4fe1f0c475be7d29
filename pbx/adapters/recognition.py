"""The recognisers of the configuration: each utterance goes to the one of its language."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pbx.adapters.recognise_http import HttpRecogniser
from pbx.adapters.recognise_pocketsphinx import PocketSphinxRecogniser
from pbx.app.outputs import Recognise
from pbx.config.base import SecretSource
from pbx.config.speech import SpeechRecogniser
from pbx.ivr.messages import Recognised
from pbx.ports.recogniser import Recogniser

MAX_AT_ONCE = 64
"""Utterances being recognised; the caller of one more goes on with digits."""


class Recognition:
    """Carries out :class:`Recognise`; never raises for what an engine does."""

    def __init__(self, configured: Mapping[str, SpeechRecogniser], reveal: Callable[[SecretSource], str]) -> None:
        self._configured = configured
        self._engines = {language: _make_engine(entry, reveal) for language, entry in configured.items()}
        self._busy = 0

    async def close(self) -> None:
        for engine in self._engines.values():
            await engine.close()

    async def recognise(self, request: Recognise) -> Recognised:
        asked = request.key[1]
        language = request.language if request.language in self._engines else request.language.split("-")[0]
        engine = self._engines.get(language)
        if engine is None:
            return Recognised(asked, failure=f"no recogniser for {request.language} is configured")
        if self._busy >= MAX_AT_ONCE:
            return Recognised(asked, failure=f"{MAX_AT_ONCE} utterances are being recognised already")
        self._busy += 1
        try:
            heard = await engine.recognise(
                request.samples,
                request.rate,
                language=request.language,
                phrases=request.phrases,
                digits=request.digits,
            )
        finally:
            self._busy -= 1
        sure = heard.confidence >= self._configured[language].least_confidence
        return Recognised(asked, heard.text if sure else "", heard.confidence, heard.failure)


def _make_engine(entry: SpeechRecogniser, reveal: Callable[[SecretSource], str]) -> Recogniser:
    if entry.kind == "pocketsphinx":
        return PocketSphinxRecogniser()
    return HttpRecogniser(str(entry.url), token=reveal(entry.token) if entry.token else "", timeout=entry.timeout)
