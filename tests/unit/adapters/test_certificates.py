"""Fetching strangers' certificates: kept, bounded, and nowhere but by https to public addresses."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from pbx.adapters.certificates import CertificateStore
from pbx.sip.stir_chain import MAX_PEM

URL = "https://certificates.example/sp.pem"


class Desk:
    """A store with a server behind it that is ``serve``, and the answers it gave."""

    def __init__(self, serve: Any, addresses: tuple[str, ...] = ("8.8.8.8",)) -> None:
        self.answers: list[tuple[str, bytes, str]] = []
        self.asked: list[str] = []
        self.now = 0.0
        self._serve = serve
        self._more = asyncio.Event()

        async def find(host: str) -> list[str]:
            return list(addresses)

        self.store = CertificateStore(
            self._take, clock=lambda: self.now, transport=httpx.MockTransport(self._handle), find=find
        )

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        found = self._serve(request)
        return await found if asyncio.iscoroutine(found) else found  # type: ignore[no-any-return]

    def _take(self, url: str, pem: bytes, failure: str) -> None:
        self.answers.append((url, pem, failure))
        self._more.set()

    async def fetch(self, url: str = URL) -> tuple[bytes, str]:
        self._more.clear()
        self.store.fetch(url)
        await asyncio.wait_for(self._more.wait(), 10)
        return self.answers[-1][1:]


async def test_a_certificate_is_fetched_once_while_it_is_fresh() -> None:
    desk = Desk(lambda request: httpx.Response(200, content=b"PEM", headers={"cache-control": "public, max-age=600"}))
    assert await desk.fetch() == (b"PEM", "")
    desk.now = 599
    assert await desk.fetch() == (b"PEM", "") and len(desk.asked) == 1
    desk.now = 601
    assert await desk.fetch() == (b"PEM", "") and len(desk.asked) == 2
    await desk.store.close()


async def test_a_failure_is_remembered_for_a_while() -> None:
    desk = Desk(lambda request: httpx.Response(404))
    assert await desk.fetch() == (b"", "the certificate's server answers 404")
    desk.now = 29
    assert (await desk.fetch())[1] and len(desk.asked) == 1
    desk.now = 31
    assert (await desk.fetch())[1] and len(desk.asked) == 2
    await desk.store.close()


@pytest.mark.parametrize(
    "url",
    ["http://a.example/", "https://u:p@a.example/", "https://a.example:5060/", "file:///etc/passwd", ""],
)
async def test_what_is_not_asked_for_at_all(url: str) -> None:
    desk = Desk(lambda request: httpx.Response(200, content=b"PEM"))
    pem, failure = await desk.fetch(url)
    assert not pem and failure and not desk.asked
    await desk.store.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fe80::1%eth0"])
async def test_addresses_inside_are_none_of_a_strangers_business(address: str) -> None:
    desk = Desk(lambda request: httpx.Response(200, content=b"PEM"), addresses=("8.8.8.8", address))
    assert await desk.fetch() == (b"", "the certificate's address is not a public one") and not desk.asked
    await desk.store.close()


async def test_a_redirect_is_not_followed_and_a_flood_is_cut() -> None:
    desk = Desk(lambda request: httpx.Response(302, headers={"location": "https://inside.example/"}))
    assert "302" in (await desk.fetch())[1] and len(desk.asked) == 1
    desk = Desk(lambda request: httpx.Response(200, content=b"x" * (MAX_PEM + 1)))
    assert "too long" in (await desk.fetch())[1]
    await desk.store.close()


async def test_a_server_that_hangs() -> None:
    async def hang(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    desk = Desk(hang)
    desk.store.timeout = 0.05
    assert await desk.fetch() == (b"", "the certificate did not come in time")
    await desk.store.close()


async def test_so_many_at_once_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr("pbx.adapters.certificates.MAX_FETCHES", 1)
    desk = Desk(hang)
    desk.store.fetch("https://first.example/")
    assert "too many" in (await desk.fetch())[1]
    await desk.store.close()
