"""Certificates of other providers, fetched by https and kept for a while (RFC 8224 section 7.2)."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import httpx
import structlog

from pbx.sip.stir_chain import MAX_PEM

log = structlog.get_logger()

MAX_KEPT = 1000
KEEP_S, LONGEST_S = 3600.0, 86_400.0
"""How long a certificate is kept where its server does not say, and at most."""
FAILED_S = 30.0
"""A failure is remembered so long: a caller cannot have us hammer somebody's server."""
MAX_FETCHES = 20
PORTS = frozenset((None, 443, 8443))
"""ATIS-1000074 allows these two."""
_MAX_AGE = re.compile(r"max-age\s*=\s*(\d{1,9})", re.IGNORECASE)

Resolve = Callable[[str], Awaitable[list[str]]]


async def resolve(host: str) -> list[str]:
    """Addresses of ``host``. Raises ``OSError``."""
    found = await asyncio.get_running_loop().getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class CertificateStore:
    """Answers every ``fetch`` once, by ``answer(url, pem, failure)``; never raises.

    Only https, no redirects, bounded in size, time and number, and no address inside: the URL is a stranger's.
    """

    def __init__(
        self,
        answer: Callable[[str, bytes, str], None],
        *,
        clock: Callable[[], float],
        transport: httpx.AsyncBaseTransport | None = None,
        find: Resolve = resolve,
    ) -> None:
        self._answer = answer
        self._clock = clock
        self._find = find
        self.timeout = 3.0
        self._kept: OrderedDict[str, tuple[float, bytes, str]] = OrderedDict()
        """Until when, the file, or why there is none."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._transport = transport
        self._made: httpx.AsyncClient | None = None

    def fetch(self, url: str) -> None:
        kept = self._kept.get(url)
        if kept is not None and kept[0] > self._clock():
            asyncio.get_running_loop().call_soon(self._answer, url, kept[1], kept[2])
        elif len(self._tasks) >= MAX_FETCHES:
            asyncio.get_running_loop().call_soon(self._answer, url, b"", "too many certificates are being fetched")
        elif url not in self._tasks:
            self._tasks[url] = asyncio.get_running_loop().create_task(self._run(url))

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self._made is not None:
            await self._made.aclose()

    async def _run(self, url: str) -> None:
        pem, failure, keep = b"", "", FAILED_S
        try:
            async with asyncio.timeout(self.timeout):
                pem, keep = await self._get(url)
        except TimeoutError:
            failure = "the certificate did not come in time"
        except ValueError as error:
            failure = str(error)
        except (httpx.HTTPError, httpx.InvalidURL, OSError):
            failure = "the certificate cannot be fetched"
        finally:
            del self._tasks[url]
        if failure:
            log.warning("stir.certificate_missing", url=url[:200], reason=failure)
        self._kept[url] = (self._clock() + keep, pem, failure)
        self._kept.move_to_end(url)
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        self._answer(url, pem, failure)

    async def _get(self, url: str) -> tuple[bytes, float]:
        """The file and how long it may be kept. Raises ``ValueError`` for what is not asked for at all."""
        parsed = httpx.URL(url)
        if parsed.scheme != "https" or not parsed.host or parsed.userinfo or parsed.port not in PORTS:
            raise ValueError("the certificate's address is not an https one")
        addresses = [ipaddress.ip_address(found.partition("%")[0]) for found in await self._find(parsed.host)]
        if not all(address.is_global for address in addresses):
            raise ValueError("the certificate's address is not a public one")
        if self._made is None:
            # Made when it is wanted: loading the system's authorities takes a while.
            self._made = httpx.AsyncClient(
                transport=self._transport, follow_redirects=False, trust_env=False, timeout=None
            )
        async with self._made.stream("GET", url, headers={"accept-encoding": "identity"}) as response:
            if response.status_code != 200 or response.headers.get("content-encoding", "identity") != "identity":
                raise ValueError(f"the certificate's server answers {response.status_code}")
            received = bytearray()
            async for chunk in response.aiter_bytes():
                received += chunk
                if len(received) > MAX_PEM:
                    raise ValueError("the certificate is too long")
            match = _MAX_AGE.search(response.headers.get("cache-control", ""))
        return bytes(received), min(LONGEST_S, max(60.0, float(match[1]))) if match else KEEP_S
