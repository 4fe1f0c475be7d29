"""Tokens are looked up without blocking and not too often; guessing is slowed down."""

from __future__ import annotations

import pytest

from pbx.adapters import gatekeeper
from pbx.adapters.gatekeeper import MAX_FAILURES, TRUST_S, WINDOW_S, Gatekeeper, TooManyFailures
from pbx.cti.actor import Actor

ANNA = Actor(user="anna", role="agent", agent="1001")


class Store:
    """Knows one token and one password; counts."""

    def __init__(self) -> None:
        self.asked = 0
        self.good = {"token-of-anna"}

    def check_token(self, token: str, wall: float) -> Actor | None:
        self.asked += 1
        return ANNA if token in self.good else None

    def check_password(self, name: str, password: str) -> Actor | None:
        self.asked += 1
        return ANNA if (name, password) == ("anna", "right") else None


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_good_token_is_trusted_for_a_moment() -> None:
    store, clock = Store(), Clock()
    keeper = Gatekeeper(store, clock=clock, wall=clock)
    for _ in range(10):
        assert await keeper.check_token("token-of-anna", "a") == ANNA
    assert store.asked == 1
    store.good.clear()
    clock.now = TRUST_S
    assert await keeper.check_token("token-of-anna", "a") is None
    store.good.add("token-of-anna")
    assert await keeper.check_token("token-of-anna", "a") == ANNA
    store.good.clear()
    keeper.forget("token-of-anna")
    assert await keeper.check_token("token-of-anna", "a") is None
    store.good.add("token-of-anna")
    await keeper.check_token("token-of-anna", "a")
    store.good.clear()
    keeper.forget()
    assert await keeper.check_token("token-of-anna", "a") is None


async def test_guessing_shuts_an_address_out_for_a_while() -> None:
    store, clock = Store(), Clock()
    keeper = Gatekeeper(store, clock=clock, wall=clock)
    for n in range(MAX_FAILURES):
        clock.now = float(n)
        if n % 2:
            assert await keeper.check_token("wrong", "evil") is None
        else:
            assert await keeper.check_password("anna", "wrong", "evil") is None
    asked = store.asked
    for attempt in (keeper.check_token("token-of-anna", "evil"), keeper.check_password("anna", "right", "evil")):
        with pytest.raises(TooManyFailures):
            await attempt
    assert store.asked == asked
    assert await keeper.check_password("anna", "right", "elsewhere") == ANNA
    clock.now = WINDOW_S + 1
    assert await keeper.check_password("anna", "right", "evil") == ANNA


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gatekeeper, "MAX_ADDRESSES", 5)
    store = Store()
    keeper = Gatekeeper(store, clock=Clock(), wall=Clock())
    for n in range(20):
        store.good.add(f"t{n}")
        await keeper.check_token(f"t{n}", "a")
        await keeper.check_token("wrong", f"address-{n}")
    assert len(keeper._good) <= 5 and len(keeper._failures) <= 5
