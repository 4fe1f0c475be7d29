"""The HTTP API end to end: uvicorn, database, files."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from pbx.cti.commands import CommandRejected, HoldCall, SupervisorSetAgentState
from pbx.events import catalogue as e
from pbx.ports.backend import Health
from pbx.testing.scenarios import make_history
from tests.unit.web.desk_harness import Desk, Rpc


async def get(desk: Desk, user: str, path: str, **params: Any) -> Any:
    async with desk.client(user) as client:
        answer = await client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()


async def test_only_health_is_open(desk: Desk) -> None:
    async with desk.client() as client:
        assert (await client.get("/health")).json() == {"status": "ok", "checks": {"database": "ok"}}
        desk.status = Health("draining")
        assert (await client.get("/health")).status_code == 503
        description = await get(desk, "root", "/openapi.json")
        for path, methods in description["paths"].items():
            for method in methods:
                if path in ("/health", "/api/login"):
                    continue
                path = path.replace("{", "").replace("}", "")
                answer = await client.request(method, path, headers={"Idempotency-Key": "12345678"})
                assert answer.status_code == 401, (method, path, answer.status_code)
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_the_description_is_complete_and_sound(desk: Desk) -> None:
    description = await get(desk, "anna", "/openapi.json")
    assert {"/api/calls", "/api/cdr", "/api/recordings/{recording}/audio", "/metrics"} <= set(description["paths"])
    schemas = description["components"]["schemas"]
    assert {"LiveCall", "LiveAgent", "Wallboard", "QueueRow", "User", "Health"} <= set(schemas)

    def check(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                assert node["$ref"].rpartition("/")[2] in schemas, node
            for value in node.values():
                check(value)
        elif isinstance(node, list):
            for value in node:
                check(value)

    check(description)


async def test_log_in_and_out(desk: Desk) -> None:
    await asyncio.to_thread(desk.add_user, "lea", "agent", agent="1002", password="correct horse")
    async with desk.client() as client:
        wrong = await client.post("/api/login", json={"user": "lea", "password": "wrong"})
        nobody = await client.post("/api/login", json={"user": "nobody", "password": "wrong"})
        tokens_only = await client.post("/api/login", json={"user": "anna", "password": ""})
        assert (wrong.status_code, wrong.text) == (nobody.status_code, nobody.text) == (401, tokens_only.text)
        right = (await client.post("/api/login", json={"user": "lea", "password": "correct horse"})).json()
        assert (right["role"], right["agent"]) == ("agent", "1002")
        headers = {"Authorization": f"Bearer {right['token']}"}
        assert (await client.get("/api/me", headers=headers)).json()["user"] == "lea"
        assert (await client.post("/api/logout", headers=headers)).status_code == 204
        assert (await client.get("/api/me", headers=headers)).status_code == 401


async def test_live_calls_agents_and_queues_by_scope(desk: Desk) -> None:
    desk.append(
        e.Offered(call="c1", leg="t", direction="inbound", device="trunk:x", caller="+4930", called="8000"),
        e.Queued(call="c1", item="c1", queue="support", priority=0, position=1, entry="n1"),
        e.Offered(call="c2", leg="t", direction="inbound", device="trunk:x", caller="+4940", called="8000"),
        e.Queued(call="c2", item="c2", queue="sales", priority=0, position=1, entry="n2"),
        e.AgentLoggedOn(agent="1001", device="extension:1001"),
        e.AgentReady(agent="1001"),
    )
    await desk.settle()
    for user, calls in (("root", ["c1", "c2"]), ("anna", ["c1"]), ("bob", ["c2"]), ("susan", ["c1", "c2"])):
        assert [call["call"] for call in await get(desk, user, "/api/calls")] == calls
    assert (await get(desk, "anna", "/api/calls/c1"))["caller"] == "+4930"
    async with desk.client("anna") as client:
        assert (await client.get("/api/calls/c2")).status_code == 404
    assert [a["agent"] for a in await get(desk, "root", "/api/agents")] == ["1001", "1002", "1003"]
    assert [a["agent"] for a in await get(desk, "anna", "/api/agents")] == ["1001"]
    board = await get(desk, "susan", "/api/queues")
    assert [(row["queue"], row["waiting"]) for row in board["queues"]] == [("sales", 1), ("support", 1)]
    assert board["queues"][1]["agents"]["ready"] == 1
    assert [row["queue"] for row in (await get(desk, "anna", "/api/queues"))["queues"]] == ["support"]


async def test_call_records_with_paging_and_filters(desk: Desk) -> None:
    history = make_history(60, agents=3)
    desk.replay(history)
    await desk.settle()
    found, cursor, pages = [], "", 0
    while True:
        page = await get(desk, "root", "/api/cdr", limit=7, cursor=cursor)
        found += [row["call_id"] for row in page["calls"]]
        pages += 1
        cursor = page["next"]
        if not cursor:
            break
    assert sorted(found) == sorted({f"c1-{n}" for n in range(60)}) and pages == 9
    starts = [row["started_at"] for row in (await get(desk, "root", "/api/cdr", limit=100))["calls"]]
    assert starts == sorted(starts, reverse=True)
    gone = await get(desk, "root", "/api/cdr", outcome="abandoned", limit=100)
    assert len(gone["calls"]) == 8
    mine = await get(desk, "anna", "/api/cdr", limit=100)
    assert mine["calls"] and {row["agent"] for row in mine["calls"]} == {"1001"}
    assert (await get(desk, "anna", "/api/cdr", agent="1002"))["calls"] == []
    assert len((await get(desk, "root", "/api/cdr", queue="sales", limit=100))["calls"]) == 30
    one = mine["calls"][0]
    whole = await get(desk, "anna", f"/api/cdr/{one['call_id']}")
    assert [segment["kind"] for segment in whole["segments"]] == ["flow", "talk", "queue", "talk"]
    assert whole["detail"]["talks"][1]["agent"] == "1001"
    heard = whole["detail"]["recordings"][0]["conversation"]
    assert (heard["talk_from_ms"], heard["talk_to_ms"], heard["talk_ratio"]) == (6000, 9000, 0.4)
    assert heard["longest_silence_ms"] == 1500 and (heard["crosstalk_ms"], heard["crosstalk_count"]) == (500, 1)
    events = await get(desk, "root", f"/api/cdr/{one['call_id']}/events")
    assert events["events"][0]["event"]["type"] == "Offered"
    by_number = await get(desk, "root", "/api/cdr", caller=f"*{one['caller'][-5:]}")
    assert one["call_id"] in [row["call_id"] for row in by_number["calls"]]
    assert (await get(desk, "root", "/api/cdr", caller="%"))["calls"] == []
    async with desk.client("bob") as client:
        assert (await client.get(f"/api/cdr/{one['call_id']}")).status_code == 404
        assert (await client.get("/api/cdr", params={"cursor": "x"})).status_code == 422


async def test_events_since(desk: Desk) -> None:
    desk.replay(make_history(10, agents=3))
    await desk.settle()
    first = await get(desk, "root", "/api/events", limit=20)
    second = await get(desk, "root", "/api/events", since=first["next"], limit=1000)
    seqs = [event["seq"] for event in first["events"] + second["events"]]
    assert seqs == list(range(1, desk.log.last_seq + 1))
    assert (await get(desk, "root", "/api/events", since=desk.log.last_seq))["events"] == []
    mine = await get(desk, "anna", "/api/events", limit=1000)
    assert 0 < len(mine["events"]) < len(seqs) and mine["next"] == desk.log.last_seq


HEARD = e.Conversation(
    talk_from_ms=10,
    talk_to_ms=30,
    talk_ratio=0.25,
    silence_ms=5,
    longest_silence_ms=5,
    crosstalk_ms=0,
    crosstalk_count=0,
)


async def record(desk: Desk, path: str = "2026/c1.wav") -> bytes:
    desk.append(
        e.Offered(call="c1", leg="t", direction="inbound", device="trunk:x", caller="+4930", called="8000"),
        e.Established(call="c1", leg="a", device="extension:1001", agent="1001"),
        e.RecordingStarted(call="c1", recording="r1", leg="t", path=path, agent="1001"),
        e.CallCleared(call="c1", outcome="answered", reason=""),
        e.RecordingCompleted(
            call="c1", recording="r1", leg="t", path=path, duration_ms=1, size_bytes=100, sha256="x", conversation=HEARD
        ),
    )
    await desk.settle()
    audio = bytes(range(100))
    (desk.recordings_root / "2026").mkdir(parents=True, exist_ok=True)
    (desk.recordings_root / "2026" / "c1.wav").write_bytes(audio)
    return audio


async def read_audit(desk: Desk) -> list[tuple[str, str, str]]:
    found = await get(desk, "root", "/api/audit")
    return [(r["event"]["user"], r["event"]["action"], r["event"]["object"]) for r in found["events"]]


async def test_recordings_by_range_and_who_listened(desk: Desk) -> None:
    audio = await record(desk)
    async with desk.client("quentin") as client:
        listed = (await client.get("/api/recordings")).json()["recordings"]
        assert [(row["recording"], row["caller"]) for row in listed] == [("r1", "+4930")]
        one = (await client.get("/api/recordings/r1")).json()
        assert listed[0]["conversation"] == one["conversation"] == msgspec.to_builtins(HEARD)
        whole = await client.get("/api/recordings/r1/audio")
        assert whole.content == audio and whole.headers["content-type"] == "audio/wav"
        part = await client.get("/api/recordings/r1/audio", headers={"Range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, audio[10:20])
        beyond = await client.get("/api/recordings/r1/audio", headers={"Range": "bytes=500-"})
        assert beyond.status_code == 416
    async with desk.client("susan") as client:
        assert (await client.get("/api/recordings/r1/audio")).content == audio
    assert await read_audit(desk) == [("quentin", "recording_heard", "r1"), ("susan", "recording_heard", "r1")]


@pytest.mark.parametrize("user", ["anna", "bob"])
async def test_agents_do_not_listen(desk: Desk, user: str) -> None:
    await record(desk)
    async with desk.client(user) as client:
        for path in ("/api/recordings", "/api/recordings/r1", "/api/recordings/r1/audio", "/api/audit", "/api/users"):
            assert (await client.get(path)).status_code == 403
    assert await read_audit(desk) == []


async def test_a_supervisor_hears_own_teams_only(desk: Desk) -> None:
    await record(desk)
    desk.add_user("sven", "supervisor", teams=["blue"])
    async with desk.client("sven") as client:
        assert (await client.get("/api/recordings")).json()["recordings"] == []
        assert (await client.get("/api/recordings/r1/audio")).status_code == 404


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "2026/gone.wav", "2026"])
async def test_no_other_file_is_served(desk: Desk, path: str) -> None:
    await record(desk, path)
    async with desk.client("root") as client:
        assert (await client.get("/api/recordings/r1/audio")).status_code == 404
    assert await read_audit(desk) == []


async def test_commands_over_http(desk: Desk) -> None:
    async with desk.client("anna") as client:
        for _ in range(2):
            done = await client.post(
                "/api/commands/HoldCall", json={"call": "c9"}, headers={"Idempotency-Key": "click-00001"}
            )
            assert (done.status_code, done.json()) == (200, {"done": True})
        assert [command for _, command, _ in desk.commands] == [HoldCall(call="c9")]
        desk.answer = CommandRejected(code="wrong_state", message="it is held")
        refused = await client.post(
            "/api/commands/HoldCall", json={"call": "c9"}, headers={"Idempotency-Key": "click-00002"}
        )
        assert (refused.status_code, refused.json()) == (409, {"code": "wrong_state", "detail": "it is held"})
        for method, body, status in (
            ("TakeOver", {"agent": "1001"}, 403),
            ("HoldCall", {}, 422),
            ("Nonsense", {}, 404),
        ):
            answer = await client.post(f"/api/commands/{method}", json=body, headers={"Idempotency-Key": "click-00003"})
            assert answer.status_code == status
        assert (await client.post("/api/commands/HoldCall", json={"call": "c9"})).status_code == 422
    assert len(desk.desk.hub) == 0


async def test_a_supervisor_over_http(desk: Desk) -> None:
    async with desk.client("susan") as client:
        for agent, status in (("1001", 200), ("1003", 403)):
            body = {"agent": agent, "state": "log_off"}
            answer = await client.post(
                "/api/commands/SupervisorSetAgentState", json=body, headers={"Idempotency-Key": f"off-{agent}-1"}
            )
            assert answer.status_code == status
    assert [command for _, command, _ in desk.commands] == [SupervisorSetAgentState(agent="1001", state="log_off")]


async def test_explain_reads_the_log(desk: Desk) -> None:
    desk.replay(make_history(3, agents=3))
    await desk.settle()
    async with desk.connect("quentin") as socket:
        rpc = Rpc(socket)
        told = (await rpc.call("ExplainCall", {"call": "c1-1"}))["result"]
        kinds = [record["event"]["type"] for record in told["events"]]
        assert kinds == ["Routed", "Queued", "AgentOffered", "OfferEnded", "QueueLeft", "CallCleared"]
        assert told["events"][2]["event"]["why"]["strategy"] == "longest_idle"
        assert (await rpc.call("ExplainCall", {"call": "none"}))["error"]["data"]["code"] == "unknown_object"


async def test_metrics(desk: Desk) -> None:
    desk.append(
        e.Offered(call="c1", leg="t", direction="inbound", device="trunk:x", caller="+4930", called="8000"),
        e.Queued(call="c1", item="c1", queue="support", priority=0, position=1, entry="n1"),
        e.TrunkStateChanged(trunk="carrier", state="down", reason="503"),
    )
    await desk.settle()
    async with desk.client("root") as client:
        lines = (await client.get("/metrics")).text.splitlines()
    for line in (
        "tandem_calls 1.0",
        'tandem_queue_waiting{queue="support"} 1.0',
        'tandem_trunk_up{trunk="carrier"} 0.0',
        "tandem_events_total 3.0",
        "tandem_sip_dialogs 3.0",
        'tandem_calls_total{trunk="a"} 7.0',
        'tandem_gateway_tick_late_seconds_bucket{gateway="g1",le="0.0001"} 90.0',
        'tandem_gateway_tick_late_seconds_bucket{gateway="g1",le="0.002"} 98.0',
        'tandem_gateway_tick_late_seconds_bucket{gateway="g1",le="+Inf"} 100.0',
        'tandem_gateway_tick_late_seconds_count{gateway="g1"} 100.0',
        'tandem_gateway_tick_late_seconds_sum{gateway="g1"} 0.5',
        "tandem_log_database_away 0.0",
    ):
        assert line in lines
    async with desk.client() as client:
        assert (await client.get("/metrics")).status_code == 401
    async with desk.client("anna") as client:
        assert (await client.get("/metrics")).status_code == 403


async def test_users_are_managed_and_every_change_is_noted(desk: Desk) -> None:
    async with desk.client("root") as client:
        body = {"role": "agent", "agent": "1002", "password": "long enough"}
        assert (await client.put("/api/users/lea", json=body)).json()["has_password"] is True
        assert (await client.put("/api/users/lea", json=body | {"password": "short"})).status_code == 422
        assert (await client.put("/api/users/b%20d", json=body)).status_code == 422
        assert (await client.put("/api/users/lea", json={"role": "agent"})).status_code == 422
        token = (await client.post("/api/users/lea/tokens", json={"label": "phone"})).json()["token"]
        assert (await client.post("/api/users/none/tokens", json={})).status_code == 404
        desk.tokens["lea"] = token
        (known,) = (await client.get("/api/users/lea/tokens")).json()
        assert known["label"] == "phone" and token not in str(known)
        assert (await get(desk, "lea", "/api/me"))["agent"] == "1002"
        async with desk.connect("lea") as socket:
            await Rpc(socket).call("Subscribe")
            assert (await client.delete(f"/api/tokens/{known['id']}")).status_code == 204
            await asyncio.wait_for(socket.wait_closed(), 5)
            assert socket.close_code == 4004
        assert (await client.delete("/api/users/lea")).status_code == 204
        assert (await client.delete("/api/users/lea")).status_code == 404
        assert "lea" not in [user["name"] for user in (await client.get("/api/users")).json()]
    async with desk.client("lea") as client:
        assert (await client.get("/api/me")).status_code == 401
    actions = [action for _, action, _ in await read_audit(desk)]
    assert actions == ["user_changed", "token_created", "token_revoked", "user_removed"]


async def test_large_and_unmeasured_bodies_are_refused(desk: Desk) -> None:
    async with desk.client("root") as client:
        answer = await client.post("/api/login", content=b"x" * (2 << 20))
        assert answer.status_code == 413

        async def drip() -> Any:
            yield b"{}"

        assert (await client.post("/api/login", content=drip())).status_code == 413


async def test_a_database_that_is_away_is_said_so(desk: Desk) -> None:
    await get(desk, "root", "/api/me")
    with desk.log.engine.connect() as connection:
        connection.exec_driver_sql("ALTER TABLE cdr RENAME TO hidden")
    async with desk.client("root") as client:
        answer = await client.get("/api/cdr")
    with desk.log.engine.connect() as connection:
        connection.exec_driver_sql("ALTER TABLE hidden RENAME TO cdr")
    assert answer.status_code == 503
    assert answer.json()["detail"].startswith("the database is not available")
