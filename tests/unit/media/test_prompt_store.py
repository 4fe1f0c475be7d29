"""The prompt store by what comes out of it: content, sharing, caching, and clear refusals."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from media import g711
from media.dsp import level
from media.prompts.cache import DiskCache, MemoryCache
from media.prompts.errors import PromptError
from media.prompts.store import PromptStore
from media.protocol import File, Music, PlayItem, Silence, Speech, Tone
from tools import listen


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    folder.mkdir()
    return folder


@pytest.fixture
def store(tmp_path: Path, sounds: Path) -> Iterator[PromptStore]:
    store = PromptStore(tmp_path / "cache", roots=[tmp_path / "absent", sounds])
    yield store
    store.close()


def write_tone(path: Path, hz: float, seconds: float = 1.0, rate: int = 44_100, amplitude: float = 0.3) -> None:
    wave = amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)
    soundfile.write(path, np.stack([wave, wave], axis=1), rate)


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3"])
def test_any_format_comes_out_in_every_codec(store: PromptStore, sounds: Path, extension: str) -> None:
    write_tone(sounds / f"a.{extension}", 700)
    item = File(path=f"a.{extension}")
    wanted = 20 * np.log10(0.3) - 3.01
    for codec, decode in (("PCMU", g711.decode_ulaw), ("PCMA", g711.decode_alaw)):
        heard = listen.from_int16(decode(store.encoded(item, codec)))
        assert listen.tone_level_dbfs(heard, 8000, 700, 0.1, 0.9) == pytest.approx(wanted, abs=0.3)
        assert len(heard) == pytest.approx(8000, abs=400)  # MP3 pads
    for codec, rate in (("L16", 8000), ("L16/16000", 16_000)):
        heard = listen.from_int16(np.frombuffer(store.encoded(item, codec), ">i2").astype(np.int16))
        assert listen.tone_level_dbfs(heard, rate, 700, 0.1, 0.9) == pytest.approx(wanted, abs=0.3)


def test_a_tone_above_the_band_does_not_fold_back(store: PromptStore, sounds: Path) -> None:
    write_tone(sounds / "high.wav", 6000)
    heard = listen.from_int16(store.samples(File(path="high.wav"), 8000))
    assert listen.level_dbfs(heard, 8000, 0.1, 0.9) < -80
    assert listen.tone_present(listen.from_int16(store.samples(File(path="high.wav"), 16_000)), 16_000, 6000) > 0.99


def test_gain_offset_and_normalising(store: PromptStore, sounds: Path) -> None:
    write_tone(sounds / "a.wav", 700, seconds=2.0, amplitude=0.05)
    plain = listen.from_int16(store.samples(File(path="a.wav"), 8000))
    louder = listen.from_int16(store.samples(File(path="a.wav", gain_db=6.0, offset_ms=500), 8000))
    assert len(louder) == len(plain) - 4000
    rise = listen.level_dbfs(louder, 8000, 0.1, 1.0) - listen.level_dbfs(plain, 8000, 0.1, 1.0)
    assert rise == pytest.approx(6.0, abs=0.1)
    levelled = listen.from_int16(store.samples(File(path="a.wav", normalise=True), 8000))
    assert listen.level_dbfs(levelled, 8000, 0.1, 1.9) == pytest.approx(-20.0, abs=0.2)


def test_all_players_share_one_copy(store: PromptStore) -> None:
    item = Tone(name="busy")
    assert store.encoded(item, "PCMU") is store.encoded(Tone(name="busy"), "pcmu")
    assert store.samples(item, 8000) is store.samples(Tone(name="busy"), 8000)
    with pytest.raises(ValueError, match="read-only"):
        store.samples(item, 8000)[0] = 1


def test_an_edited_file_is_a_new_prompt(store: PromptStore, sounds: Path) -> None:
    write_tone(sounds / "a.wav", 700)
    store.encoded(File(path="a.wav"), "PCMU")
    write_tone(sounds / "a.wav", 1200, seconds=0.5)
    heard = listen.from_int16(g711.decode_ulaw(store.encoded(File(path="a.wav"), "PCMU")))
    assert listen.tone_present(heard, 8000, 1200) > 0.98


def test_files_are_found_in_the_roots_or_by_absolute_path(store: PromptStore, sounds: Path, tmp_path: Path) -> None:
    (sounds / "zh").mkdir()
    write_tone(sounds / "zh" / "welcome.flac", 700)
    assert store.find_file("zh/welcome.flac") == store.find_file("zh/welcome") == sounds / "zh" / "welcome.flac"
    assert store.find_file(str(sounds / "zh" / "welcome.flac")) == sounds / "zh" / "welcome.flac"
    with pytest.raises(PromptError, match="leaves the prompt folders"):
        store.find_file("../secret.wav")
    with pytest.raises(PromptError, match=r"no audio file 'nothing\.wav' in .*absent, .*sounds"):
        store.find_file("nothing.wav")
    for path in ("", "a\0b"):
        with pytest.raises(PromptError, match="usable path"):
            store.find_file(path)


def test_what_is_no_audio_is_refused_by_name(store: PromptStore, sounds: Path) -> None:
    (sounds / "broken.wav").write_bytes(b"RIFF but not really")
    (sounds / "empty.wav").write_bytes(b"")
    soundfile.write(sounds / "nothing.wav", np.zeros(0), 8000)
    for name, complaint in (("broken", "not readable"), ("empty", "not readable"), ("nothing", "no audio in it")):
        with pytest.raises(PromptError, match=rf"{name}\.wav: {complaint}"):
            store.encoded(File(path=f"{name}.wav"), "PCMU")


def test_a_file_cut_in_the_middle_is_an_error_or_shorter_never_a_crash(store: PromptStore, sounds: Path) -> None:
    write_tone(sounds / "whole.flac", 700)
    data = (sounds / "whole.flac").read_bytes()
    for size in range(10, len(data), len(data) // 9):
        (sounds / "cut.flac").write_bytes(data[:size])
        try:
            assert store.duration_ms(File(path="cut.flac")) <= 1000
        except PromptError as error:
            assert "cut.flac" in error.reason


@pytest.mark.parametrize("seed", range(6))
def test_damaged_files_are_refused_or_shorter_never_more(store: PromptStore, sounds: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for extension in ("wav", "flac", "ogg", "mp3", "aiff"):
        write_tone(sounds / f"whole.{extension}", 700, seconds=0.5)
        for _ in range(15):
            data = bytearray((sounds / f"whole.{extension}").read_bytes())
            for at in rng.integers(0, min(len(data), int(rng.choice([60, 400, 100_000]))), 6):
                data[at] = rng.integers(0, 256)
            (sounds / f"hurt.{extension}").write_bytes(data)
            try:
                assert len(store.samples(File(path=f"hurt.{extension}"), 8000)) < 8000 * 3600
            except PromptError as error:
                assert f"hurt.{extension}" in error.reason


def test_floats_that_are_no_numbers_are_silence(store: PromptStore, sounds: Path) -> None:
    wild = np.array([np.nan, np.inf, -np.inf, 1e30, 0.25] * 100, np.float32)
    soundfile.write(sounds / "wild.wav", wild, 8000, subtype="FLOAT")
    heard = store.samples(File(path="wild.wav"), 8000)
    assert heard[:5].tolist() == [0, 0, 0, 32767, 8192]


@pytest.mark.parametrize(
    ("item", "codec", "complaint"),
    [
        (Silence(duration_ms=-1), "PCMU", "silence of -1 ms"),
        (Tone(name="hum"), "PCMU", "no tone 'hum'"),
        (Tone(spec="1/2/3/4"), "PCMU", "is not freq"),
        (Speech(text="  "), "PCMU", "no text"),
        (Speech(text="x" * 5000), "PCMU", "limit is 4000"),
        (Music(folder="nowhere"), "PCMU", "no music folder 'nowhere'"),
        (Tone(name="busy"), "SPEEX", "no payload of codec"),
        (Tone(name="busy"), "L16/x", "not a sample rate"),
        (Tone(name="busy"), "L16/96000", "sample rate 96000"),
    ],
)
def test_refusals_say_why(store: PromptStore, item: PlayItem, codec: str, complaint: str) -> None:
    with pytest.raises(PromptError, match=complaint):
        store.encoded(item, codec)


def test_silence_and_tones(store: PromptStore) -> None:
    assert store.encoded(Silence(duration_ms=500), "PCMA") == b"\xd5" * 4000
    assert store.duration_ms(Silence(duration_ms=500)) == 500
    assert store.duration_ms(Tone(name="ringback", country="cn")) == 5000
    assert store.duration_ms(Tone(spec="440/100/50", duration_ms=1000)) == 1000


# --- music ------------------------------------------------------------------------------------------------------------


def test_a_music_folder_is_one_gapless_loop_in_name_order(store: PromptStore, sounds: Path) -> None:
    for name, hz in (("2.ogg", 900), ("1.wav", 500), ("3.flac", 1300)):
        write_tone(sounds / name, hz, seconds=2.0)
    (sounds / "README.txt").write_text("not music")
    heard = listen.from_int16(g711.decode_alaw(store.music(str(sounds), "PCMA")))
    assert len(heard) / 8000 == pytest.approx(6.0, abs=0.07)
    for index, hz in enumerate((500, 900, 1300)):
        assert listen.tone_present(heard, 8000, hz, index * 2 + 0.1, index * 2 + 1.9) > 0.98
    round_and_round = np.concatenate([heard, heard])
    assert listen.find_gaps(round_and_round, 8000, below_db=-30) == []
    assert listen.find_clicks(round_and_round, 8000, jump=0.15) == []


def test_an_empty_music_folder_is_refused(store: PromptStore, sounds: Path) -> None:
    with pytest.raises(PromptError, match="holds no audio file"):
        store.music(str(sounds), "PCMU")


@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
def test_the_built_in_music_loops_without_a_seam(store: PromptStore, rate: int) -> None:
    heard = listen.from_int16(store.samples(Music(folder=""), rate))
    assert len(heard) / rate == pytest.approx(26.67, abs=0.01)
    assert listen.level_dbfs(heard, rate) == pytest.approx(-24, abs=1.5)
    seam = np.concatenate([heard[-rate:], heard[:rate]])
    steps = np.abs(np.diff(seam))
    assert steps[rate - 3 : rate + 3].max() <= np.percentile(steps, 99.9)
    assert listen.find_gaps(np.concatenate([heard, heard]), rate, below_db=-50) == []


# --- caches -----------------------------------------------------------------------------------------------------------


def test_a_second_run_reads_the_disk_and_makes_nothing_anew(tmp_path: Path, sounds: Path) -> None:
    write_tone(sounds / "a.wav", 700)
    first = PromptStore(tmp_path / "cache", roots=[sounds])
    spoken = first.encoded(Speech(text="hello"), "PCMU")
    played = first.encoded(File(path="a.wav"), "PCMU")
    first.close()

    second = PromptStore(tmp_path / "cache", roots=[sounds])
    assert second.encoded(Speech(text="hello"), "PCMU") == spoken
    assert second.encoded(File(path="a.wav"), "PCMU") == played
    assert second._speaker._engines["espeak"].worker_pid is None  # type: ignore[attr-defined]
    assert second.encoded(Speech(text="good bye"), "PCMU") != spoken
    assert second._speaker._engines["espeak"].worker_pid is not None  # type: ignore[attr-defined]
    second.close()


def test_a_damaged_cache_file_is_made_again(tmp_path: Path) -> None:
    store = PromptStore(tmp_path / "cache")
    good = store.encoded(Speech(text="hello"), "PCMU")
    store.close()
    (clip,) = (tmp_path / "cache").glob("*/*.clip")
    whole = clip.read_bytes()
    for damage in (b"", whole[:10], whole[:-2], whole[:-1] + bytes([whole[-1] ^ 1])):
        clip.write_bytes(damage)
        store = PromptStore(tmp_path / "cache")
        assert store.encoded(Speech(text="hello"), "PCMU") == good
        store.close()
    assert clip.read_bytes() == whole
    assert not [path for path in clip.parent.iterdir() if path.suffix == ".part"]


def test_a_cache_folder_that_cannot_be_written_costs_only_the_caching(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file is in the way")
    store = PromptStore(tmp_path / "cache")
    assert store.duration_ms(Music(folder="")) > 26_000
    store.close()


def test_disk_cache_drops_what_was_unused_longest(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, limit_bytes=30_000)
    for index in range(6):
        cache.put(f"{index:02d}aa", np.zeros(5000, np.int16), 8000)
        os.utime(tmp_path / f"{index:02d}" / "aa.clip", (1000 + index, 1000 + index))
    cache.prune()
    left = [index for index in range(6) if cache.get(f"{index:02d}aa") is not None]
    assert left == [4, 5]


def test_memory_cache_stays_under_its_limit() -> None:
    cache: MemoryCache[bytes] = MemoryCache(100, len)
    for index in range(20):
        cache.get(index, lambda: b"x" * 30)
    assert cache.used_bytes == 90
    assert cache.get(19, lambda: b"made again") == b"x" * 30
    cache.clear()
    assert cache.used_bytes == 0


def test_many_threads_asking_together_make_it_once() -> None:
    cache: MemoryCache[bytes] = MemoryCache(1000, len)
    made: list[int] = []
    together = threading.Barrier(8)

    def make() -> bytes:
        made.append(1)
        return b"x"

    def ask(_: int) -> bytes:
        together.wait()
        return cache.get("key", make)

    with ThreadPoolExecutor(8) as pool:
        values = list(pool.map(ask, range(8)))
    assert made == [1]
    assert all(value is values[0] for value in values)


def test_a_failure_is_not_cached() -> None:
    cache: MemoryCache[bytes] = MemoryCache(1000, len)
    with pytest.raises(PromptError):
        cache.get("key", lambda: (_ for _ in ()).throw(PromptError("no")))
    assert cache.get("key", lambda: b"yes") == b"yes"


def test_built_in_music_does_not_get_louder_than_speech(store: PromptStore) -> None:
    speech = store.samples(Speech(text="Please hold the line."), 8000)
    music = store.samples(Music(folder="builtin"), 8000)
    assert level.rms_dbfs(level.to_float(music)) < level.active_level_dbfs(level.to_float(speech), 8000) - 2
