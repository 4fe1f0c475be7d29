"""Clients that leave in the middle, scopes that are not theirs, and what is sent to some only."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pbx.cti.actor import Actor
from pbx.cti.commands import Accepted, CommandDone
from pbx.cti.hub import POSITION_EVERY_S, Hub
from pbx.cti.outputs import CheckToken, Deliver, Execute, KeepAnswer
from pbx.cti.peer import Forbidden, choose_scope
from pbx.cti.permissions import Directory
from pbx.cti.protocol import Subscribe
from pbx.events.folds.live import LiveFold

ROOT = Actor(user="root", role="administrator")
ANNA = Actor(user="anna", role="agent", agent="1001")
LEAD = Actor(user="lead", role="supervisor", agent="1009", teams=("red",))
DIRECTORY = Directory(teams={"red": ("1001",)}, agent_queues={"1001": ("support",), "1002": ("sales",)})


@pytest.fixture
def hub() -> Hub:
    return Hub(LiveFold(), DIRECTORY)


def ask(hub: Hub, peer: int, method: str, params: dict[str, Any], id: str) -> list[Any]:
    request = {"jsonrpc": "2.0", "id": id, "method": method, "params": params}
    return list(hub.receive(peer, msgspec.json.encode(request), 0.0))


def test_a_client_that_left_before_its_token_was_checked(hub: Hub) -> None:
    peer = hub.connect(0.0)
    assert ask(hub, peer, "Authenticate", {"token": "12345678"}, "request-1") == [CheckToken(peer, "12345678")]
    hub.disconnect(peer)
    assert hub.token_checked(peer, ANNA, 0.0) == [] and len(hub) == 0


def test_a_client_that_left_before_its_answer_was_kept(hub: Hub) -> None:
    peer = hub.connect(0.0, ANNA)
    (execute,) = ask(hub, peer, "HoldCall", {"call": "c1"}, "click-001")
    assert isinstance(execute, Execute)
    hub.disconnect(peer)
    (keep,) = hub.done(CommandDone(request_id=execute.request_id, result=Accepted()), 0.0)
    assert isinstance(keep, KeepAnswer)
    assert hub.answer_kept("anna", "click-001", 0.0) == []


def test_with_nobody_there_the_clock_of_positions_stops(hub: Hub) -> None:
    hub.disconnect(hub.connect(0.0, ROOT))
    assert hub.next_deadline() is not None
    assert hub.expire(POSITION_EVERY_S) == [] and hub.next_deadline() is None


def test_a_message_to_named_agents_reaches_them_only(hub: Hub) -> None:
    sender, anna = hub.connect(0.0, ROOT), hub.connect(0.0, ANNA)
    other = hub.connect(0.0, Actor(user="otto", role="agent", agent="1002"))
    outputs = ask(hub, sender, "BroadcastMessage", {"text": "hello", "agents": ["1001"]}, "click-001")
    told = [out.peer for out in outputs if isinstance(out, Deliver) and b'"message"' in out.frames[0]]
    assert told == [anna] and other not in told


@pytest.mark.parametrize(
    ("wanted", "what"),
    [
        (Subscribe(agents=("1002",)), "agents"),
        (Subscribe(queues=("sales",)), "queues"),
        (Subscribe(teams=("blue",)), "teams"),
    ],
)
def test_a_subscription_outside_the_users_scope(wanted: Subscribe, what: str) -> None:
    with pytest.raises(Forbidden, match=f"one of these {what} is not yours"):
        choose_scope(LEAD, wanted, DIRECTORY)


def test_a_subscription_to_ones_own() -> None:
    assert choose_scope(LEAD, Subscribe(own=True), DIRECTORY).agents == {"1009"}
    assert choose_scope(ROOT, Subscribe(teams=("red",)), DIRECTORY).agents == {"1001"}
