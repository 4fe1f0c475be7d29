"""STIR on the whole switch: what an INVITE with a signed identity becomes, by the trunk's policy."""

from __future__ import annotations

from typing import Any

import pytest

from pbx.app.settings import Settings
from pbx.events import catalogue as facts
from pbx.events.folds.cdr import CdrFold
from pbx.sip.events import Ended
from pbx.testing.switch_node import EPOCH
from tests.sim.test_desk_commands import Room
from tests.sim.test_passing_on import TRUNK
from tests.sim.test_whole_switch import SWITCH, sample
from tests.unit.sip.stir import URL, Provider

PROVIDER = Provider(EPOCH + 1000)


class Proven(Room):
    def __init__(self, policy: str) -> None:
        configuration, flows = sample()
        trunk = configuration.trunks[TRUNK].model_copy(update={"stir": policy})
        changed = configuration.model_copy(update={"trunks": {**configuration.trunks, TRUNK: trunk}})
        super().__init__((changed, flows))
        self.node.switch.exchange.settings = Settings(changed, reveal=str, stir_authorities=[PROVIDER.root])

    def call(self, **options: Any) -> None:
        """A signed call; without a signature where ``signed`` is False."""
        signed = options.pop("signed", True)
        value = PROVIDER.sign(at=self.node.switch.exchange.epoch + self.world.now, **options)
        headers = (("Identity", value),) if signed else ()
        self.carrier.at(self.world.now, lambda: self.carrier.call(f"sip:01055550101@{SWITCH}", headers))
        self.world.run(0.5)

    def certify(self, pem: bytes = PROVIDER.pem, failure: str = "") -> None:
        self.world.post(SWITCH, self.node.certify(URL, pem, self.world.now, failure))
        self.world.run(3)

    @property
    def status(self) -> list[int]:
        return [event.status for _, event in self.carrier.events if isinstance(event, Ended)]

    @property
    def data(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for event in self.facts(facts.CallInformation):
            found |= {name: value for name, value in event.data.items() if name.startswith("stir")}
        return found


@pytest.mark.parametrize("policy", ["flag", "refuse"])
def test_a_proven_caller(policy: str) -> None:
    room = Proven(policy)
    room.call(attest="B")
    assert room.node.certificates_wanted == [URL] and not room.node.switch.exchange.calls, "it waits"
    room.certify()
    (call,) = room.node.switch.exchange.calls.values()
    assert len(call.talkers) == 2 and call.data["stir_attestation"] == "B", "flows see it"
    assert (room.data["stir"], room.data["stir_attestation"]) == ("passed", "B"), "and who reads events"
    room.carrier.at(room.world.now, room.carrier.hangup)
    room.world.run(5)
    fold = CdrFold()
    for record in room.node.records:
        fold.apply(record)
    (record_of_it,) = [detail for detail in fold.take_changed() if detail.call == call.id]
    assert record_of_it.data["stir"] == "passed", "and the call record"
    room.close()


def test_two_calls_wait_for_one_certificate() -> None:
    room = Proven("refuse")
    room.call()
    room.call()
    assert room.node.certificates_wanted == [URL] and room.node.switch.live()["unproven"] == 2
    room.certify()
    assert len(room.node.switch.exchange.calls) == 2 and room.node.switch.live()["unproven"] == 0


@pytest.mark.parametrize(
    ("status", "options", "failure"),
    [
        (428, {"signed": False}, ""),
        (436, {}, "the certificate did not come in time"),
        (438, {"caller": "8613911112222"}, ""),
        (438, {"claims": {"attest": "Z"}}, ""),
        (437, {"header": {"alg": "RS256"}}, ""),
    ],
)
def test_who_is_not_proven(status: int, options: dict[str, Any], failure: str) -> None:
    strict, mild = Proven("refuse"), Proven("flag")
    for room in (strict, mild):
        room.call(**options)
        room.certify(failure=failure)
    assert strict.status == [status] and not strict.node.switch.exchange.calls
    assert [event.outcome for event in strict.facts(facts.CallCleared)] == ["blocked"]
    strict.close()
    assert len(mild.node.switch.exchange.calls) == 1
    assert mild.data["stir"] == ("none" if status == 428 else "failed")
    assert "stir_attestation" not in mild.data, "nothing that was not proven is told"


def test_a_signature_of_yesterday() -> None:
    room = Proven("refuse")
    value = PROVIDER.sign(at=EPOCH)
    room.carrier.at(room.world.now, lambda: room.carrier.call(f"sip:01055550101@{SWITCH}", (("Identity", value),)))
    room.world.run(0.5)
    room.certify()
    assert room.status == [403]


def test_a_caller_who_leaves_meanwhile() -> None:
    room = Proven("flag")
    room.call()
    room.carrier.at(room.world.now, room.carrier.hangup)
    room.world.run(1)
    assert len(room.status) == 1 and room.node.switch.live()["unproven"] == 0
    room.certify()
    assert not room.node.switch.exchange.calls
    room.close()


def test_a_trunk_that_does_not_care() -> None:
    room = Proven("ignore")
    room.call(claims={"attest": "Z"})
    room.world.run(3)
    assert len(room.node.switch.exchange.calls) == 1 and not room.node.certificates_wanted and not room.data
