"""A baresip process with a configuration of its own: speaks a WAV file, answers by itself, records what it hears."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tools.phones import write_tone

MODULES = "/usr/lib/baresip/modules"


class Baresip:
    """``async with Baresip(folder, user, password, port, hz)``: registered and waiting, or calling ``dial``."""

    def __init__(self, folder: Path, user: str, password: str, registrar: str, hz: float, *, address: str = "127.0.0.1",
                 transport: str = "udp", dial: str = "", media: str = "", register: bool = True) -> None:  # fmt: skip
        self.folder = folder / f"baresip-{user}"
        self.folder.mkdir()
        write_tone(self.folder / "tone.wav", hz, seconds=20)
        parameter = "" if transport == "udp" else f";transport={transport}"
        options = [f"auth_pass={password}", "answermode=auto", "audio_codecs=PCMA/8000/1,PCMU/8000/1"]
        options += ["regint=600"] if register else ["regint=0"]
        options += [f"mediaenc={media}"] if media else []
        (self.folder / "accounts").write_text(f"<sip:{user}@{registrar}{parameter}>;{';'.join(options)}\n")
        (self.folder / "contacts").write_text("")
        modules = ["account", "g711", "aufile", "sndfile", "menu", *(["srtp"] if media else [])]
        (self.folder / "config").write_text(
            f"module_path {MODULES}\n"
            + "".join(f"module {name}.so\n" if name != "menu" else "module_app menu.so\n" for name in modules)
            + f"audio_source aufile,{self.folder / 'tone.wav'}\n"
            f"audio_player aufile,{self.folder / 'played.wav'}\n"
            f"audio_alert aufile,{self.folder / 'alert.wav'}\n"
            f"snd_path {self.folder}\n"
            f"sip_listen {address}:0\nsip_verify_server no\n"
            "audio_srate 8000\naudio_channels 1\nausrc_srate 8000\nauplay_srate 8000\n"
        )
        self._arguments = ["baresip", "-4", "-f", str(self.folder)]
        if dial:
            self._arguments += ["-e", f"d {dial}"]
        self._process: asyncio.subprocess.Process

    async def __aenter__(self) -> Baresip:
        with (self.folder / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._arguments, stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            async with asyncio.timeout(5):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def heard(self) -> Path:
        """The file with what it heard."""
        found = sorted(self.folder.glob("dump-*-dec.wav"))
        assert found, f"baresip recorded nothing; it said:\n{(self.folder / 'log').read_text(errors='replace')[-3000:]}"
        return found[-1]
