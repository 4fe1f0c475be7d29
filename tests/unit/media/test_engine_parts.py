"""Parts of the engine and of the control side that need neither socket nor clock."""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from media import g711, wav
from media.control.clips import ClipLoader
from media.control.framing import FrameError, FrameReader, write_frame
from media.control.quality import estimate_mos
from media.control.recordings import resolve_path
from media.control.routing import LegView, amplitude, compile_routes
from media.control.server import Backlog
from media.engine.companding import compress_bytes, expand_bytes
from media.engine.jitter import JitterBench
from media.engine.recorder import make_header
from media.engine.srtp import open_session
from media.prompts.store import PromptStore
from media.protocol import DigitReceived, File, Hears, LegStats, Quality, TickLateness, Tone


def test_the_engines_g711_is_the_recommendations() -> None:
    every = np.arange(-32768, 32768).astype(np.int16)
    codes = np.arange(256).astype(np.uint8).tobytes()
    assert compress_bytes(every.tobytes(), 0) == g711.encode_ulaw(every)
    assert compress_bytes(every.tobytes(), 1) == g711.encode_alaw(every)
    assert expand_bytes(codes, 0) == g711.decode_ulaw(codes).tobytes()
    assert expand_bytes(codes, 1) == g711.decode_alaw(codes).tobytes()


# --- frames -----------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=300), max_size=10), st.integers(1, 50))
def test_frames_survive_any_cutting(bodies: list[bytes], size: int) -> None:
    stream = b"".join(write_frame(body) for body in bodies)
    reader = FrameReader()
    found = [frame for at in range(0, len(stream), size) for frame in reader.feed(stream[at : at + size])]
    assert found == bodies


def test_a_frame_over_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(FrameError):
        list(FrameReader(limit=100).feed((101).to_bytes(4, "big")))


def test_a_full_backlog_drops_statistics_before_anything_else() -> None:
    backlog = Backlog(limit=10)
    backlog.keep(TickLateness(bounds_us=(1,), counts=(0,), beyond=0, total_s=0.0))
    assert len(backlog) == 0
    for count in range(30):
        backlog.keep(Quality(stats=LegStats(leg=str(count))))
        if count < 10:
            backlog.keep(DigitReceived(leg="a", digit=str(count)))
    kept = backlog.take()
    assert [event.digit for event in kept if isinstance(event, DigitReceived)] == list("0123456789")
    assert len(kept) == 11 and len(backlog) == 0
    backlog.keep(Quality(stats=LegStats(leg="a"), final=True))
    assert len(backlog.take()) == 1


# --- routes -----------------------------------------------------------------------------------------------


def leg(number: int, codec: int = 0, **more: bool) -> LegView:
    return LegView(number=number, sends=codec, receives=codec, clock_rate=8000, **more)


def test_one_hears_one_is_relayed_and_anything_else_mixed() -> None:
    legs = {"a": leg(1), "b": leg(2, 1), "c": leg(3)}
    routes = {
        route.leg: route
        for route in compile_routes(
            (Hears(listener="a", source="b"), Hears(listener="b", source="a"), Hears(listener="b", source="c")), legs
        )
    }
    assert routes[1].relayed and not routes[1].mixing
    assert routes[2].mixing and {source for source, _ in routes[2].hears} == {1, 3}
    assert routes[2].sinks == (1,) and routes[3].sinks == ()
    assert routes[1].decoding and routes[3].decoding and not routes[2].decoding


@pytest.mark.parametrize(
    ("cell", "source", "listener"),
    [
        (Hears(listener="l", source="s", gain_db=-3.0), leg(1), leg(2)),
        (Hears(listener="l", source="s"), leg(1, 2), leg(2, 0)),
        (Hears(listener="l", source="s"), leg(1), leg(2, must_mix=True)),
    ],
)
def test_what_needs_samples_is_not_relayed(cell: Hears, source: LegView, listener: LegView) -> None:
    routes = {route.leg: route for route in compile_routes((cell,), {"s": source, "l": listener})}
    assert routes[2].mixing and routes[1].decoding and routes[1].sinks == ()


def test_legs_that_are_not_there_yet_are_left_out() -> None:
    (waiting,) = compile_routes((Hears(listener="a", source="b"),), {"a": leg(1)})
    assert not (waiting.mixing or waiting.relayed or waiting.decoding)
    (alone,) = compile_routes((), {"a": leg(1)}, ("a", "gone"))
    assert not (alone.mixing or alone.relayed or alone.decoding or alone.sinks)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.sampled_from([0.0, -6.0])), max_size=20))
def test_every_cell_is_heard_exactly_once(cells: list[tuple[int, int, float]]) -> None:
    legs = {str(number): leg(number) for number in range(6)}
    matrix = tuple(Hears(listener=str(x), source=str(y), gain_db=gain) for x, y, gain in cells)
    routes = compile_routes(matrix, legs)
    heard = {(route.leg, source) for route in routes for source, _ in route.hears}
    relayed = {(listener, route.leg) for route in routes for listener in route.sinks}
    assert heard | relayed == {(x, y) for x, y, _ in cells} and not heard & relayed


def test_gains_are_factors() -> None:
    assert amplitude(0.0) == 1.0 and amplitude(-120.0) == 0.0
    assert amplitude(-6.0206) == pytest.approx(0.5, rel=1e-4)


# --- jitter buffer ----------------------------------------------------------------------------------------


def play(loss: float, jitter_ms: float, seconds: int = 20, seed: int = 4) -> tuple[float, tuple[int, ...]]:
    """Signal-to-noise ratio (dB) of a tone behind the buffer, the best of all delays, and its counts."""
    chance = random.Random(seed)
    t = np.arange(seconds * 8000) / 8000
    clean = (6000 * np.sin(2 * np.pi * 200 * t)).astype(np.int16)
    arrivals = sorted(
        (count * 20 + chance.random() * jitter_ms, count)
        for count in range(seconds * 50)
        if chance.random() >= loss or count < 5
    )
    bench = JitterBench()
    out = bytearray()
    due = 0
    for tick in range(seconds * 50):
        while due < len(arrivals) and arrivals[due][0] <= tick * 20 + 10:
            count = arrivals[due][1]
            bench.put(count, count * 160, g711.encode_ulaw(clean[count * 160 : count * 160 + 160]))
            due += 1
        out += bench.pull()
    heard = np.frombuffer(bytes(out), np.int16).astype(float)
    tail = slice(5 * 8000, 15 * 8000)
    best = -99.0
    for delay in range(0, 40):
        # The tone repeats every 40 samples: shifts beyond that say nothing new.
        reference = np.roll(clean.astype(float), delay)[tail]
        noise = heard[tail] - reference
        best = max(best, 10 * float(np.log10(np.sum(reference**2) / max(np.sum(noise**2), 1.0))))
    return best, bench.counts


def test_without_trouble_nothing_is_changed() -> None:
    ratio, (late, concealed, _, _, _) = play(0.0, 0.0)
    assert ratio > 30 and late == 0 and concealed <= 1


def test_loss_is_concealed_and_the_delay_does_not_grow() -> None:
    ratio, (late, concealed, _, _, held) = play(0.05, 0.0)
    assert late == 0 and 30 <= concealed <= 70 and held <= 3
    assert ratio > 15


@pytest.mark.parametrize("jitter_ms", [20.0, 60.0, 100.0])
def test_the_depth_follows_the_jitter(jitter_ms: float) -> None:
    _, (late, _, inserted, _, held) = play(0.0, jitter_ms, seconds=60)
    assert inserted <= 60 and late < 60
    assert held <= jitter_ms / 20 + 4


def test_depth_shrinks_again_when_the_network_calms_down() -> None:
    bench = JitterBench()
    frame = g711.encode_ulaw(np.full(160, 500, np.int16))
    for count in range(8):
        bench.put(count, count * 160, frame)
    for count in range(8, 900):
        bench.pull()
        bench.put(count, count * 160, frame)
    assert bench.counts[3] >= 5 and bench.counts[4] <= 3


@given(st.lists(st.tuples(st.integers(0, 70000), st.binary(max_size=700), st.booleans()), max_size=200))
def test_any_packets_leave_the_buffer_whole(packets: list[tuple[int, bytes, bool]]) -> None:
    bench = JitterBench()
    for seq, payload, pull in packets:
        bench.put(seq, seq * 160 & 0xFFFFFFFF, payload)
        if pull:
            assert len(bench.pull()) == 320
    assert 0 <= bench.counts[4] <= 32


# --- recordings and clips -----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["pcm16", "pcmu", "pcma"])
@pytest.mark.parametrize("samples", [0, 1, 8000, 0x3FFF_0000, 0x4000_0000, 0x1_2345_6789])
def test_the_writers_header_is_the_one_that_is_recovered(form: wav.Format, samples: int) -> None:
    sample_bytes = wav.SAMPLE_BYTES[form]
    assert make_header(form, 8000, samples) == wav.build_header(form, 2, 8000, samples * 2 * sample_bytes)


async def test_all_players_share_one_clip(tmp_path: Path) -> None:
    store = PromptStore(tmp_path)
    with ThreadPoolExecutor(2) as executor:
        loader = ClipLoader(store, executor)
        item = Tone(name="busy", country="gb")
        assert loader.at_hand((item,), "PCMU") is None
        (first,) = await loader.load((item,), "PCMU")
        assert loader.at_hand((item,), "PCMU") == [first]
        (again,) = await loader.load((item,), "PCMU")
        (other,) = await loader.load((item,), "PCMA")
        assert again is first and other is not first
        assert first.data is store.encoded(item, "PCMU")


async def test_a_changed_file_is_played_anew(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    store = PromptStore(tmp_path / "cache", roots=(tmp_path,))
    with ThreadPoolExecutor(1) as executor:
        loader = ClipLoader(store, executor)
        soundfile.write(file, np.zeros(800), 8000)
        (first,) = await loader.load((File(path="a.wav"),), "PCMU")
        soundfile.write(file, np.zeros(1600), 8000)
        os.utime(file, ns=(1, 1))
        assert loader.at_hand((File(path="a.wav"),), "PCMU") is None
        (second,) = await loader.load((File(path="a.wav"),), "PCMU")
        assert len(first.data) == 800 and len(second.data) == 1600


# --- the rest ---------------------------------------------------------------------------------------------


def test_mos_falls_with_loss_and_delay() -> None:
    best = estimate_mos("PCMU", 20, 0.0)
    worse = estimate_mos("PCMU", 20, 0.05)
    late = estimate_mos("PCMU", 400, 0.0)
    assert best is not None and worse is not None and late is not None
    assert 4.3 < best <= 4.5 and worse < best - 0.3 and late < best - 0.5
    assert estimate_mos("GSM", 20, 0.0) is None
    assert estimate_mos("PCMU", 2000, 1.0) == 1.0


@pytest.mark.parametrize(("suite", "length"), [("AES_CM_128_HMAC_SHA1_80", 29), ("NULL_NULL", 30)])
def test_srtp_keys_that_make_no_sense_are_refused(suite: str, length: int) -> None:
    with pytest.raises(ValueError, match="SRTP suite"):
        open_session(suite, bytes(length), True)


@given(st.text(max_size=40))
def test_no_recording_leaves_its_folder(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    try:
        path = resolve_path(folder, text)
    except (ValueError, OSError):
        return
    assert folder.resolve() in path.parents and not path.name.startswith(".")
