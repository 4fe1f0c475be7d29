"""Every command and every event against every role, through the hub."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from pbx.cti import commands as c
from pbx.cti.actor import ROLES, Actor, Role
from pbx.cti.hub import Hub
from pbx.cti.outputs import Deliver, Execute, Explain, KeepAnswer
from pbx.cti.permissions import COMMAND_ROLES, EVENT_ROLES, Directory, find_scope
from pbx.events.catalogue import AnyEvent, Record
from pbx.events.folds.live import LiveFold
from pbx.events.folds.topics import TopicFold
from pbx.events.line import Line

DIRECTORY = Directory(
    teams={"red": ("1001", "1002"), "blue": ("1003",)},
    agent_queues={"1001": ("support",), "1002": ("support",), "1003": ("sales",)},
    agent_devices={"1001": "extension:1001"},
)
ACTORS: dict[Role, Actor] = {
    "agent": Actor(user="anna", role="agent", agent="1001"),
    "supervisor": Actor(user="susan", role="supervisor", teams=("red",)),
    "quality": Actor(user="quentin", role="quality"),
    "administrator": Actor(user="root", role="administrator"),
}
FILL: dict[str, Any] = {
    "agent": "1001",
    "queue": "support",
    "call": "c1",
    "item": "c1",
    "callback": "callback-1",
    "device": "extension:1001",
    "destination": "number:110",
    "state": "log_off",
    "seconds": 30,
    "digits": "1",
    "data": {},
    "open": True,
    "text": "hello",
}

AGENT_COMMANDS = {
    "SetAgentState GetAgentState ExtendWrapUp MakeCall AnswerCall ClearConnection ClearCall HoldCall RetrieveCall",
    "ConsultationCall AlternateCall ReconnectCall TransferCall SingleStepTransferCall ConferenceCall",
    "SingleStepConferenceCall DeflectCall DirectedPickupCall ParkCall GenerateDigits SetCallData SnapshotCall",
    "SnapshotDevice StartRecording StopRecording PauseRecording ResumeRecording",
}
QUALITY_COMMANDS = "GetAgentState SnapshotCall SnapshotDevice ExplainCall SilentMonitor StopSupervision GetCallbacks"
MAY: dict[Role, set[str]] = {
    "agent": {name for line in AGENT_COMMANDS for name in line.split()},
    "supervisor": set(c.COMMANDS),
    "quality": set(QUALITY_COMMANDS.split()),
    "administrator": set(c.COMMANDS),
}
ONLY_TECHNICAL = (
    "DeviceRegistered DeviceUnregistered DoNotDisturb Forwarding MessageWaiting VoicemailChanged TrunkStateChanged "
    "GatewayStateChanged DiskStateChanged"
)
ONLY_ROOT = "ConfigurationApplied ConfigurationRefused SecurityAlert AuditEntry"
HIDDEN: dict[Role, set[str]] = {
    "agent": set(f"{ONLY_TECHNICAL} {ONLY_ROOT} MediaQuality MediaLost".split()),
    "supervisor": set(ONLY_ROOT.split()),
    "quality": set(f"{ONLY_TECHNICAL} {ONLY_ROOT}".split()),
    "administrator": set(),
}


def make_hub() -> Hub:
    return Hub(LiveFold(), DIRECTORY)


def ask(hub: Hub, actor: Actor, method: str, params: dict[str, Any]) -> list[Any]:
    peer = hub.connect(0.0, actor)
    request = {"jsonrpc": "2.0", "id": f"{actor.user}-{method}-1", "method": method, "params": params}
    return list(hub.receive(peer, msgspec.json.encode(request), 0.0))


def read_code(outputs: list[Any]) -> str:
    """Error code of the response, empty if it was carried out."""
    for output in outputs:
        if isinstance(output, Execute | Explain | KeepAnswer):
            return ""
        if isinstance(output, Deliver):
            answer = msgspec.json.decode(output.frames[0])
            return str(answer["error"]["data"]["code"]) if "error" in answer else ""
    raise AssertionError(outputs)


def make_params(kind: type[Any]) -> dict[str, Any]:
    return {
        field.name: FILL[field.name]
        for field in msgspec.structs.fields(kind)
        if field.required or field.name in ("agent", "device")
    }


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", c.COMMANDS)
def test_every_command_for_every_role(name: str, role: Role) -> None:
    code = read_code(ask(make_hub(), ACTORS[role], name, make_params(c.COMMANDS[name])))
    if name in MAY[role]:
        assert code in ("", "unknown_object"), "unknown: there is no such call in this hub"
    else:
        assert code == "forbidden"


def test_the_tables_are_complete() -> None:
    assert set(COMMAND_ROLES) == set(c.COMMANDS.values())
    assert set(EVENT_ROLES) == {kind.__name__ for kind in AnyEvent.__args__}


def make_event(kind: Any, **names: str) -> Any:
    """An event of this kind about the given agent, queue ..."""
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        if field.name in names:
            values[field.name] = names[field.name]
        elif field.required:
            values[field.name] = make_value(field.type)
    return kind(**values)


def make_value(kind: Any) -> Any:
    if kind is str:
        return "x"
    if kind in (int, float, bool):
        return kind(1)
    arguments = getattr(kind, "__args__", ())
    return arguments[0] if arguments and isinstance(arguments[0], str) else {} if "dict" in str(kind) else ()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", AnyEvent.__args__, ids=lambda kind: kind.__name__)
def test_every_event_for_every_role(kind: Any, role: Role) -> None:
    """Each about agent 1001 (where it can be), whom all four follow."""
    from pbx.events.catalogue import AgentOffered, Offered

    hub = make_hub()
    peer = hub.connect(0.0, ACTORS[role])
    hub.receive(peer, b'{"jsonrpc":"2.0","id":1,"method":"Subscribe"}', 0.0)
    offered = Offered(call="c1", leg="l", direction="inbound", device="trunk:x", caller="1", called="2")
    history = [
        offered,
        AgentOffered(call="c1", item="c1", queue="support", agent="1001", offer="o"),
        make_event(kind, call="c1", agent="1001", queue="support", device="extension:1001"),
    ]
    fold, pairs = TopicFold(), []
    for n, event in enumerate(history, 1):
        record = Record(n, 1.0, event)
        concerned = fold.apply(record)
        line = Line(
            seq=n,
            at=1.0,
            type=type(event).__name__,
            call=getattr(event, "call", ""),
            topics=concerned.topics,
            joined=concerned.joined,
            json=msgspec.json.encode(record).decode(),
        )
        pairs.append((line, record))
    hub.publish(pairs[:2], 0.0)
    frames = [frame for output in hub.publish(pairs[2:], 0.0) if isinstance(output, Deliver) for frame in output.frames]
    told = [msgspec.json.decode(frame)["params"]["event"]["type"] for frame in frames if b'"event"' in frame]
    assert told == ([] if kind.__name__ in HIDDEN[role] else [kind.__name__])


@pytest.mark.parametrize(
    ("actor", "method", "params"),
    [
        (ACTORS["agent"], "SetAgentState", {"agent": "1002", "state": "ready"}),
        (ACTORS["agent"], "MakeCall", {"agent": "1002", "destination": "110"}),
        (ACTORS["agent"], "MakeCall", {"device": "extension:1002", "destination": "110"}),
        (ACTORS["agent"], "GetAgentState", {"agent": "1002"}),
        (ACTORS["agent"], "SnapshotDevice", {"device": "1002"}),
        (ACTORS["supervisor"], "SupervisorSetAgentState", {"agent": "1003", "state": "ready"}),
        (ACTORS["supervisor"], "SilentMonitor", {"agent": "1003"}),
        (ACTORS["supervisor"], "SetQueueOpen", {"queue": "sales", "open": False}),
        (ACTORS["supervisor"], "MoveWorkItem", {"item": "c1", "queue": "sales"}),
        (ACTORS["supervisor"], "BroadcastMessage", {"text": "hi", "teams": ["blue"]}),
        (ACTORS["supervisor"], "BroadcastMessage", {"text": "hi", "agents": ["1003"]}),
        (ACTORS["supervisor"], "BroadcastMessage", {"text": "hi", "queues": ["sales"]}),
        (ACTORS["agent"], "Subscribe", {"agents": ["1002"]}),
        (ACTORS["agent"], "Subscribe", {"queues": ["sales"]}),
        (ACTORS["agent"], "Subscribe", {"teams": ["red"]}),
        (ACTORS["supervisor"], "Subscribe", {"teams": ["blue"]}),
        (ACTORS["supervisor"], "Subscribe", {"agents": ["1003"]}),
    ],
)
def test_nobody_reaches_beyond_their_scope(actor: Actor, method: str, params: dict[str, Any]) -> None:
    assert read_code(ask(make_hub(), actor, method, params)) == "forbidden"


def test_scopes() -> None:
    assert find_scope(ACTORS["agent"], DIRECTORY).topics == {"agent:1001", "queue:support"}
    assert find_scope(ACTORS["supervisor"], DIRECTORY).agents == {"1001", "1002"}
    assert find_scope(ACTORS["quality"], DIRECTORY).everything
    limited = Actor(user="q", role="quality", teams=("blue",))
    assert find_scope(limited, DIRECTORY).topics == {"agent:1003", "queue:sales"}
    lonely = Actor(user="s", role="supervisor")
    assert find_scope(lonely, DIRECTORY).topics == frozenset()


@pytest.mark.parametrize("role", ["agent", "supervisor"])
def test_somebody_elses_call_does_not_exist(role: Role) -> None:
    from pbx.events.catalogue import Established, Offered

    hub = make_hub()
    events: list[AnyEvent] = [
        Offered(call="c1", leg="l", direction="inbound", device="trunk:x", caller="1", called="2"),
        Established(call="c1", leg="m", device="extension:1003", agent="1003"),
    ]
    for n, event in enumerate(events, 1):
        hub.live.apply(Record(n, 1.0, event))
    for method in ("HoldCall", "ClearCall", "SnapshotCall", "SetCallData"):
        params = {"call": "c1"} | ({"data": {"a": "b"}} if method == "SetCallData" else {})
        assert read_code(ask(hub, ACTORS[role], method, params)) == "unknown_object"
    assert read_code(ask(hub, ACTORS["administrator"], "ClearCall", {"call": "c1"})) == ""


def test_every_pair_of_roles_differs_somewhere() -> None:
    for one, other in itertools.combinations(ROLES, 2):
        assert MAY[one] != MAY[other] or HIDDEN[one] != HIDDEN[other]
