"""G.722 against libavcodec bit for bit, Opus by listening, and format parameters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from media.codecs import opus
from media.codecs.fmtp import OpusFormat, parse_fmtp, parse_opus
from media.codecs.g722 import G722Decoder, G722Encoder
from media.prompts.store import PromptStore
from media.protocol import Speech, Tone
from tools import listen

Samples = NDArray[np.int16]


def tone(hz: float, rate: int, seconds: float = 1.0, amplitude: float = 8000) -> Samples:
    return np.round(amplitude * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)).astype(np.int16)


# --- G.722 ------------------------------------------------------------------------------------------------------------


def libavcodec_encode(samples: Samples) -> bytes:
    coder = av.CodecContext.create("g722", "w")
    coder.sample_rate, coder.layout, coder.format = 16_000, "mono", "s16"
    out = b""
    for start in range(0, len(samples), 320):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + 320], format="s16", layout="mono")
        frame.sample_rate = 16_000
        out += b"".join(bytes(packet) for packet in coder.encode(frame))
    return out + b"".join(bytes(packet) for packet in coder.encode(None))


def libavcodec_decode(data: bytes) -> Samples:
    coder = av.CodecContext.create("g722", "r")
    coder.sample_rate, coder.layout = 16_000, "mono"
    frames = [*coder.decode(av.Packet(data)), *coder.decode(None)]
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])


SIGNALS: dict[str, Callable[[np.random.Generator], Samples]] = {
    "noise": lambda rng: (rng.standard_normal(32_000) * 8000).clip(-32768, 32767).astype(np.int16),
    "full-scale noise": lambda rng: rng.integers(-32768, 32768, 32_000).astype(np.int16),
    "square": lambda rng: np.where(np.arange(32_000) // 40 % 2, 32767, -32768).astype(np.int16),
    "sweep": lambda rng: np.round(30_000 * np.sin(np.arange(32_000) ** 2 * 5e-5)).astype(np.int16),
    "faint": lambda rng: rng.integers(-3, 4, 32_000).astype(np.int16),
    "silence then burst": lambda rng: np.concatenate([np.zeros(16_000, np.int16), tone(3000, 16_000, amplitude=32767)]),
}


@pytest.mark.parametrize("name", SIGNALS)
def test_g722_is_bit_exact_with_libavcodec(name: str) -> None:
    samples = SIGNALS[name](np.random.default_rng(7))
    data = G722Encoder().encode(samples)
    assert data == libavcodec_encode(samples)
    assert np.array_equal(G722Decoder().decode(data), libavcodec_decode(data))


def test_g722_decodes_any_bytes_as_libavcodec_does() -> None:
    data = np.random.default_rng(3).integers(0, 256, 50_000).astype(np.uint8).tobytes()
    assert np.array_equal(G722Decoder().decode(data), libavcodec_decode(data))


def test_g722_does_not_care_how_a_stream_is_cut() -> None:
    samples = SIGNALS["noise"](np.random.default_rng(1))[:3200]
    whole = G722Encoder().encode(samples)
    encoder, decoder = G722Encoder(), G722Decoder()
    cut = b"".join(encoder.encode(samples[i : i + 160]) for i in range(0, 3200, 160))
    assert cut == whole
    heard = [decoder.decode(whole[i : i + 37]) for i in range(0, len(whole), 37)]
    assert np.array_equal(np.concatenate(heard), G722Decoder().decode(whole))
    assert G722Encoder().encode(samples[:1]) == b""
    assert len(G722Decoder().decode(b"")) == 0


@pytest.mark.parametrize("hz", [300, 1000, 3500, 6000])
def test_g722_carries_wideband_tones(hz: float) -> None:
    heard = listen.from_int16(G722Decoder().decode(G722Encoder().encode(tone(hz, 16_000))))
    assert listen.tone_present(heard, 16_000, hz, 0.1, 0.9) > 0.95


# --- Opus -------------------------------------------------------------------------------------------------------------


def test_libopus_is_found_beside_pyav() -> None:
    assert opus.available
    library = opus.find_library()
    assert library is not None and Path(library).name.startswith("libopus")


@pytest.mark.parametrize("rate", [8000, 12_000, 16_000, 24_000, 48_000])
@pytest.mark.parametrize("frame_ms", [10, 20, 60])
def test_opus_carries_a_tone_at_every_rate(rate: int, frame_ms: int) -> None:
    encoder, decoder = opus.OpusEncoder(rate), opus.OpusDecoder(rate)
    frame = rate * frame_ms // 1000
    samples = tone(800, rate, 1.2)
    heard = np.concatenate(
        [decoder.decode(encoder.encode(samples[i : i + frame])) for i in range(0, len(samples), frame)]
    )
    assert len(heard) == len(samples)
    assert listen.tone_present(listen.from_int16(heard), rate, 800, 0.2, 1.1) > 0.97


def test_opus_at_one_rate_is_heard_at_another() -> None:
    encoder, decoder = opus.OpusEncoder(48_000), opus.OpusDecoder(8000)
    samples = tone(800, 48_000)
    heard = np.concatenate([decoder.decode(encoder.encode(samples[i : i + 960])) for i in range(0, 48_000, 960)])
    assert len(heard) == 8000
    assert listen.tone_present(listen.from_int16(heard), 8000, 800, 0.2, 0.9) > 0.97


def test_forward_error_correction_rebuilds_a_lost_packet_better_than_concealment(tmp_path: Path) -> None:
    store = PromptStore(tmp_path)
    speech = store.samples(Speech(text="The quick brown fox jumps over the lazy dog, and keeps on running."), 16_000)
    store.close()
    encoder = opus.OpusEncoder(16_000, fec=True, loss_percent=25, bitrate=32_000)
    packets = [encoder.encode(speech[i : i + 320]) for i in range(0, len(speech) - 319, 320)]
    whole, mended, guessed = opus.OpusDecoder(16_000), opus.OpusDecoder(16_000), opus.OpusDecoder(16_000)
    wrong = {"mended": 0.0, "guessed": 0.0}
    for index, packet in enumerate(packets):
        wanted = whole.decode(packet).astype(float)
        if index % 4 == 3 and index + 1 < len(packets):
            wrong["mended"] += float(np.square(mended.recover(packets[index + 1]) - wanted).sum())
            wrong["guessed"] += float(np.square(guessed.conceal() - wanted).sum())
        else:
            mended.decode(packet)
            guessed.decode(packet)
    assert wrong["mended"] < 0.6 * wrong["guessed"]


def test_dtx_sends_almost_nothing_in_silence() -> None:
    encoder = opus.OpusEncoder(16_000, dtx=True, bitrate=16_000)
    sizes = [len(encoder.encode(np.zeros(320, np.int16))) for _ in range(100)]
    assert sum(size <= 2 for size in sizes[50:]) > 40


def test_settings_change_the_stream() -> None:
    samples = (np.random.default_rng(1).standard_normal(48_000) * 5000).astype(np.int16)

    def size(**settings: int) -> list[int]:
        encoder = opus.OpusEncoder(48_000, **settings)  # type: ignore[arg-type]
        return [len(encoder.encode(samples[i : i + 960])) for i in range(0, 48_000, 960)]

    assert sum(size(bitrate=64_000)) > 2 * sum(size(bitrate=16_000))
    assert len(set(size(bitrate=32_000, cbr=True))) == 1
    assert len(set(size(bitrate=32_000))) > 1


def test_what_opus_does_not_do_is_refused() -> None:
    for make in (lambda: opus.OpusEncoder(44_100), lambda: opus.OpusDecoder(44_100)):
        with pytest.raises(opus.OpusError, match="44100"):
            make()
    encoder = opus.OpusEncoder(8000)
    for count in (0, 1, 161):
        with pytest.raises(opus.OpusError, match="samples"):
            encoder.encode(np.zeros(count, np.int16))


@given(st.binary(min_size=1, max_size=300))
def test_any_packet_decodes_or_is_refused(packet: bytes) -> None:
    decoder = opus.OpusDecoder(8000)
    for take in (decoder.decode, decoder.recover):
        try:
            assert 0 < len(take(packet)) <= 960
        except opus.OpusError:
            continue
    assert len(decoder.conceal()) > 0


# --- format parameters ------------------------------------------------------------------------------------------------


def test_opus_parameters() -> None:
    assert parse_opus(
        "minptime=10;useinbandfec=1; maxaveragebitrate=24000 ;usedtx=1;maxplaybackrate=16000"
    ) == OpusFormat(fec=True, dtx=True, bitrate=24_000, max_rate=16_000)
    assert parse_opus("") == OpusFormat()
    assert parse_opus("maxaveragebitrate=99999999;maxplaybackrate=-1;useinbandfec=yes").bitrate == 510_000


@given(st.text(max_size=80))
def test_any_parameters_are_read(text: str) -> None:
    assert all(name == name.strip().lower() for name in parse_fmtp(text))
    assert 8000 <= parse_opus(text).max_rate <= 48_000


# --- prompts in these codecs ------------------------------------------------------------------------------------------


def test_prompts_come_in_g722_and_opus(tmp_path: Path) -> None:
    store = PromptStore(tmp_path)
    item = Tone(name="milliwatt")
    heard = G722Decoder().decode(store.encoded(item, "G722"))
    assert listen.tone_present(listen.from_int16(heard), 16_000, 1004, 0.1, 0.9) > 0.99
    packets = store.packets(item)
    assert store.packets(Tone(name="milliwatt")) is packets
    assert len(packets.offsets) == 51
    assert packets.offsets[-1] == len(packets.data)
    decoder = opus.OpusDecoder(48_000)
    pieces = [packets.data[a:b] for a, b in zip(packets.offsets, packets.offsets[1:], strict=False)]
    heard = np.concatenate([decoder.decode(piece) for piece in pieces])
    assert listen.tone_present(listen.from_int16(heard), 48_000, 1004, 0.1, 0.9) > 0.99
    assert len(store.packets(Speech(text="hello")).offsets) > 10
    store.close()
