"""Any program as a speech engine: text on standard input, WAV on standard output or in a file."""

from __future__ import annotations

import resource
import subprocess
import tempfile
from pathlib import Path

from media.prompts.audio import read_clip
from media.prompts.errors import PromptError
from media.prompts.voice import MAX_AUDIO_BYTES, Clip, Voice


class CommandSpeech:
    """The engine row ``command``; one process per text."""

    @property
    def version(self) -> str:
        """The command line is part of the voice, which the cache key holds already."""
        return "command"

    def speak(self, text: str, language: str, voice: Voice) -> Clip:
        """Render one text. :raises PromptError: cannot be run, failed, took too long, or wrote no audio."""
        with tempfile.TemporaryDirectory(prefix="tandem-speech-") as folder:
            named, captured = Path(folder, "output.wav"), Path(folder, "stdout")
            replacements = {"{language}": language, "{voice}": voice.voice, "{output}": str(named)}
            arguments = [_replace(argument, replacements) for argument in voice.command]
            program = arguments[0]
            try:
                with (
                    captured.open("wb") as stdout,
                    subprocess.Popen(
                        arguments,
                        stdin=subprocess.PIPE,
                        stdout=stdout,
                        stderr=subprocess.PIPE,
                        start_new_session=True,
                    ) as process,
                ):
                    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (MAX_AUDIO_BYTES, MAX_AUDIO_BYTES))
                    try:
                        _, complaint = process.communicate(text.encode(), timeout=voice.timeout_s)
                    except subprocess.TimeoutExpired:
                        process.kill()
                        raise PromptError(f"{program}: no speech within {voice.timeout_s:g} s") from None
            except OSError as error:
                raise PromptError(f"{program}: {error.strerror or error}") from error
            if process.returncode != 0:
                last = complaint.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
                raise PromptError(f"{program}: ended with {process.returncode}: {last[0][:200]}")
            return read_clip(named if named.exists() else captured, f"output of {program}")

    def close(self) -> None:
        """Nothing is kept between texts."""


def _replace(argument: str, replacements: dict[str, str]) -> str:
    for name, value in replacements.items():
        argument = argument.replace(name, value)
    return argument
