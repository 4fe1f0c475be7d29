"""The hub as a pure machine: requests, subscriptions, resume, answers, time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pbx.cti.actor import Actor
from pbx.cti.commands import Accepted, CommandDone, CommandRejected
from pbx.cti.following import PAGE
from pbx.cti.hub import AUTHENTICATE_WITHIN_S, POSITION_EVERY_S, Hub
from pbx.cti.outputs import CheckToken, Close, Deliver, Execute, KeepAnswer, ReadLog
from pbx.cti.peer import BURST
from pbx.cti.permissions import Directory
from pbx.events import catalogue as e
from pbx.events.catalogue import Record
from pbx.events.folds.live import LiveFold
from pbx.events.folds.topics import TopicFold
from pbx.events.line import Line
from pbx.testing.scenarios import make_history

ROOT = Actor(user="root", role="administrator")
ANNA = Actor(user="anna", role="agent", agent="1001")
DIRECTORY = Directory(teams={"red": ("1001",)}, agent_queues={"1001": ("support",), "1002": ("sales",)})


class Log:
    """Lines as the event log makes them; publishes when told."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.lines: list[tuple[Line, Record]] = []
        self._topics = TopicFold()

    def append(self, records: list[Record]) -> None:
        for record in records:
            concerned = self._topics.apply(record)
            line = Line(
                seq=record.seq,
                at=record.at,
                type=type(record.event).__name__,
                call=getattr(record.event, "call", ""),
                topics=concerned.topics,
                joined=concerned.joined,
                json=msgspec.json.encode(record).decode(),
            )
            self.lines.append((line, record))

    def publish(self, upto: int) -> list[Any]:
        return list(self.hub.publish(self.lines[self.hub.seq : upto], 0.0))

    def read(self, since: int, limit: int) -> list[Line]:
        return [line for line, _ in self.lines if line.seq > since][:limit]


@pytest.fixture
def hub() -> Hub:
    return Hub(LiveFold(), DIRECTORY)


def ask(hub: Hub, peer: int, method: str, params: dict[str, Any] | None = None, id: Any = "request-1") -> list[Any]:
    request = {"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}}
    return list(hub.receive(peer, msgspec.json.encode(request), 0.0))


def unpack(outputs: list[Any], peer: int | None = None) -> list[dict[str, Any]]:
    """Messages delivered (to one peer)."""
    return [
        msgspec.json.decode(frame)
        for output in outputs
        if isinstance(output, Deliver) and peer in (None, output.peer)
        for frame in output.frames
    ]


def catch_up(hub: Hub, log: Log, outputs: list[Any]) -> list[dict[str, Any]]:
    """Serve a peer's reads until it is live."""
    messages = unpack(outputs)
    while reads := [output for output in outputs if isinstance(output, ReadLog)]:
        outputs = list(hub.log_read(reads[0].peer, reads[0].since, log.read(reads[0].since, reads[0].limit), 0.0))
        messages += unpack(outputs)
    return messages


def seqs(messages: list[dict[str, Any]]) -> list[int]:
    return [message["params"]["seq"] for message in messages if message.get("method") == "event"]


def test_nothing_without_a_token(hub: Hub) -> None:
    peer = hub.connect(0.0)
    (refused,) = unpack(ask(hub, peer, "Subscribe"))
    assert refused["error"]["data"]["code"] == "not_authenticated"
    assert ask(hub, peer, "Authenticate", {"token": "12345678"}) == [CheckToken(peer, "12345678")]
    (welcome,) = unpack(hub.token_checked(peer, ANNA, 0.0))
    assert welcome["result"] == {"user": "anna", "role": "agent", "agent": "1001", "seq": 0, "version": 1}
    (again,) = unpack(ask(hub, peer, "Authenticate", {"token": "12345678"}))
    assert again["error"]["data"]["code"] == "wrong_state"
    assert "12345678" not in repr(CheckToken(1, "12345678"))


def test_a_wrong_token_ends_it(hub: Hub) -> None:
    peer = hub.connect(0.0)
    ask(hub, peer, "Authenticate", {"token": "12345678"})
    outputs = list(hub.token_checked(peer, None, 0.0))
    assert isinstance(outputs[-1], Close) and outputs[-1].code == 4001 and len(hub) == 0


def test_whoever_says_nothing_is_closed(hub: Hub) -> None:
    peer = hub.connect(0.0)
    deadline = hub.next_deadline()
    assert deadline is not None and deadline.at == AUTHENTICATE_WITHIN_S
    assert hub.expire(AUTHENTICATE_WITHIN_S - 0.1) == []
    (closed,) = hub.expire(AUTHENTICATE_WITHIN_S)
    assert isinstance(closed, Close) and closed.peer == peer


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"\xff\xfe", -32700),
        (b"[" * 50_000, -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"Ping","params":' + b"[" * 60_000, -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"Ping","params":' + b"[" * 30_000 + b"]" * 30_000 + b"}", -32700),
        (b"[]", -32600),
        (b'{"jsonrpc":"1.0","id":1,"method":"Ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":1}', -32600),
        (b'{"jsonrpc":"2.0","id":{},"method":"Ping"}', -32600),
        (b'{"jsonrpc":"2.0","method":"Ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"Nonsense"}', -32601),
        (b'{"jsonrpc":"2.0","id":1,"method":"Ping","params":[1]}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"HoldCall","params":{}}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"HoldCall","params":{"call":"c","x":1}}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"GenerateDigits","params":{"call":"c","digits":"hello"}}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"HoldCall","params":{"call":"c"}}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"Subscribe","params":{"since":-1}}', -32602),
        (b'{"jsonrpc":"2.0","id":"' + b"x" * 70_000 + b'","method":"Ping"}', -32602),
    ],
)
def test_bad_requests_are_told_what_is_wrong(hub: Hub, text: bytes, number: int) -> None:
    peer = hub.connect(0.0, ROOT)
    (answer,) = unpack(list(hub.receive(peer, text, 0.0)))
    assert answer["error"]["code"] == number and answer["error"]["message"]
    assert unpack(ask(hub, peer, "Ping")) == [{"jsonrpc": "2.0", "id": "request-1", "result": {"seq": 0}}]


def test_a_flood_is_closed(hub: Hub) -> None:
    peer = hub.connect(0.0, ROOT)
    for _ in range(int(BURST)):
        assert unpack(ask(hub, peer, "Ping"))
    assert isinstance(ask(hub, peer, "Ping")[0], Close)
    assert ask(hub, peer, "Ping") == []


def test_resume_at_every_point_gives_each_event_once(hub: Hub) -> None:
    log = Log(hub)
    log.append(make_history(60, agents=3))
    total = len(log.lines)
    assert total > PAGE
    log.publish(total - 100)
    for since in (0, 1, 7, total - 400, total - 101, total - 100):
        peer = hub.connect(0.0, ROOT)
        messages = catch_up(hub, log, ask(hub, peer, "Subscribe", {"since": since}))
        assert messages[0]["result"]["resumed"] is True
        assert seqs(messages) == list(range(since + 1, total - 99))
        hub.disconnect(peer)
    peer = hub.connect(0.0, ROOT)
    outputs = ask(hub, peer, "Subscribe", {"since": 0})
    (read,) = [output for output in outputs if isinstance(output, ReadLog)]
    early = log.read(0, PAGE)
    assert unpack(log.publish(total), peer) == []
    messages = unpack(list(hub.log_read(read.peer, read.since, early, 0.0)))
    rest = [ReadLog(peer, early[-1].seq, PAGE)]
    messages += catch_up(hub, log, rest)
    assert seqs(messages) == list(range(1, total + 1))


def test_resume_with_a_filter_gives_what_was_shown_live(hub: Hub) -> None:
    log = Log(hub)
    log.append(make_history(40, agents=3))
    live = hub.connect(0.0, ANNA)
    ask(hub, live, "Subscribe")
    shown = []
    for upto in range(50, len(log.lines) + 50, 50):
        shown += seqs(unpack(log.publish(min(upto, len(log.lines))), live))
    assert 0 < len(shown) < len(log.lines)
    for since in (0, 100, 333):
        peer = hub.connect(0.0, ANNA)
        messages = catch_up(hub, log, ask(hub, peer, "Subscribe", {"since": since}))
        assert seqs(messages) == [seq for seq in shown if seq > since]


def test_who_comes_back_is_shown_the_calls_it_missed(hub: Hub) -> None:
    log = Log(hub)
    log.append(
        [
            Record(
                1, 1.0, e.Offered(call="c1", leg="t", direction="inbound", device="trunk:x", caller="77", called="1")
            ),
            Record(2, 1.0, e.AgentOffered(call="c1", item="c1", queue="support", agent="1001", offer="o")),
            Record(3, 1.0, e.CallInformation(call="c1", data={"vip": "yes"})),
        ]
    )
    log.publish(3)
    peer = hub.connect(0.0, ANNA)
    messages = catch_up(hub, log, ask(hub, peer, "Subscribe", {"since": 1}))
    assert seqs(messages) == [2, 3]
    assert messages[-1]["method"] == "call" and messages[-1]["params"]["call"]["data"] == {"vip": "yes"}


def test_what_retention_deleted_is_a_gap(hub: Hub) -> None:
    log = Log(hub)
    log.append(make_history(5))
    log.publish(50)
    del log.lines[:20]
    peer = hub.connect(0.0, ROOT)
    (answer,) = catch_up(hub, log, ask(hub, peer, "Subscribe", {"since": 4}))
    result = answer["result"]
    assert result["gap"] == {"first": 5, "last": 20, "reason": "retention"}
    assert result["resumed"] is False and result["seq"] == 50 and result["snapshot"]["calls"]
    log.hub.publish([pair for pair in log.lines if pair[0].seq == 51], 0.0)
    assert hub.count_following() == 1


def test_a_number_from_the_future_is_a_gap(hub: Hub) -> None:
    peer = hub.connect(0.0, ROOT)
    (answer,) = unpack(ask(hub, peer, "Subscribe", {"since": 9}))
    assert answer["result"]["gap"] == {"first": 1, "last": 9, "reason": "future"}


def test_only_the_types_asked_for(hub: Hub) -> None:
    log = Log(hub)
    log.append(make_history(3))
    peer = hub.connect(0.0, ROOT)
    ask(hub, peer, "Subscribe", {"events": ["CallCleared"]})
    messages = unpack(log.publish(len(log.lines)), peer)
    assert {message["params"]["event"]["type"] for message in messages if message["method"] == "event"} == {
        "CallCleared"
    }
    (refused,) = unpack(ask(hub, peer, "Subscribe", {"events": ["Nonsense"]}))
    assert refused["error"]["data"]["code"] == "forbidden"


def test_one_frame_object_for_all(hub: Hub) -> None:
    log = Log(hub)
    log.append([Record(1, 1.0, e.AgentReady(agent="1001"))])
    peers = [hub.connect(0.0, ROOT) for _ in range(5)]
    for peer in peers:
        ask(hub, peer, "Subscribe")
    frames = [output.frames[0] for output in log.publish(1) if isinstance(output, Deliver)]
    assert len(frames) == 5 and len({id(frame) for frame in frames}) == 1


def test_unsubscribed_and_subscribed_anew(hub: Hub) -> None:
    log = Log(hub)
    log.append([Record(n, 1.0, e.AgentReady(agent="1001")) for n in range(1, 10)])
    peer = hub.connect(0.0, ROOT)
    ask(hub, peer, "Subscribe")
    ask(hub, peer, "Subscribe", {"agents": ["1001"]})
    assert seqs(unpack(log.publish(2))) == [1, 2]
    ask(hub, peer, "Subscribe", {"agents": ["1002"]})
    assert unpack(log.publish(4)) == []
    ask(hub, peer, "Unsubscribe")
    assert unpack(log.publish(5)) == []
    assert hub.count_following() == 0


def test_positions_are_told_to_those_who_heard_nothing(hub: Hub) -> None:
    log = Log(hub)
    log.append([Record(n, 1.0, e.AgentReady(agent="1002")) for n in range(1, 10)])
    peer = hub.connect(0.0, ANNA)
    ask(hub, peer, "Subscribe")
    assert log.publish(9) == []
    (message,) = unpack(hub.expire(POSITION_EVERY_S))
    assert message == {"jsonrpc": "2.0", "method": "position", "params": {"seq": 9}}
    assert hub.expire(2 * POSITION_EVERY_S) == []


def test_too_much_unread_is_the_end(hub: Hub) -> None:
    peer = hub.connect(0.0, ROOT)
    assert hub.check_backlog(peer, 1000) == []
    (closed,) = hub.check_backlog(peer, 5 << 20)
    assert isinstance(closed, Close) and closed.code == 4002 and "slow reader" in closed.reason


def test_a_command_and_its_answer_which_is_kept_first(hub: Hub) -> None:
    peer = hub.connect(0.0, ANNA)
    (execute,) = ask(hub, peer, "HoldCall", {"call": "c1"}, id="click-001")
    assert isinstance(execute, Execute) and execute.request_id == "anna/click-001"
    assert ask(hub, peer, "HoldCall", {"call": "c1"}, id="click-001") == []
    (keep,) = hub.done(CommandDone(request_id="anna/click-001", result=Accepted(data={"ok": 1})), 0.0)
    assert isinstance(keep, KeepAnswer)
    (answer,) = unpack(hub.answer_kept("anna", "click-001", 0.0))
    assert answer["result"] == {"ok": 1}
    assert hub.done(CommandDone(request_id="anna/click-001", result=Accepted()), 0.0) == []
    other = Hub(LiveFold(), DIRECTORY)
    other.answers.restore([(keep.user, keep.id, 0.0, keep.answer)])
    peer = other.connect(0.0, ANNA)
    assert unpack(ask(other, peer, "HoldCall", {"call": "c1"}, id="click-001")) == [answer]


def test_one_users_id_is_not_anothers(hub: Hub) -> None:
    for actor in (ANNA, ROOT):
        (execute,) = ask(hub, hub.connect(0.0, actor), "HoldCall", {"call": "c1"}, id="click-001")
        assert isinstance(execute, Execute)


def test_a_refused_command_can_be_corrected_under_a_new_id(hub: Hub) -> None:
    peer = hub.connect(0.0, ANNA)
    ask(hub, peer, "HoldCall", {"call": "c1"}, id="click-001")
    hub.done(CommandDone(request_id="anna/click-001", result=CommandRejected(code="wrong_state", message="no")), 0.0)
    (answer,) = unpack(hub.answer_kept("anna", "click-001", 0.0))
    assert answer["error"] == {"code": -32004, "message": "no", "data": {"code": "wrong_state"}}


def test_queries_need_no_id_of_their_own(hub: Hub) -> None:
    hub.live.apply(Record(1, 1.0, e.AgentLoggedOn(agent="1001", device="extension:1001")))
    peer = hub.connect(0.0, ANNA)
    for id in (1, 1):
        (answer,) = unpack(ask(hub, peer, "GetAgentState", id=id))
        assert answer["result"]["agent"]["state"] == "not_ready"


def test_changed_teams_ask_everybody_to_subscribe_again(hub: Hub) -> None:
    anna, root = hub.connect(0.0, ANNA), hub.connect(0.0, ROOT)
    ask(hub, anna, "Subscribe")
    ask(hub, root, "Subscribe")
    assert hub.configure(DIRECTORY) == []
    (closed,) = hub.configure(Directory(agent_queues={"1001": ("sales",)}))
    assert isinstance(closed, Close) and (closed.peer, closed.code) == (anna, 4005)
    (revoked,) = hub.revoke("root")
    assert isinstance(revoked, Close) and revoked.code == 4004


def test_no_trace_of_peers_that_left(hub: Hub) -> None:
    peers = [hub.connect(0.0, ANNA) for _ in range(3)] + [hub.connect(0.0) for _ in range(2)]
    for peer in peers[:2]:
        ask(hub, peer, "Subscribe")
    for peer in peers:
        hub.disconnect(peer)
    assert len(hub) == 0 and not hub._following.topics
    hub.expire(1000.0)
    assert hub.next_deadline() is None


def test_the_wallboard_once_a_second_and_only_what_changed() -> None:
    hub = Hub(LiveFold(), DIRECTORY, epoch=1000.0)
    log = Log(hub)
    log.append(
        [
            Record(1, 1000.0, e.AgentReady(agent="1001")),
            Record(2, 1000.0, e.Queued(call="c", item="c", queue="support", priority=0, position=1, entry="n")),
            Record(
                3, 1003.0, e.QueueLeft(call="c", item="c", queue="support", reason="abandoned", waited_s=9, entry="n")
            ),
        ]
    )
    anna, root, deaf = hub.connect(0.0, ANNA), hub.connect(0.0, ROOT), hub.connect(0.0, ANNA)
    (_, first) = unpack(ask(hub, anna, "Subscribe", {"wallboard": True}))
    assert [row["queue"] for row in first["params"]["queues"]] == ["support"]
    (_, first) = unpack(ask(hub, root, "Subscribe", {"wallboard": True}))
    assert [row["queue"] for row in first["params"]["queues"]] == ["sales", "support"]
    ask(hub, deaf, "Subscribe")
    log.publish(2)
    assert hub.next_deadline() is not None and hub.next_deadline().at == 1.0  # type: ignore[union-attr]
    outputs = hub.expire(1.0)
    assert unpack(outputs, deaf) == []
    (row,) = unpack(outputs, anna)[0]["params"]["queues"]
    assert (row["queue"], row["waiting"], row["longest_wait_s"], row["agents"]["ready"]) == ("support", 1, 1.0, 1)
    assert len(unpack(outputs, root)[0]["params"]["queues"]) == 2, "nobody was told of either before"
    (row,) = unpack(hub.expire(2.0), root)[0]["params"]["queues"]
    assert (row["queue"], row["longest_wait_s"]) == ("support", 2.0)
    log.publish(3)
    (row,) = unpack(hub.expire(3.0), anna)[0]["params"]["queues"]
    assert (row["waiting"], row["abandoned"], row["service_level_now"]) == (0, 1, 0.0)
    assert hub.expire(4.0) == []
    hub.disconnect(anna)
    hub.disconnect(root)
    hub.expire(5.0)
    deadline = hub.next_deadline()
    assert deadline is not None and deadline.reason == "position"


def test_a_second_subscription_overtakes_the_first(hub: Hub) -> None:
    log = Log(hub)
    log.append(make_history(20, agents=3))
    log.publish(300)
    peer = hub.connect(0.0, ROOT)
    (first,) = ask(hub, peer, "Subscribe", {"since": 200}, id="one")
    outputs = ask(hub, peer, "Subscribe", {"since": 50}, id="two")
    (told,) = unpack(outputs)
    assert told["id"] == "one" and told["error"]["data"]["code"] == "wrong_state"
    assert hub.log_read(peer, first.since, log.read(first.since, PAGE), 0.0) == []
    messages = catch_up(hub, log, outputs)
    assert messages[1]["id"] == "two" and seqs(messages) == list(range(51, 301))
