"""Play items as clips the engine can send: rendered once per codec, held once for all calls.

The prompt store blocks, so what is not at hand is fetched in a thread; what is at hand is answered at once, which
keeps the common case (a prompt heard before) free of any task.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from media.codecs.coders import DEFAULT_BITRATE
from media.codecs.g722 import G722Encoder
from media.codecs.opus import OpusEncoder
from media.engine.handover import Clip
from media.engine.terms import CodecSpec
from media.prompts.errors import PromptError
from media.prompts.store import PromptStore
from media.protocol import File, Music, PlayItem

CACHE_BYTES = 256 * 1024 * 1024
NAMES = ("PCMU", "PCMA", "G722", "OPUS", "L16")


class ClipLoader:
    """Clips by item and format, least recently used out first."""

    def __init__(self, store: PromptStore, executor: ThreadPoolExecutor, cache_bytes: int = CACHE_BYTES) -> None:
        self._store = store
        self._executor = executor
        self._cache: OrderedDict[tuple[PlayItem, str], tuple[Clip, object]] = OrderedDict()
        self._limit = cache_bytes
        self._held = 0

    def at_hand(self, items: Sequence[PlayItem], form: str) -> list[Clip] | None:
        """The clips if all are cached and their files unchanged."""
        found = []
        for item in items:
            entry = self._cache.get((item, form))
            if entry is None or entry[1] != self._stamp(item):
                return None
            self._cache.move_to_end((item, form))
            found.append(entry[0])
        return found

    async def load(self, items: Sequence[PlayItem], form: str) -> list[Clip]:
        """Render what is not at hand. Raises PromptError naming the item that cannot be played."""
        loop = asyncio.get_running_loop()
        return [await loop.run_in_executor(self._executor, self._load_one, item, form) for item in items]

    def _load_one(self, item: PlayItem, form: str) -> Clip:
        stamp = self._stamp(item)
        entry = self._cache.get((item, form))
        if entry is not None and entry[1] == stamp:
            return entry[0]
        clip = self._render(item, form)
        self._keep((item, form), clip, stamp)
        return clip

    def _render(self, item: PlayItem, form: str) -> Clip:
        endless = isinstance(item, Music)
        if form.startswith("linear/"):
            return Clip(self._store.samples(item, int(form[7:])).tobytes(), None, endless)
        if form == "G722":
            return Clip(G722Encoder().encode(self._store.samples(item, 16000)), None, endless)
        if form == "OPUS":
            return _encode_opus(self._store.samples(item, 16000), endless)
        return Clip(self._store.encoded(item, form), None, endless)

    def _keep(self, key: tuple[PlayItem, str], clip: Clip, stamp: object) -> None:
        before = self._cache.pop(key, None)
        if before is not None:
            self._held -= len(before[0].data)
        self._cache[key] = (clip, stamp)
        self._held += len(clip.data)
        while self._held > self._limit and len(self._cache) > 1:
            _, (old, _) = self._cache.popitem(last=False)
            self._held -= len(old.data)

    def _stamp(self, item: PlayItem) -> object:
        """What changes when the audio behind an item does."""
        if isinstance(item, File):
            try:
                place = os.stat(self._store.find_file(item.path))
            except (PromptError, OSError):
                return None
            return place.st_mtime_ns, place.st_size
        if isinstance(item, Music) and os.path.isabs(item.folder):
            try:
                return os.stat(item.folder).st_mtime_ns
            except OSError:
                return None
        return 0


def _encode_opus(samples: NDArray[np.int16], endless: bool) -> Clip:
    """Packets of 20 ms, the last filled up with silence."""
    encoder = OpusEncoder(16000, bitrate=DEFAULT_BITRATE)
    padded = np.zeros(-(-len(samples) // 320) * 320, np.int16)
    padded[: len(samples)] = samples
    packets = [encoder.encode(padded[at : at + 320]) for at in range(0, len(padded), 320)]
    offsets = [0, *itertools.accumulate(len(packet) for packet in packets)]
    return Clip(b"".join(packets), offsets, endless)


def clip_form(codec: CodecSpec, linear: bool) -> str:
    """The form a clip must have for a leg: a codec's name, or samples at the leg's rate."""
    if linear or NAMES[codec.kind] == "L16":
        return f"linear/{codec.pcm_rate}"
    return NAMES[codec.kind]
