"""What a call carries on from the one it came from, and what is minded for a provider: as the other side sees it."""

from __future__ import annotations

from typing import Any

import pytest

from pbx.config.model import Configuration
from pbx.sip.commands import Invite
from pbx.sip.events import Answered, IncomingCall
from pbx.testing.phone import Behaviour, ScriptedPhone, Talk
from tests.sim.test_desk_commands import Room
from tests.sim.test_whole_switch import SWITCH, sample

TRUNK = "carrier-a"


def with_quirks(**quirks: Any) -> tuple[Configuration, Any]:
    """The sample with a carrier at an address of the simulated world, and these quirks of it."""
    configuration, flows = sample()
    trunk = configuration.trunks[TRUNK]
    changed = trunk.model_copy(
        update={"host": "192.0.2.10", "port": 5060, "quirks": trunk.quirks.model_copy(update=quirks)}
    )
    return configuration.model_copy(update={"trunks": {**configuration.trunks, TRUNK: changed}}), flows


def invite_at(phone: ScriptedPhone) -> IncomingCall:
    return next(event for _, event in phone.events if isinstance(event, IncomingCall))


def call_in(room: Room, **fields: Any) -> None:
    talk = room.carrier.talks["in"] = Talk(leg="in", incoming=False, began=room.world.now)
    talk.offer = room.carrier._make_offer(talk)
    invite = Invite(
        leg="in",
        uri=f"sip:01055550101@{SWITCH}",
        flow=room.carrier.server,
        from_uri="sip:01088880000@carrier",
        sdp=talk.offer,
        **fields,
    )
    room.carrier.at(room.world.now, lambda: room.carrier.command(invite))
    room.world.run(3)


def test_hops_and_session_are_carried_on() -> None:
    room = Room()
    session = "ab" * 16
    call_in(room, max_forwards=20, session_id=session)
    heard = invite_at(room.phones["1001"])
    assert heard.max_forwards == 19
    assert (heard.request.headers.get("Session-ID") or "").startswith(session)


@pytest.mark.parametrize(("hops", "rings"), [(2, True), (0, False)])
def test_a_loop_between_exchanges_ends(hops: int, rings: bool) -> None:
    room = Room()
    call_in(room, max_forwards=hops)
    assert any(isinstance(event, IncomingCall) for _, event in room.phones["1001"].events) is rings


def call_out(room: Room) -> IncomingCall:
    phone = room.phones["1003"]
    room.carrier.behaviour = Behaviour(answer_after=1.0)
    phone.at(room.world.now, lambda: phone.call("913912345678"))
    room.world.run(3)
    return invite_at(room.carrier)


def test_a_provider_without_quirks() -> None:
    room = Room(with_quirks())
    heard = call_out(room)
    assert "100rel" in (heard.request.headers.get("Supported") or "")
    assert heard.max_forwards == 69


def test_a_provider_that_mishandles_reliable_responses() -> None:
    room = Room(with_quirks(reliable_provisional=False))
    assert "100rel" not in (call_out(room).request.headers.get("Supported") or "")


@pytest.mark.parametrize(("update", "method"), [(True, "UPDATE"), (False, "INVITE")])
def test_a_provider_that_mishandles_update(update: bool, method: str) -> None:
    """Session refreshes are what we would use UPDATE for."""
    room = Room(with_quirks(update=update))
    seen: list[str] = []
    receive = room.carrier.receive

    def spy(packet: bytes, flow: Any, now: float) -> Any:
        seen.append(packet.split(b" ", 1)[0].decode())
        return receive(packet, flow, now)

    room.carrier.receive = spy  # type: ignore[method-assign]
    call_out(room)
    assert any(isinstance(event, Answered) for _, event in room.phones["1003"].events)
    seen.clear()
    room.world.run(1000)
    assert method in seen and ("UPDATE" in seen) is update


@pytest.mark.parametrize("when", ["always", "no_answer"])
def test_who_diverted_a_call_is_told_to_the_provider_that_wants_to_know(when: str) -> None:
    room = Room(with_quirks(send_identity=("p_asserted_identity", "diversion", "history_info")))
    features = room.node.switch.exchange.features
    outputs = room.node.switch.do(lambda ex: features.set_forward("1003", when, "number:913912345678"), room.world.now)
    room.node._take(outputs, room.world.now)
    room.phones["1003"].behaviour = Behaviour(answer_after=None)
    caller = room.phones["1001"]
    caller.at(room.world.now, lambda: caller.call("1003"))
    room.world.run(40)
    headers = invite_at(room.carrier).request.headers
    reason = "unconditional" if when == "always" else "no-answer"
    diversion = headers.get("Diversion") or ""
    assert diversion.startswith("<sip:") and "1055550102@" in diversion and f"reason={reason};counter=1" in diversion
    assert ";index=1.1" in (headers.get("History-Info") or "")
    assert headers.get("P-Asserted-Identity")
