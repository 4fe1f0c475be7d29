"""The process that holds espeak-ng: ``python -m media.prompts.espeak_worker``, driven by :mod:`.speech_espeak`."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from typing import IO, Any

import espeakng_loader
import msgspec

from media.prompts.speech_espeak import SpeakReply, SpeakRequest

# From espeak-ng's speak_lib.h.
AUDIO_OUTPUT_SYNCHRONOUS = 2
INITIALIZE_DONT_EXIT = 0x8000
CHARS_UTF8 = 1
EE_OK = 0
PARAMETER_RATE = 1
PARAMETER_PITCH = 3
PARAMETER_RANGE = 4

MAX_REQUEST = 64 * 1024
MAX_SECONDS = 600


class Library:
    """The little of espeak-ng's C interface that is used."""

    def __init__(self) -> None:
        self._lib: Any = ctypes.CDLL(espeakng_loader.get_library_path())
        data = os.fsencode(espeakng_loader.get_data_path())
        self.rate = int(self._lib.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, data, INITIALIZE_DONT_EXIT))
        if self.rate <= 0:
            raise RuntimeError("espeak-ng does not find its voices")
        self._audio = bytearray()
        prototype = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
        self._callback = prototype(self._take)  # kept, or it would be collected while C holds it
        self._lib.espeak_SetSynthCallback(self._callback)
        self._lib.espeak_Synth.argtypes = [
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_uint,
            ctypes.c_void_p,
            ctypes.c_void_p,
        ]

    def _take(self, wav: Any, count: int, _events: Any) -> int:
        if wav and count > 0:
            self._audio += ctypes.string_at(wav, count * 2)
        return int(len(self._audio) > MAX_SECONDS * self.rate * 2)  # 1 stops the synthesis

    def speak(self, request: SpeakRequest) -> SpeakReply:
        """Render one text, or say why not."""
        # A region espeak does not know ("fr-ca-x") is spoken as its language is.
        names = dict.fromkeys((request.voice, request.voice.partition("-")[0]))
        if all(self._lib.espeak_SetVoiceByName(name.encode()) != EE_OK for name in names):
            return SpeakReply(f"no voice {request.voice[:40]!r}", self.rate, b"")
        self._lib.espeak_SetParameter(PARAMETER_RATE, min(max(request.words_per_minute, 80), 450), 0)
        self._lib.espeak_SetParameter(PARAMETER_PITCH, min(max(request.pitch, 0), 99), 0)
        self._lib.espeak_SetParameter(PARAMETER_RANGE, 55, 0)
        self._audio.clear()
        text = request.text.encode() + b"\0"
        status = self._lib.espeak_Synth(text, len(text), 0, 0, 0, CHARS_UTF8, None, None)
        if status != EE_OK:
            return SpeakReply(f"synthesis failed with code {status}", self.rate, b"")
        return SpeakReply("", self.rate, bytes(self._audio))


def serve(requests: IO[bytes], replies: IO[bytes]) -> None:
    """Answer requests until the gateway is gone."""
    library = Library()
    while len(head := requests.read(4)) == 4:
        (size,) = struct.unpack(">I", head)
        if size > MAX_REQUEST:
            return
        reply = msgspec.msgpack.encode(library.speak(msgspec.msgpack.decode(requests.read(size), type=SpeakRequest)))
        replies.write(struct.pack(">I", len(reply)) + reply)
        replies.flush()


def main() -> None:
    """Keep standard output for replies alone: what the library may print goes to standard error."""
    replies = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(replies, "wb") as out:
        serve(sys.stdin.buffer, out)


if __name__ == "__main__":
    main()
