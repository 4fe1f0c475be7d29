"""Speech recognition from pip alone: pocketsphinx with the American English model it ships."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import soxr

from pbx.ports.recogniser import Heard

RATE = 16000
"""What the model was trained for; a telephone's 8 kHz is resampled."""
DIGITS = ("zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MAX_SECONDS = 30
MAX_PHRASES = 200
MAX_GRAMMARS = 64
"""Menus whose grammars are kept ready."""
_PADDING = np.zeros(RATE // 4, np.int16)


class PocketSphinxRecogniser:
    """One decoder in a thread of its own; utterances wait for each other."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recogniser")
        self._decoder: Any = None
        self._grammars: dict[tuple[tuple[str, ...], bool], str] = {}

    async def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def recognise(
        self, samples: bytes, rate: int, *, language: str, phrases: tuple[str, ...] = (), digits: bool = False
    ) -> Heard:
        if language.split("-")[0].lower() != "en":
            return Heard(failure=f"pocketsphinx has no model for {language}")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._recognise, samples, rate, phrases, digits)

    def _recognise(self, samples: bytes, rate: int, phrases: tuple[str, ...], digits: bool) -> Heard:
        try:
            decoder = self._open()
        except ImportError:
            return Heard(failure="pocketsphinx is not installed: pip install 'tandem-pbx[recognition]'")
        grammar = self._find_grammar(decoder, phrases[:MAX_PHRASES], digits)
        if not grammar:
            return Heard(failure="no word of the grammar is in the dictionary of the model")
        audio = np.frombuffer(samples[: len(samples) // 2 * 2], "<i2")[: rate * MAX_SECONDS]
        if not len(audio):
            return Heard()
        if rate != RATE:
            audio = soxr.resample(audio, rate, RATE)
        decoder.activate_search(grammar)
        decoder.start_utt()
        decoder.process_raw(np.concatenate([_PADDING, audio, _PADDING]).astype("<i2").tobytes(), full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        if found is None or not found.hypstr:
            return Heard()
        return Heard(found.hypstr, min(1.0, max(0.0, float(found.prob))))

    def _open(self) -> Any:
        if self._decoder is None:
            from pocketsphinx import Decoder  # optional: an extra of its own, 38 MB with its model

            self._decoder = Decoder(lm=None, loglevel="FATAL", samprate=RATE)
        return self._decoder

    def _find_grammar(self, decoder: Any, phrases: tuple[str, ...], digits: bool) -> str:
        """The name of a grammar in the decoder; empty where it would have no word."""
        key = (phrases, digits)
        if key in self._grammars:
            return self._grammars[key]
        known = [words for words in map(_words, phrases) if words and all(map(decoder.lookup_word, words))]
        choices = [" ".join(words) for words in known]
        if digits:
            choices.append(f"( {' | '.join(DIGITS)} )+")
        if not choices:
            return ""
        if len(self._grammars) >= MAX_GRAMMARS:
            decoder.remove_search(self._grammars.pop(next(iter(self._grammars))))
        name = f"grammar{hash(key) & 0xFFFFFFFFFFFFFFFF:x}"
        rule = " | ".join(choices)
        decoder.add_jsgf_string(name, f"#JSGF V1.0; grammar menu; public <menu> = {rule};")
        self._grammars[key] = name
        return name


def _words(phrase: str) -> list[str]:
    """Plain English words of a phrase; nothing else may get into a grammar."""
    words = phrase.lower().split()
    return words if all(re.fullmatch(r"[a-z][a-z']*", word) for word in words) else []
