"""Legs of different codecs hear each other; SRTP inside; detectors on what is heard."""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pylibsrtp import Policy, Session

from media import g711
from media.codecs.g722 import G722Decoder, G722Encoder
from media.codecs.opus import OpusDecoder, OpusEncoder
from media.protocol import (
    Codec,
    ConfigureLeg,
    DigitReceived,
    Play,
    PlayFinished,
    RecordingCompleted,
    Srtp,
    StartRecording,
    StopRecording,
    TalkStarted,
    TalkStopped,
    Tone,
)
from tests.media.conftest import PCMU, Bench
from tests.media.phone import Phone, Samples, share, tone
from tools.listen import load

WIDE = {
    "G722": Codec(name="G722", payload_type=9),
    "OPUS": Codec(name="OPUS", payload_type=111, clock_rate=48000, channels=2),
    "L16": Codec(name="L16", payload_type=97, clock_rate=16000),
}


class WidePhone(Phone):
    """Speaks a wideband codec: its tone at 16 kHz."""

    def use(self, name: str) -> None:
        self.codec = name
        self.payload_type = WIDE[name].payload_type
        self.step = {"G722": 160, "OPUS": 960, "L16": 320}[name]
        self.encoder = OpusEncoder(16000) if name == "OPUS" else G722Encoder()
        self.at = 0

    def encode(self, samples: Samples) -> bytes:
        if self.codec == "L16":
            return samples.astype(">i2").tobytes()
        return bytes(self.encoder.encode(samples))

    async def talk(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        for count in range(round(seconds * 50)):
            t = (np.arange(320) + self.at) / 16000
            self.at += 320
            self.send(self.payload_type, self.encode((8000 * np.sin(2 * np.pi * self.hz * t)).astype(np.int16)))
            self.ts += self.step
            await asyncio.sleep(max(0.0, start + (count + 1) * 0.02 - loop.time()))

    def heard(self, last: float | None = None) -> Samples:
        packets = [packet.payload for packet in self.audio()]
        if self.codec == "L16":
            samples = np.frombuffer(b"".join(packets), ">i2").astype(np.int16)
        else:
            decoder = G722Decoder() if self.codec == "G722" else OpusDecoder(16000)
            samples = np.concatenate([decoder.decode(packet) for packet in packets] or [np.zeros(0, np.int16)])
        return samples if last is None else samples[-int(last * 16000) :]


async def wide_phone(hz: float, codec: str) -> WidePhone:
    loop = asyncio.get_running_loop()
    _, phone = await loop.create_datagram_endpoint(lambda: WidePhone(hz), local_addr=("127.0.0.1", 0))
    phone.use(codec)
    return phone


@pytest.mark.parametrize("codec", ["G722", "OPUS", "L16"])
async def test_narrow_and_wide_understand_each_other(bench: Bench, phones: Callable[..., Any], codec: str) -> None:
    caller, agent = await phones(400), await wide_phone(700, codec)
    await bench.leg("a", caller)
    await bench.leg("b", agent, codecs=(WIDE[codec],))
    await bench.join("talk", ("a", "b"), ("b", "a"))
    await asyncio.gather(caller.talk(0.8), agent.talk(0.8))
    assert share(caller.heard(0.4), 700) > 0.95
    assert share(agent.heard(0.4), 400, 16000) > 0.95
    level = float(np.sqrt(np.mean(caller.heard(0.3).astype(float) ** 2))) / (8000 / np.sqrt(2))
    assert 0.8 < level < 1.2
    steps = {(y.ts - x.ts) & 0xFFFFFFFF for x, y in itertools.pairwise(agent.packets)}
    assert steps == {agent.step}
    agent.close()


@pytest.mark.parametrize("codec", ["G722", "OPUS"])
async def test_wide_keeps_its_bandwidth_to_wide(bench: Bench, phones: Callable[..., Any], codec: str) -> None:
    one, two, listener = await wide_phone(5000, codec), await wide_phone(5600, "L16"), await wide_phone(300, codec)
    for name, phone in (("a", one), ("b", two), ("c", listener)):
        await bench.leg(name, phone, codecs=(WIDE[phone.codec],))
    await bench.join("conf", ("c", "a"), ("c", "b"))
    await asyncio.gather(one.talk(0.8), two.talk(0.8), listener.talk(0.8))
    heard = listener.heard(0.4)
    assert share(heard, 5000, 16000) > 0.2 and share(heard, 5600, 16000) > 0.2
    for phone in (one, two, listener):
        phone.close()


@pytest.mark.parametrize("codec", ["G722", "OPUS", "L16"])
async def test_prompts_in_wide_codecs(bench: Bench, codec: str) -> None:
    phone = await wide_phone(400, codec)
    await bench.leg("a", phone, codecs=(WIDE[codec],))
    await bench.do(Play, leg="a", player="p", items=(Tone(spec="3000/600", duration_ms=600),))
    done = await bench.wait(PlayFinished)
    await asyncio.sleep(0.03)
    assert done.played_ms == 600 and len(phone.packets) == 30
    assert share(phone.heard()[3200:8000], 3000, 16000) > 0.9
    phone.close()


async def test_a_wideband_leg_is_recorded(bench: Bench, phones: Callable[..., Any]) -> None:
    caller, agent = await phones(400), await wide_phone(3800, "G722")
    await bench.leg("a", caller)
    await bench.leg("b", agent, codecs=(WIDE["G722"],))
    await bench.join("talk", ("a", "b"), ("b", "a"))
    await bench.do(StartRecording, recording="r", leg="b", path="wide.wav")
    await asyncio.gather(caller.talk(1.0), agent.talk(1.0))
    await bench.do(StopRecording, recording="r")
    done = await bench.wait(RecordingCompleted)
    sound = load(done.path)
    assert sound.rate == 16000
    left, right = ((channel * 32000).astype(np.int16) for channel in sound.channels)
    assert share(left[4000:12000], 3800, 16000) > 0.9
    assert share(right[4000:12000], 400, 16000) > 0.9
    agent.close()


def srtp_pair(suite: str, length: int, profile: int) -> tuple[Srtp, Session, Session]:
    key = bytes(range(length))
    out = Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))
    back = Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile))
    return Srtp(suite=suite, key=key), out, back


@pytest.mark.parametrize(
    ("suite", "length", "profile"),
    [
        ("AES_CM_128_HMAC_SHA1_80", 30, Policy.SRTP_PROFILE_AES128_CM_SHA1_80),
        ("AES_CM_128_HMAC_SHA1_32", 30, Policy.SRTP_PROFILE_AES128_CM_SHA1_32),
        ("AEAD_AES_128_GCM", 28, Policy.SRTP_PROFILE_AEAD_AES_128_GCM),
        ("AEAD_AES_256_GCM", 44, Policy.SRTP_PROFILE_AEAD_AES_256_GCM),
    ],
)
async def test_srtp_on_one_side(
    bench: Bench, phones: Callable[..., Any], suite: str, length: int, profile: int
) -> None:
    caller, agent = await phones(400), await phones(700)
    keys, protect, unprotect = srtp_pair(suite, length, profile)
    await bench.leg("a", caller, srtp_send=keys, srtp_receive=keys)
    await bench.leg("b", agent)
    await bench.join("talk", ("a", "b"), ("b", "a"))
    closed: list[bytes] = []

    def unseal(data: bytes) -> bytes:
        closed.append(data)
        return unprotect.unprotect(data)

    caller.seal, caller.unseal = protect.protect, unseal
    await asyncio.gather(caller.talk(0.3), agent.talk(0.3))
    # The same keys again, as in a re-INVITE: the streams go on where they were.
    await bench.do(
        ConfigureLeg,
        leg="a",
        remote_address="127.0.0.1",
        remote_port=caller.port,
        codecs=(PCMU,),
        dtmf_payload_type=101,
        srtp_send=keys,
        srtp_receive=keys,
    )
    await asyncio.gather(caller.talk(0.2), agent.talk(0.2))
    assert share(agent.heard(), 400) > 0.95
    assert share(caller.heard(), 700) > 0.95 and len(caller.packets) >= 23
    assert all(len(data) > 172 for data in closed)
    # A forged packet goes nowhere.
    count = len(agent.packets)
    forged = struct.pack("!BBHII", 0x80, 0, caller.seq & 0xFFFF, caller.ts, caller.ssrc) + bytes(170)
    caller.transport.sendto(forged, caller.remote)
    await asyncio.sleep(0.05)
    assert len(agent.packets) == count


async def test_talk_is_reported_and_stops_a_player(bench: Bench, phones: Callable[..., Any]) -> None:
    caller: Phone = await phones(400)
    await bench.leg("a", caller, detect=("talk",))
    await bench.do(Play, leg="a", player="p", items=(Tone(spec="300/5000", duration_ms=5000),), stop_on_speech=True)
    chance = np.random.default_rng(5)
    voice = speech_like(chance)
    await send_samples(caller, np.zeros(4000, np.int16))
    assert not bench.seen(PlayFinished)
    await send_samples(caller, voice)
    done = await bench.wait(PlayFinished)
    assert done.reason == "speech"
    await bench.wait(TalkStarted)
    await send_samples(caller, np.zeros(12000, np.int16))
    stopped = await bench.wait(TalkStopped)
    assert 400 < stopped.talked_ms < 1600


async def test_digits_in_the_audio(bench: Bench, phones: Callable[..., Any]) -> None:
    caller: Phone = await phones(400)
    await bench.leg("a", caller, dtmf_payload_type=None, dtmf_inband=True)
    five = tone(770, 0.1, level=5000) + tone(1336, 0.1, level=5000)
    pause = np.zeros(800, np.int16)
    await send_samples(caller, np.concatenate([pause, five, pause, five, pause, pause, pause]))
    await bench.wait(DigitReceived, 2)
    assert [(event.digit, event.method) for event in bench.seen(DigitReceived)] == [("5", "inband")] * 2


def speech_like(chance: np.random.Generator) -> Samples:
    """A voiced sound with the harmonics and the rhythm of speech, 1 s."""
    t = np.arange(8000) / 8000
    voice = sum(np.sin(2 * np.pi * 140 * k * t + k) / k for k in range(1, 20))
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * t)
    return np.asarray(6000 * voice / 2 * syllables + chance.normal(0, 30, 8000), np.int16)


async def send_samples(phone: Phone, samples: Samples) -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    for count in range(len(samples) // 160):
        phone.send(0, g711.encode_ulaw(samples[count * 160 : (count + 1) * 160]))
        phone.ts += 160
        await asyncio.sleep(max(0.0, start + (count + 1) * 0.02 - loop.time()))
