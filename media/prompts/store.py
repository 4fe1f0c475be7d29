"""Turns a play item into what goes on the wire, once per codec, and keeps it for all calls.

Everything here blocks (files, synthesis): call it from an executor thread, never from the control loop. All methods
may be called from any number of threads.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

import msgspec
import numpy as np
from numpy.typing import NDArray

from media import g711, tones
from media.codecs.g722 import G722Encoder
from media.codecs.opus import OpusEncoder, OpusError
from media.dsp.level import Floats, Samples, apply_gain, normalise, to_float, to_int16
from media.dsp.resample import resample
from media.prompts import music
from media.prompts.audio import EXTENSIONS, read_at
from media.prompts.cache import DiskCache, MemoryCache
from media.prompts.errors import PromptError
from media.prompts.speech import Speaker
from media.prompts.voice import Voice
from media.protocol import File, Music, PlayItem, Silence, Speech, Tone

MAX_SILENCE_MS = 3_600_000
MAX_FILE_S = 3600.0
MAX_MUSIC_S = 7200.0
MAX_MUSIC_FILES = 1000
MIN_RATE, MAX_RATE = 8000, 48_000
BUILT_IN_MUSIC = frozenset({"", "builtin"})
"""Names of the piece that ships with Tandem, in place of a folder."""
MUSIC_JOIN_MS = 20
"""Cross-fade where one file of a folder follows another."""

RATES = {"PCMU": 8000, "PCMA": 8000, "G722": 16_000, "L16": 8000}
"""Sample rate an item is rendered at for a codec; ``L16/16000`` names another."""


@dataclass(frozen=True, slots=True)
class Packets:
    """Ready-made packets of a codec whose frames differ in size."""

    data: bytes
    offsets: NDArray[np.uint32]
    """Where each packet begins in ``data``, and at last where the last one ends."""


class PromptStore:
    """Renders, encodes and caches play items.

    :param cache_dir: where rendered clips are kept between runs; made if it is not there.
    :param voices: language tag to voice, see :func:`media.prompts.speech.parse_voices`; None: espeak-ng for all.
    :param roots: folders in which relative paths of files and music are looked for, in this order.
    :param memory_bytes: limit of what is kept decoded, and again of what is kept encoded.
    """

    def __init__(
        self,
        cache_dir: str | os.PathLike[str],
        *,
        voices: Mapping[str, Voice] | None = None,
        roots: Iterable[str | os.PathLike[str]] = (),
        memory_bytes: int = 256 * 1024 * 1024,
        disk_bytes: int = 2 * 1024**3,
    ) -> None:
        self._roots = tuple(Path(root) for root in roots)
        self._disk = DiskCache(Path(cache_dir), disk_bytes)
        self._speaker = Speaker(voices)
        self._samples: MemoryCache[Samples] = MemoryCache(memory_bytes, lambda clip: clip.nbytes)
        self._encoded: MemoryCache[bytes] = MemoryCache(memory_bytes, len)
        self._packets: MemoryCache[Packets] = MemoryCache(memory_bytes, lambda packets: len(packets.data))
        self._hashes: dict[tuple[str, int, int, int], str] = {}
        self._hashes_lock = threading.Lock()

    # --- what the engine calls --------------------------------------------------------------------------------------

    def encoded(self, item: PlayItem, codec: str) -> bytes:
        """Payload bytes of the whole item: PCMU, PCMA (8 kHz), G722 (16 kHz, 64 kbit/s), L16 (RFC 3551: network byte
        order; 8 kHz, or as in ``L16/16000``). The same object is returned for as long as it is cached.

        :raises PromptError: the item cannot be rendered, or the codec is none of these."""
        name, rate = _parse_codec(codec)
        key = (self._key(item), name, rate)
        return self._encoded.get(key, lambda: _encode(self.samples(item, rate), name))

    def packets(self, item: PlayItem, *, rate: int = 48_000, bitrate: int = 24_000) -> Packets:
        """The whole item as Opus packets of 20 ms, mono, with forward error correction; shared like :meth:`encoded`.

        :raises PromptError: the item cannot be rendered, or libopus was not found."""
        key = (self._key(item), rate, bitrate)
        return self._packets.get(key, lambda: _encode_opus(self.samples(item, rate), rate, bitrate))

    def samples(self, item: PlayItem, rate: int) -> Samples:
        """Mono 16-bit samples of the whole item at 8000 to 48000 Hz, read-only and shared.

        :raises PromptError: the item cannot be rendered."""
        if not MIN_RATE <= rate <= MAX_RATE:
            raise PromptError(f"sample rate {rate}; expected {MIN_RATE}-{MAX_RATE}")
        return self._samples.get((self._key(item), rate), lambda: self._render_frozen(item, rate))

    def duration_ms(self, item: PlayItem) -> int:
        """Length of the item. :raises PromptError: the item cannot be rendered."""
        if isinstance(item, Silence):
            return _check_silence(item)
        return len(self.samples(item, 8000)) // 8

    def music(self, folder: str, codec: str, gain_db: float = 0.0) -> bytes:
        """:meth:`encoded` of a folder's endless loop; wrap around at its end."""
        return self.encoded(Music(folder=folder, gain_db=gain_db), codec)

    def find_file(self, path: str) -> Path:
        """The file a path names: absolute, or under one of the roots; with or without its extension.

        :raises PromptError: not there, or a relative path that leaves the roots."""
        if not path or "\0" in path or len(path) > 4096:
            raise PromptError("a file item without a usable path")
        for place in self._places(path):
            for name in (place, *(Path(f"{place}{extension}") for extension in EXTENSIONS)):
                if name.is_file():
                    return name
        raise PromptError(self._missing(f"no audio file {path[:200]!r}"))

    def close(self) -> None:
        """End speech workers. The store may be used again."""
        self._speaker.close()

    # --- places -----------------------------------------------------------------------------------------------------

    def _places(self, path: str) -> list[Path]:
        relative = Path(path)
        if relative.is_absolute():
            return [relative]
        if ".." in relative.parts:
            raise PromptError(f"path {path[:200]!r} leaves the prompt folders")
        return [root / relative for root in self._roots]

    def _missing(self, what: str) -> str:
        return f"{what} in {', '.join(map(str, self._roots))}" if self._roots else what

    def _music_files(self, folder: str) -> list[Path]:
        for place in self._places(folder):
            if place.is_dir():
                files = sorted(path for path in place.iterdir() if path.suffix.lower() in EXTENSIONS and path.is_file())
                if not files:
                    raise PromptError(f"music folder {str(place)!r} holds no audio file")
                if len(files) > MAX_MUSIC_FILES:
                    raise PromptError(f"music folder {str(place)!r} holds {len(files)} files; limit {MAX_MUSIC_FILES}")
                return files
        raise PromptError(self._missing(f"no music folder {folder[:200]!r}"))

    def _content_hash(self, path: Path) -> str:
        try:
            status = path.stat()
            stamp = (str(path), status.st_mtime_ns, status.st_size, status.st_ino)
            with self._hashes_lock:
                known = self._hashes.get(stamp)
            if known is not None:
                return known
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise PromptError(f"{path}: {error.strerror or error}") from error
        with self._hashes_lock:
            if len(self._hashes) > 100_000:
                self._hashes.clear()
            self._hashes[stamp] = digest
        return digest

    # --- keys and rendering -----------------------------------------------------------------------------------------

    def _key(self, item: PlayItem) -> str:
        """Hash of all that decides what the item sounds like; for files their content, so an edited file is new."""
        parts: tuple[Any, ...]
        match item:
            case File():
                content = self._content_hash(self.find_file(item.path))
                parts = ("file", content, item.gain_db, item.offset_ms, item.normalise)
            case Speech():
                parts = ("speech", item.text, self._speaker.identity(item.language, item.voice))
            case Tone():
                parts = ("tone", item.name, item.country, item.spec, item.duration_ms, item.level_db)
            case Silence():
                parts = ("silence", item.duration_ms)
            case Music() if item.folder in BUILT_IN_MUSIC:
                parts = ("builtin", music.VERSION, item.gain_db)
            case Music():
                contents = [self._content_hash(path) for path in self._music_files(item.folder)]
                parts = ("music", contents, item.gain_db)
            case _:
                assert_never(item)
        return hashlib.sha256(msgspec.msgpack.encode(parts)).hexdigest()

    def _render_frozen(self, item: PlayItem, rate: int) -> Samples:
        clip = np.ascontiguousarray(self._render(item, rate))
        clip.setflags(write=False)
        return clip

    def _render(self, item: PlayItem, rate: int) -> Samples:
        match item:
            case File():
                return self._on_disk(item, rate, self._render_file)
            case Speech():
                return self._render_speech(item, rate)
            case Tone():
                try:
                    steps = tones.parse_spec(item.spec) if item.spec else tones.find_tone(item.name, item.country)
                    return tones.render_steps(steps, rate, duration_ms=item.duration_ms, level_db=item.level_db)
                except tones.ToneError as error:
                    raise PromptError(str(error)) from error
            case Silence():
                return np.zeros(_check_silence(item) * rate // 1000, np.int16)
            case Music():
                return self._on_disk(item, rate, self._render_music)
            case _:
                assert_never(item)

    def _on_disk(self, item: Any, rate: int, render: Callable[[Any, int], Floats]) -> Samples:
        key = hashlib.sha256(f"{self._key(item)} {rate}".encode()).hexdigest()
        kept = self._disk.get(key)
        if kept is not None and kept[1] == rate:
            return kept[0]
        samples = to_int16(render(item, rate))
        self._disk.put(key, samples, rate)
        return samples

    def _render_file(self, item: File, rate: int) -> Floats:
        path = self.find_file(item.path)
        audio = read_at(path, str(path), rate, offset_ms=item.offset_ms, max_s=MAX_FILE_S).audio
        return apply_gain(normalise(audio, rate) if item.normalise else audio, item.gain_db)

    def _render_speech(self, item: Speech, rate: int) -> Samples:
        # The engine's own rate is what is kept: one synthesis serves all codecs.
        key = self._key(item)
        kept = self._disk.get(key)
        if kept is None:
            clip = self._speaker.speak(item.text, item.language, item.voice)
            kept = to_int16(clip.audio), clip.rate
            self._disk.put(key, *kept)
        samples, own_rate = kept
        return samples if own_rate == rate else to_int16(resample(to_float(samples), own_rate, rate))

    def _render_music(self, item: Music, rate: int) -> Floats:
        if item.folder in BUILT_IN_MUSIC:
            return apply_gain(music.compose(rate), item.gain_db)
        pieces: list[Floats] = []
        left = MAX_MUSIC_S
        for path in self._music_files(item.folder):
            pieces.append(read_at(path, str(path), rate, max_s=left).audio)
            left -= len(pieces[-1]) / rate
        return apply_gain(_join_loop(pieces, rate), item.gain_db)


def _check_silence(item: Silence) -> int:
    if not 0 <= item.duration_ms <= MAX_SILENCE_MS:
        raise PromptError(f"silence of {item.duration_ms} ms; expected 0-{MAX_SILENCE_MS}")
    return item.duration_ms


def _join_loop(pieces: list[Floats], rate: int) -> Floats:
    """One endless loop: each piece fades into the next, the last into the first. A single piece is a loop as it is."""
    if len(pieces) == 1:
        return pieces[0]
    fade = min(rate * MUSIC_JOIN_MS // 1000, *(len(piece) // 2 for piece in pieces))
    if fade == 0:
        return np.concatenate(pieces)
    rise = np.sqrt((np.arange(fade, dtype=np.float32) + 0.5) / fade)
    parts: list[Floats] = []
    for before, piece in zip([pieces[-1], *pieces[:-1]], pieces, strict=True):
        # Each piece gives its end away to the beginning of the one behind it.
        parts += [before[-fade:] * rise[::-1] + piece[:fade] * rise, piece[fade:-fade]]
    return np.concatenate(parts)


def _parse_codec(codec: str) -> tuple[str, int]:
    name, _, rate = codec.upper().partition("/")
    if name not in ("PCMU", "PCMA", "G722", "L16") or (rate and (name != "L16" or not rate.isascii())):
        raise PromptError(f"no payload of codec {codec[:40]!r}; known: PCMU, PCMA, G722, L16, L16/<rate>")
    if rate and not (rate.isdigit() and len(rate) <= 5):
        raise PromptError(f"codec {codec[:40]!r}: {rate[:20]!r} is not a sample rate")
    return name, int(rate) if rate else RATES[name]


def _encode(samples: Samples, name: str) -> bytes:
    match name:
        case "PCMU" | "PCMA":
            return g711.encode(samples, "PCMU" if name == "PCMU" else "PCMA")
        case "G722":
            return G722Encoder().encode(samples)
        case _:
            return samples.astype(">i2").tobytes()


def _encode_opus(samples: Samples, rate: int, bitrate: int) -> Packets:
    try:
        encoder = OpusEncoder(rate, bitrate=bitrate, fec=True, complexity=9)
    except OpusError as error:
        raise PromptError(str(error)) from error
    frame = rate // 50
    whole = np.concatenate([samples, np.zeros(-len(samples) % frame, np.int16)])
    packets = [encoder.encode(whole[start : start + frame]) for start in range(0, len(whole), frame)]
    offsets = np.cumsum([0, *map(len, packets)], dtype=np.uint32)
    offsets.setflags(write=False)
    return Packets(b"".join(packets), offsets)
