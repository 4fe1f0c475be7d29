"""A speech service reached over HTTP: JSON out, audio back."""

from __future__ import annotations

import io
from typing import Any

import httpx

from media.prompts.audio import read_clip
from media.prompts.errors import PromptError
from media.prompts.voice import MAX_AUDIO_BYTES, Clip, Voice


class HttpSpeech:
    """The engine row ``http``; connections are kept alive."""

    def __init__(self, transport: httpx.BaseTransport | None = None) -> None:
        self._client = httpx.Client(transport=transport, follow_redirects=False)

    @property
    def version(self) -> str:
        """URL and body are part of the voice, which the cache key holds already."""
        return "http"

    def speak(self, text: str, language: str, voice: Voice) -> Clip:
        """Render one text. :raises PromptError: no answer in time, a status other than 200, or no audio."""
        values = {"{text}": text, "{voice}": voice.voice, "{language}": language}
        where = httpx.URL(voice.url).copy_with(query=None, userinfo=b"")
        data = bytearray()
        try:
            with self._client.stream(
                "POST", voice.url, json=_fill(voice.body, values), headers=voice.headers, timeout=voice.timeout_s
            ) as answer:
                if answer.status_code != 200:
                    raise PromptError(f"speech service {where}: status {answer.status_code}")
                for chunk in answer.iter_bytes():
                    data += chunk
                    if len(data) > MAX_AUDIO_BYTES:
                        raise PromptError(f"speech service {where}: more than {MAX_AUDIO_BYTES} bytes")
        except httpx.HTTPError as error:
            raise PromptError(f"speech service {where}: {type(error).__name__}: {error}") from error
        return read_clip(io.BytesIO(bytes(data)), f"answer of {where}")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _fill(value: Any, values: dict[str, str]) -> Any:
    if isinstance(value, str):
        for name, text in values.items():
            if value == name:
                return text
            value = value.replace(name, text)
        return value
    if isinstance(value, dict):
        return {key: _fill(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, values) for item in value]
    return value
