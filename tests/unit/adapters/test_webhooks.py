"""Webhooks: what is posted, signed how, tried how often, and that nobody holds up another."""

import asyncio
import hashlib
import hmac
from collections.abc import Callable

import httpx
import pytest

from pbx.adapters import webhooks
from pbx.adapters.webhooks import Webhooks
from pbx.config.base import SecretSource
from pbx.config.services import Webhook
from pbx.events.line import Line

Answer = Callable[[httpx.Request], httpx.Response]


def line(seq: int, name: str = "SecurityAlert") -> Line:
    return Line(seq=seq, at=0.0, type=name, json=f'{{"seq":{seq},"type":"{name}"}}')


def hook(name: str = "a", **fields: object) -> Webhook:
    return Webhook.model_validate({"name": name, "url": f"https://{name}.example.net/x", **fields})


class Net:
    """Takes the posts instead of a network."""

    def __init__(self) -> None:
        self.posts: list[httpx.Request] = []
        self.naps: list[float] = []
        self.answer: Answer = lambda request: httpx.Response(204)
        self.seen = asyncio.Condition()

    async def handle(self, request: httpx.Request) -> httpx.Response:
        async with self.seen:
            self.posts.append(request)
            self.seen.notify_all()
        return self.answer(request)

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(5), self.seen:
            await self.seen.wait_for(lambda: len(self.posts) >= count)

    def make(self, *hooks: Webhook) -> Webhooks:
        made = Webhooks(sleep=self.sleep, transport=httpx.MockTransport(self.handle))
        made.configure({hook.name: hook for hook in hooks}, lambda source: "s3cret")
        return made

    def bodies(self) -> list[bytes]:
        return [post.content for post in self.posts]


async def test_alarms_by_default_and_named_events_otherwise() -> None:
    net = Net()
    hooks = net.make(hook("a"), hook("b", events=["Offered"]))
    hooks.publish([line(1), line(2, "Offered"), line(3, "Queued")])
    await net.wait_for(2)
    await hooks.close()
    assert sorted((post.url.host, post.content) for post in net.posts) == [
        ("a.example.net", b'{"seq":1,"type":"SecurityAlert"}'),
        ("b.example.net", b'{"seq":2,"type":"Offered"}'),
    ]
    assert webhooks.SIGNATURE not in net.posts[0].headers


async def test_signature() -> None:
    net = Net()
    hooks = net.make(hook(secret=SecretSource(env="X")))
    hooks.publish([line(1)])
    await net.wait_for(1)
    await hooks.close()
    expected = hmac.new(b"s3cret", net.posts[0].content, hashlib.sha256).hexdigest()
    assert net.posts[0].headers[webhooks.SIGNATURE] == f"sha256={expected}"


async def test_tried_again_in_order_until_it_works() -> None:
    net = Net()
    answers = [httpx.Response(500), httpx.Response(302), httpx.Response(200), httpx.Response(200)]
    net.answer = lambda request: answers.pop(0)
    hooks = net.make(hook())
    hooks.publish([line(1), line(2)])
    await net.wait_for(4)
    await hooks.close()
    assert net.bodies() == [line(1).json.encode()] * 3 + [line(2).json.encode()]
    assert net.naps == [2.0, 4.0]


async def test_given_up_when_nobody_answers() -> None:
    net = Net()

    def fail(request: httpx.Request) -> httpx.Response:
        if b'"seq":1' in request.content:
            raise httpx.ConnectError("no route")
        return httpx.Response(200)

    net.answer = fail
    hooks = net.make(hook())
    hooks.publish([line(1), line(2)])
    await net.wait_for(webhooks.ATTEMPTS + 1)
    await hooks.close()
    assert net.bodies() == [line(1).json.encode()] * webhooks.ATTEMPTS + [line(2).json.encode()]


async def test_memory_is_bounded_and_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "MAX_WAITING", 3)
    net = Net()
    hooks = net.make(hook())
    hooks.publish([line(n) for n in range(10)])
    await net.wait_for(3)
    await hooks.close()
    assert net.bodies() == [line(n).json.encode() for n in (7, 8, 9)]


async def test_a_removed_webhook_hears_no_more() -> None:
    net = Net()
    hooks = net.make(hook("a"), hook("b"))
    hooks.configure({"b": hook("b")}, lambda source: "")
    hooks.publish([line(1)])
    await net.wait_for(1)
    await hooks.close()
    assert [post.url.host for post in net.posts] == ["b.example.net"]
