"""Speech recognition from pip alone: pocketsphinx with the American English model it ships.

Digital silence and loud speech lead this model astray: an utterance is trimmed, brought to one level and laid over
noise 20 dB below it. Of a grammar it always finds something; how far the best path fell behind, a frame of speech,
tells words of the menu from others.
"""

from __future__ import annotations

import asyncio
import math
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from media.dsp.level import to_float, trim_silence
from pbx.ports.recogniser import Heard

RATE = 16000
"""What the model was trained for; a telephone's 8 kHz is resampled."""
DIGITS = ("zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MAX_SECONDS = 30
MAX_PHRASES = 200
MAX_GRAMMARS = 64
"""Menus whose grammars are kept ready."""
LEVEL = 1500.0
"""Root mean square that speech is brought to, of 32768."""
LEAST_CONFIDENCE = 0.55
"""Of 40 menu words in five synthesised voices 35 are right and reach it, 3 wrong, and of 20 other words 7."""
_PADDING = np.zeros(round(0.3 * RATE))
_NOISE = np.random.default_rng(1).normal(0.0, LEVEL / 10, RATE * (MAX_SECONDS + 1))
_EVEN_SCORE, _SCORE_SPAN = -0.006, 0.008
"""Logarithm of the path's score a frame that means a confidence of a half, and that from nothing to certainty."""


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
        spoken = _trim(samples, rate)
        if not len(spoken):
            return Heard()
        audio = np.concatenate([_PADDING, spoken, _PADDING])
        audio = np.clip(audio + _NOISE[: len(audio)], -32768, 32767)
        decoder.activate_search(grammar)
        decoder.start_utt()
        decoder.process_raw(audio.astype("<i2").tobytes(), full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        if found is None or not found.hypstr or found.best_score <= 0:
            return Heard()
        score = math.log(found.best_score) / (len(spoken) * 100 / RATE)
        confidence = min(1.0, max(0.0, 0.5 + (score - _EVEN_SCORE) / _SCORE_SPAN))
        return Heard(found.hypstr if confidence >= LEAST_CONFIDENCE else "", round(confidence, 3))

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


def _trim(samples: bytes, rate: int) -> NDArray[np.float64]:
    """What was spoken, at the model's rate and level; empty where there is nothing but silence."""
    audio = to_float(np.frombuffer(samples[: len(samples) // 2 * 2], "<i2")[: rate * MAX_SECONDS].astype(np.int16))
    around = np.zeros(rate // 5, np.float32)
    audio = trim_silence(np.concatenate([around, audio, around]), rate)
    if rate != RATE and len(audio):
        audio = soxr.resample(audio, rate, RATE)
    power = float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)))) if len(audio) else 0.0
    return audio.astype(np.float64) * (LEVEL / power) if power > 1e-4 else np.zeros(0)


def _words(phrase: str) -> list[str]:
    """Plain English words of a phrase; nothing else may get into a grammar."""
    words = phrase.lower().split()
    return words if all(re.fullmatch(r"[a-z][a-z']*", word) for word in words) else []
