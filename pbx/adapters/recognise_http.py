"""Speech recognition by a web service: a WAV is posted, JSON with ``text`` and ``confidence`` comes back."""

from __future__ import annotations

import asyncio
import io
import json
import wave

import httpx

from pbx.ports.recogniser import Heard

MAX_ANSWER = 65_536
MAX_TEXT = 500


class HttpRecogniser:
    """``language``, ``digits`` and one ``phrase`` per phrase of the grammar are parameters of the address."""

    def __init__(
        self, url: str, *, token: str = "", timeout: float = 5.0, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._url = url
        self._timeout = timeout
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.AsyncClient(headers=headers, transport=transport, trust_env=False, timeout=None)

    async def close(self) -> None:
        await self._client.aclose()

    async def recognise(
        self, samples: bytes, rate: int, *, language: str, phrases: tuple[str, ...] = (), digits: bool = False
    ) -> Heard:
        query = [("language", language), ("digits", "true" if digits else "false")]
        params = httpx.QueryParams([*query, *(("phrase", phrase) for phrase in phrases)])
        try:
            async with asyncio.timeout(self._timeout):
                headers = {"content-type": "audio/wav", "accept": "application/json", "accept-encoding": "identity"}
                async with self._client.stream(
                    "POST", self._url, params=params, content=make_wav(samples, rate), headers=headers
                ) as response:
                    received = bytearray()
                    if response.headers.get("content-encoding", "identity") != "identity":
                        return Heard(failure="the service answers in an encoding that was not asked for")
                    async for chunk in response.aiter_bytes():
                        received += chunk
                        if len(received) > MAX_ANSWER:
                            return Heard(failure="the service answers too much")
        except TimeoutError:
            return Heard(failure=f"the service did not answer within {self._timeout:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return Heard(failure=f"the service failed: {type(error).__name__}")
        return _read(response.status_code, bytes(received))


def _read(status: int, received: bytes) -> Heard:
    if status != 200:
        return Heard(failure=f"the service answers {status}")
    try:
        answer = json.loads(received)
        text, confidence = str(answer.get("text") or ""), float(answer.get("confidence", 1.0))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return Heard(failure="the service does not answer with text and confidence in JSON")
    return Heard(text[:MAX_TEXT], min(1.0, max(0.0, confidence)) if confidence == confidence else 0.0)


def make_wav(samples: bytes, rate: int) -> bytes:
    """Mono 16-bit samples as a WAV file."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples)
    return target.getvalue()
