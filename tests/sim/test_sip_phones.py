"""Two phones on our stack over a bad network in virtual time: every call ends, nothing is left, nothing contradicts."""

import pytest

from pbx.sip.commands import Flow, Hangup
from pbx.sip.events import Ended
from pbx.testing.netem import Conditions, Netem, World
from pbx.testing.phone import Behaviour, ScriptedPhone, Talk

ROUGH = Conditions(loss=0.1, duplicate=0.05, reorder=0.1, delay=0.02, jitter=0.03)


def make_pair(seed: int, conditions: Conditions, transport: str = "udp", **behaviour: object) -> tuple:
    world = World(Netem(seed, conditions))
    alice = ScriptedPhone("alice", "192.0.2.1", Flow(transport, "192.0.2.2", 5060, transport), seed=seed)
    bob = ScriptedPhone(
        "bob",
        "192.0.2.2",
        Flow(transport, "192.0.2.1", 5060, transport),
        seed=seed + 1,
        behaviour=Behaviour(**behaviour),  # type: ignore[arg-type]
    )
    world.add(alice.host, alice)
    world.add(bob.host, bob)
    return world, alice, bob


def assert_clean(world: World, *phones: ScriptedPhone) -> None:
    world.run_until_quiet()
    for phone in phones:
        assert not any(phone.stack.live().values()), (phone.number, phone.stack.live())
        for talk in phone.talks.values():
            assert talk.ended is not None, talk
        ended = [event.leg for _, event in phone.events if isinstance(event, Ended)]
        assert sorted(ended) == sorted(phone.talks), "exactly one Ended per leg"


def only(phone: ScriptedPhone) -> Talk:
    (talk,) = phone.talks.values()
    return talk


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_call_talk_hangup(transport: str) -> None:
    world, alice, bob = make_pair(1, Conditions(), transport)
    alice.at(world.now, lambda: alice.call("bob"))
    alice.at(world.now + 10, lambda: alice.hangup())
    world.run(60)
    assert only(alice).answered is not None and only(bob).answered is not None
    assert only(alice).direction == "sendrecv"
    assert only(bob).ended == Ended(leg=only(bob).leg, by="remote", cause=16)
    assert_clean(world, alice, bob)


@pytest.mark.parametrize("seed", range(40))
def test_calls_over_a_rough_network(seed: int) -> None:
    world, alice, bob = make_pair(seed, ROUGH, answer_after=1.5)
    start = world.now
    for index in range(8):
        alice.at(start + index, lambda: alice.call("bob"))
    for index, talk_hold in enumerate((3, 5, 7)):
        alice.at(start + 9 + talk_hold, lambda: alice.hold())
        bob.at(start + 9 + talk_hold + index * 0.05, lambda: bob.hold())
    alice.at(start + 100, lambda: alice.hangup())
    bob.at(start + 100.01, lambda: bob.hangup())
    world.run(300)
    answered = [talk for talk in alice.talks.values() if talk.answered is not None]
    assert len(answered) >= 7, "a call is lost only when seven INVITEs or responses in a row are"
    assert_clean(world, alice, bob)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("delay", [0.0, 0.05, 0.2, 1.99, 2.0, 2.02, 2.05])
def test_cancel_meets_answer(seed: int, delay: float) -> None:
    """RFC 5407 section 3.1: CANCEL and 200 cross; both sides must come to the same end."""
    world, alice, bob = make_pair(seed, ROUGH, answer_after=2.0)
    alice.at(world.now, lambda: alice.call("bob"))
    alice.at(world.now + delay, lambda: alice.hangup())
    world.run(200)
    assert_clean(world, alice, bob)


@pytest.mark.parametrize("seed", range(10))
def test_both_hang_up_at_once(seed: int) -> None:
    """RFC 5407 section 3.2: BYEs cross."""
    world, alice, bob = make_pair(seed, ROUGH, answer_after=1.0, hangup_after=5.0)
    alice.behaviour = Behaviour(hangup_after=5.0)
    alice.at(world.now, lambda: alice.call("bob"))
    world.run(200)
    assert_clean(world, alice, bob)


def test_callee_that_hangs_up_before_the_ack_waits_for_it() -> None:
    world, alice, bob = make_pair(3, Conditions())
    world.keep_wire = True
    alice.at(world.now, lambda: alice.call("bob"))
    leg = []
    bob.at(world.now + 3.0, lambda: leg.extend(bob.talks))
    bob.behaviour = Behaviour(answer_after=None)
    world.run(3.5)

    def answer_and_hang_up() -> None:
        bob.answer(leg[0])
        bob.command(Hangup(leg=leg[0]))

    bob.at(world.now, answer_and_hang_up)
    world.run(60)
    lines = [data.split(b" ")[0] for _, _, _, data in world.wire]
    assert lines.index(b"ACK") < lines.index(b"BYE")
    assert_clean(world, alice, bob)


def test_glare_of_holds_is_resolved() -> None:
    world, alice, bob = make_pair(5, Conditions(delay=0.05, jitter=0.0), answer_after=0.5)
    world.keep_wire = True
    alice.at(world.now, lambda: alice.call("bob"))
    alice.at(world.now + 5, lambda: alice.hold(only(alice).leg))
    bob.at(world.now + 5, lambda: bob.hold(only(bob).leg))
    alice.at(world.now + 30, lambda: alice.hangup())
    world.run(60)
    assert sum(data.startswith(b"SIP/2.0 491") for _, _, _, data in world.wire) == 2
    assert only(alice).direction == only(bob).direction == "inactive"
    assert_clean(world, alice, bob)


def test_phone_that_vanishes_is_noticed_by_the_session_timer() -> None:
    world, alice, bob = make_pair(6, Conditions(), answer_after=0.5)
    alice.at(world.now, lambda: alice.call("bob"))
    bob.at(world.now + 10, bob.vanish)
    world.run(4000)
    ended = only(alice).ended
    assert ended is not None and ended.by == "timeout"
    world.run_until_quiet()
    assert not any(alice.stack.live().values())


def test_session_is_refreshed_while_both_are_there() -> None:
    world, alice, bob = make_pair(7, ROUGH, answer_after=0.5)
    world.keep_wire = True
    alice.at(world.now, lambda: alice.call("bob"))
    world.run(7200)
    assert only(alice).ended is None and only(bob).ended is None
    assert len({data for _, _, _, data in world.wire if data.startswith(b"UPDATE ")}) >= 7
    alice.at(world.now, lambda: alice.hangup())
    world.run(100)
    assert_clean(world, alice, bob)


def test_blind_transfer() -> None:
    world, alice, bob = make_pair(8, ROUGH, answer_after=0.5)
    alice.at(world.now, lambda: alice.call("bob"))
    bob.at(world.now + 20, lambda: bob.transfer(only(bob).leg, "bob"))
    world.run(40)
    assert len(alice.talks) == 2, "alice followed the transfer"
    alice.at(world.now, lambda: alice.hangup())
    world.run(100)
    assert_clean(world, alice, bob)


def test_no_answer_times_out() -> None:
    world, alice, bob = make_pair(9, Conditions(), answer_after=None)
    alice.at(world.now, lambda: alice.call("bob"))
    world.run(300)
    ended = only(alice).ended
    assert ended is not None and (ended.by, ended.status, ended.cause) == ("timeout", 408, 19)
    assert_clean(world, alice, bob)


def test_nobody_there() -> None:
    world, alice, bob = make_pair(10, Conditions())
    bob.vanish()
    alice.at(world.now, lambda: alice.call("bob"))
    world.run(60)
    ended = only(alice).ended
    assert ended is not None and (ended.by, ended.status) == ("timeout", 408)
    assert_clean(world, alice)


class _FailingNetem(Netem):
    """A perfect network but for one message."""

    def __init__(self, fail: int) -> None:
        super().__init__(1, Conditions(delay=0.02, jitter=0.0))
        self.fail = fail

    def send(self, source: tuple[str, int], target: tuple[str, int], transport: str, data: bytes, now: float) -> None:
        if self.sent == self.fail:
            self.sent += 1
            self.lost += 1
        else:
            super().send(source, target, transport, data, now)


def play_everything(netem: Netem) -> tuple[World, ScriptedPhone, ScriptedPhone]:
    """A call with early media, holds from both sides, a transfer, a digit and a hang-up."""
    world = World(netem)
    alice = ScriptedPhone("alice", "192.0.2.1", Flow("udp", "192.0.2.2", 5060, "udp"), seed=1)
    bob = ScriptedPhone("bob", "192.0.2.2", Flow("udp", "192.0.2.1", 5060, "udp"), seed=2)
    world.add(alice.host, alice)
    world.add(bob.host, bob)
    start = world.now
    alice.at(start, lambda: alice.call("bob"))
    alice.at(start + 10, lambda: alice.hold())
    bob.at(start + 15, lambda: bob.hold())
    alice.at(start + 20, lambda: alice.hold(on=False))
    alice.at(start + 25, lambda: alice.send_digit("", "5"))
    bob.at(start + 30, lambda: bob.transfer("", "bob"))
    alice.at(start + 60, lambda: alice.hangup())
    world.run(200)
    return world, alice, bob


def test_any_one_message_may_be_lost() -> None:
    """Losing the n-th message, for every n, changes nothing that counts."""
    world, alice, bob = play_everything(_FailingNetem(-1))
    whole = world.netem.sent
    assert whole > 30
    for fail in range(whole):
        world, alice, bob = play_everything(_FailingNetem(fail))
        assert len(alice.talks) == 2, fail
        assert [talk.answered is not None for talk in alice.talks.values()] == [True, True], fail
        assert_clean(world, alice, bob)


@pytest.mark.parametrize("moment", [0.01, 0.03, 0.5, 2.11, 2.5, 10.01, 15.03, 30.05, 60.01])
def test_phone_may_vanish_at_any_moment(moment: float) -> None:
    world = World(Netem(1, Conditions(delay=0.02, jitter=0.0)))
    alice = ScriptedPhone("alice", "192.0.2.1", Flow("udp", "192.0.2.2", 5060, "udp"), seed=1)
    bob = ScriptedPhone("bob", "192.0.2.2", Flow("udp", "192.0.2.1", 5060, "udp"), seed=2)
    world.add(alice.host, alice)
    world.add(bob.host, bob)
    alice.at(world.now, lambda: alice.call("bob"))
    alice.at(world.now + 10, lambda: alice.hold())
    alice.at(world.now + 60, lambda: alice.hangup())
    bob.at(world.now + moment, bob.vanish)
    world.run(300)
    world.run_until_quiet()
    assert not any(alice.stack.live().values())
    assert all(talk.ended is not None for talk in alice.talks.values())
