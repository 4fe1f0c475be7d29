"""A phone with two calls joins their far ends (REFER with Replaces)."""

from __future__ import annotations

from pbx.events import catalogue as facts
from tests.sim.test_desk_commands import FOUR, ONE, TRUNK, Room


def test_the_far_ends_of_two_calls_are_joined() -> None:
    room = Room()
    first = room.call_lina()
    phone = room.phones["1001"]
    (held,) = phone.live_talks()
    phone.at(room.world.now, lambda: phone.hold(held.leg))
    room.world.run(1)
    phone.at(room.world.now, lambda: phone.call("1004"))
    room.world.run(4)
    (second,) = [call for call in room.node.switch.exchange.calls.values() if call is not first]
    asked = next(talk for talk in phone.live_talks() if talk is not held)
    phone.at(room.world.now, lambda: phone.transfer_to_leg(held.leg, asked.leg))
    room.world.run(5)
    assert room.hears(first, TRUNK, FOUR) and room.hears(first, FOUR, TRUNK)
    assert not any(leg.device == ONE for leg in first.live()) and second.id not in room.node.switch.exchange.calls
    assert [event.kind for event in room.facts(facts.Transferred)] == ["attended"]
    room.close()


def test_a_transfer_into_a_call_that_is_no_more_is_refused() -> None:
    room = Room()
    call = room.call_lina()
    phone = room.phones["1001"]
    (talk,) = phone.live_talks()
    phone.at(room.world.now, lambda: phone.transfer_to_leg(talk.leg, talk.leg))
    room.world.run(3)
    assert len(call.talkers) == 2 and not room.facts(facts.Transferred)
    room.close()
