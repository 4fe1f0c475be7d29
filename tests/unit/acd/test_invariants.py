"""The check itself: each kind of damage is found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pbx.acd.floor import Floor
from pbx.acd.invariants import check_invariants
from pbx.acd.model import CallbackRules
from tests.unit.acd.centre import Centre, make_agent, make_queue


@pytest.fixture
def centre() -> Centre:
    """ann serves c0, bob rings for c1, cy is ready elsewhere, c2 waits, c3 waits for ann."""
    agents = (make_agent("ann"), make_agent("bob"), make_agent("cy", {"sales": 1}))
    queue = make_queue(announce_interval_s=30.0, callback=CallbackRules())
    centre = Centre(queue, make_queue("sales"), agents=agents)
    for n in range(3):
        centre.call(f"c{n}")
        if n == 0:
            centre.answer("ann")
    centre.call("c3", preferred_agents=("ann",), preferred_s=60.0)
    return centre


def drop_from_class(floor: Floor) -> None:
    floor.items["c2"].plan.steps[0][1].waiting.clear()


def serve_twice(floor: Floor) -> None:
    floor.holders["c2"] = floor.holders["c0"]


def forget_in_queue(floor: Floor) -> None:
    del floor.queues["support"].items["c2"]


def keep_the_gone(floor: Floor) -> None:
    del floor.items["c2"]


def unlist_preferred(floor: Floor) -> None:
    floor.agents["ann"].personal.clear()


def lose_offer(floor: Floor) -> None:
    floor.offers.clear()


def empty_round(floor: Floor) -> None:
    next(iter(floor.rounds.values())).offers.clear()


def forget_round(floor: Floor) -> None:
    floor.items["c1"].round = None


def wrong_state(floor: Floor) -> None:
    floor.agents["ann"].state = "ready"


def free_but_unlisted(floor: Floor) -> None:
    floor.agents["cy"].pooled.clear()


def unlist_ready(floor: Floor) -> None:
    floor.agents["cy"].seats["sales"].group.ready.clear()


def lose_holder(floor: Floor) -> None:
    floor.holders.clear()


def wrong_desk(floor: Floor) -> None:
    floor.devices["extension:ann"] = floor.agents["bob"]


def log_off_with_work(floor: Floor) -> None:
    floor.agents["ann"].device = ""


def miscount_waiting(floor: Floor) -> None:
    floor.queues["support"].waiting += 1


def miscount_agents(floor: Floor) -> None:
    floor.queues["support"].logged_on += 1


def miscount_active(floor: Floor) -> None:
    floor.queues["support"].active -= 1


def ring_for_ever(floor: Floor) -> None:
    floor.timers.cancel(("round", next(iter(floor.rounds))))


def wait_without_timer(floor: Floor) -> None:
    floor.timers.cancel(("item", "c2"))


def reserve_for_ever(floor: Floor) -> None:
    floor.items["c3"].prefer_until = None


def talk_unwatched(floor: Floor) -> None:
    floor.timers.cancel(("agent", "ann"))


def disorder(floor: Floor) -> None:
    waiting = floor.items["c2"].plan.steps[0][1].waiting
    waiting.append((0.0, 0, waiting[0][2]))


DAMAGES: tuple[tuple[Callable[[Floor], None], str], ...] = (
    (drop_from_class, "c2 waiting in support> is in \\[\\]"),
    (serve_twice, "waits and is served"),
    (forget_in_queue, "not known to its queue"),
    (keep_the_gone, "but gone"),
    (unlist_preferred, "not with its preferred agents"),
    (lose_offer, "not known to its agent"),
    (empty_round, "rings nobody"),
    (forget_round, "does not know it"),
    (wrong_state, "was reported as"),
    (free_but_unlisted, "not listed for voice"),
    (unlist_ready, "not listed once"),
    (lose_holder, "serves c0, held by None"),
    (wrong_desk, "not at extension:ann"),
    (log_off_with_work, "logged off and holds something"),
    (miscount_waiting, "counts 2 waiting"),
    (miscount_agents, "agents logged on"),
    (miscount_active, "agents active"),
    (ring_for_ever, "never ends"),
    (wait_without_timer, "its timer at None"),
    (reserve_for_ever, "reserved for ever"),
    (talk_unwatched, "has no deadline"),
    (disorder, "out of order"),
)


@pytest.mark.parametrize(("damage", "message"), DAMAGES, ids=lambda value: getattr(value, "__name__", ""))
def test_damage_is_found(centre: Centre, damage: Callable[[Floor], None], message: str) -> None:
    check_invariants(centre.acd, centre.now)
    damage(centre.acd.floor)
    with pytest.raises(AssertionError, match=message):
        check_invariants(centre.acd, centre.now)


def test_an_idle_agent_is_found(centre: Centre) -> None:
    floor = centre.acd.floor
    ready = floor.agents["cy"].seats["sales"]
    centre.call("s1", "sales")
    centre.do("withdraw", "s1", "abandoned")
    need = next(iter(floor.queues["sales"].needs.values()))
    item = floor.items["c2"]
    need.waiting.append(item.place)
    floor.queues["sales"].waiting += 1
    assert ready.group.ready
    with pytest.raises(AssertionError, match="<Agent cy ready> idles while <Item c2 waiting in support> waits"):
        check_invariants(centre.acd, centre.now)
    with pytest.raises(AssertionError) as error:
        check_invariants(centre.acd, centre.now, matched=False)
    assert "idles" not in str(error.value)
