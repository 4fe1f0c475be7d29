"""The CTI socket end to end: real sockets, real database."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from pbx.cti.commands import Accepted, CommandRejected, HoldCall
from pbx.events import catalogue as e
from pbx.testing.scenarios import make_history
from tests.unit.web.desk_harness import Desk, Rpc


async def test_a_token_in_the_header_is_enough(desk: Desk) -> None:
    async with desk.connect("anna") as socket:
        answer = await Rpc(socket).call("Subscribe")
        assert answer["result"]["resumed"] is False
        assert answer["result"]["snapshot"]["calls"] == []


async def test_a_token_in_the_first_message(desk: Desk) -> None:
    async with desk.connect() as socket:
        rpc = Rpc(socket)
        assert (await rpc.call("Subscribe"))["error"]["data"]["code"] == "not_authenticated"
        welcome = (await rpc.call("Authenticate", {"token": desk.tokens["susan"]}))["result"]
        assert (welcome["user"], welcome["role"]) == ("susan", "supervisor")
        assert "result" in await rpc.call("Subscribe")


async def test_a_token_as_subprotocol(desk: Desk) -> None:
    offered = ["tandem.cti", f"tandem.token.{desk.tokens['anna']}"]
    async with desk.connect(subprotocols=offered) as socket:
        assert socket.subprotocol == "tandem.cti"
        assert "result" in await Rpc(socket).call("Subscribe")


async def test_a_wrong_token_is_refused(desk: Desk) -> None:
    desk.tokens["mallory"] = "tdm_" + "x" * 40
    with pytest.raises(InvalidStatus) as refused:
        await desk.connect("mallory").__aenter__()
    assert refused.value.response.status_code == 401
    async with desk.connect() as socket:
        rpc = Rpc(socket)
        assert (await rpc.call("Authenticate", {"token": "x" * 20}))["error"]["data"]["code"] == "not_authenticated"
        with pytest.raises(ConnectionClosed) as closed:
            await rpc.read()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 4001


async def test_whoever_guesses_is_not_listened_to(desk: Desk) -> None:
    desk.tokens["mallory"] = "tdm_" + "x" * 40
    codes = []
    for _ in range(22):
        with pytest.raises(InvalidStatus) as refused:
            await desk.connect("mallory").__aenter__()
        codes.append(refused.value.response.status_code)
    assert codes == [401] * 20 + [429] * 2


async def test_another_path_and_a_foreign_page_are_refused(desk: Desk) -> None:
    url = desk.ws_url
    desk.ws_url = url.replace("/cti", "/other")
    with pytest.raises(InvalidStatus) as refused:
        await desk.connect("anna").__aenter__()
    assert refused.value.response.status_code == 404
    desk.ws_url = url
    with pytest.raises(InvalidStatus) as refused:
        await desk.connect("anna", origin="https://evil.example").__aenter__()
    assert refused.value.response.status_code == 403


async def test_events_come_in_order_with_their_numbers(desk: Desk) -> None:
    async with desk.connect("root") as socket:
        rpc = Rpc(socket)
        await rpc.call("Subscribe")
        history = make_history(10)
        desk.replay(history)
        seen = [await rpc.note() for _ in history]
    assert [event["seq"] for event in seen] == list(range(1, len(history) + 1))
    assert [event["event"]["type"] for event in seen] == [type(record.event).__name__ for record in history]


async def test_resume_after_the_server_was_replaced(tmp_path: Path) -> None:
    first = Desk(tmp_path)
    await first.start()
    token = first.add_user("root", "administrator")
    history = make_history(30)
    async with first.connect("root") as socket:
        rpc = Rpc(socket)
        await rpc.call("Subscribe")
        first.replay(history[:200])
        seen = [(await rpc.note())["seq"] for _ in range(150)]
    await first.settle()
    await first.stop()
    second = Desk(tmp_path)
    await second.start()
    try:
        second.tokens["root"] = token
        second.replay(history[200:])
        async with second.connect("root") as socket:
            rpc = Rpc(socket)
            assert (await rpc.call("Subscribe", {"since": seen[-1]}))["result"]["resumed"] is True
            while len(seen) < len(history):
                seen.append((await rpc.note())["seq"])
        assert seen == list(range(1, len(history) + 1))
    finally:
        await second.stop()


async def test_an_agent_is_told_of_its_own_calls_and_queue_only(desk: Desk) -> None:
    async with desk.connect("anna") as socket:
        rpc = Rpc(socket)
        await rpc.call("Subscribe")
        desk.append(
            e.Offered(call="c1", leg="t", direction="inbound", device="trunk:x", caller="+4930", called="8000"),
            e.NodeEntered(call="c1", flow="main", node="menu"),
            e.Queued(call="c1", item="c1", queue="support", priority=0, position=1),
            e.Queued(call="c2", item="c2", queue="sales", priority=0, position=1),
            e.AgentReady(agent="1003"),
            e.AgentOffered(call="c1", item="c1", queue="support", agent="1001", offer="o"),
            e.AgentRinging(agent="1001", item="c1"),
            e.QueueLeft(call="c1", item="c1", queue="support", reason="answered", waited_s=2, agent="1001"),
            e.CallInformation(call="c1", data={"customer": "7"}),
            e.SecurityAlert(what="guess", address="192.0.2.1", detail=""),
            e.AgentReady(agent="1001"),
        )
        seen: list[str] = []
        while not seen or seen[-1] != "AgentReady":
            seen.append((await rpc.note())["event"]["type"])
    assert seen == ["Queued", "AgentOffered", "AgentRinging", "QueueLeft", "CallInformation", "AgentReady"]


async def test_who_joins_a_call_gets_its_context_first(desk: Desk) -> None:
    async with desk.connect("anna") as socket:
        rpc = Rpc(socket)
        await rpc.call("Subscribe", {"own": True})
        desk.append(
            e.Offered(call="c1", leg="t", direction="inbound", device="trunk:x", caller="+4930", called="8000"),
            e.CallInformation(call="c1", data={"customer": "7"}),
            e.AgentOffered(call="c1", item="c1", queue="support", agent="1001", offer="o"),
        )
        first, second = await rpc.read(), await rpc.read()
    assert first["method"] == "call"
    assert first["params"]["call"]["caller"] == "+4930" and first["params"]["call"]["data"] == {"customer": "7"}
    assert second["params"]["event"]["type"] == "AgentOffered"
    assert second["params"]["seq"] == first["params"]["seq"]


async def test_a_repeated_command_is_carried_out_once(desk: Desk) -> None:
    async with desk.connect("anna") as socket:
        rpc = Rpc(socket)
        one = await rpc.call("HoldCall", {"call": "c9"}, id="click-000001")
        two = await rpc.call("HoldCall", {"call": "c9"}, id="click-000001")
        assert one["result"] == two["result"] == {"done": True}
        other = await rpc.call("RetrieveCall", {"call": "c9"}, id="click-000001")
        assert other["error"]["data"]["code"] == "id_reused"
    async with desk.connect("anna") as socket:
        assert (await Rpc(socket).call("HoldCall", {"call": "c9"}, id="click-000001"))["result"] == {"done": True}
    assert [(actor.user, command) for actor, command, _ in desk.commands] == [("anna", HoldCall(call="c9"))]


async def test_answers_are_known_after_a_restart(tmp_path: Path) -> None:
    first = Desk(tmp_path)
    await first.start()
    token = first.add_user("root", "administrator")
    async with first.connect("root") as socket:
        await Rpc(socket).call("ClearCall", {"call": "c1"}, id="clear-c1-1")
    await first.stop()
    second = Desk(tmp_path)
    second.tokens["root"] = token
    await second.start()
    try:
        async with second.connect("root") as socket:
            again = await Rpc(socket).call("ClearCall", {"call": "c1"}, id="clear-c1-1")
        assert again["result"] == {"done": True} and second.commands == []
    finally:
        await second.stop()


async def test_a_late_answer_reaches_the_connection_that_asked_again(desk: Desk) -> None:
    desk.answer = None
    async with desk.connect("anna") as socket:
        await socket.send('{"jsonrpc":"2.0","id":"dial-00001","method":"MakeCall","params":{"destination":"110"}}')
        await asyncio.wait_for(desk.commanded.wait(), 10)
    async with desk.connect("anna") as socket:
        rpc = Rpc(socket)
        waiting = asyncio.create_task(rpc.call("MakeCall", {"destination": "110"}, id="dial-00001"))
        await asyncio.sleep(0.02)
        desk.finish(CommandRejected(code="unreachable", message="phone is off"))
        assert (await waiting)["error"] == {
            "code": -32006,
            "message": "phone is off",
            "data": {"code": "unreachable"},
        }
    assert len(desk.commands) == 1


async def test_a_slow_reader_is_closed_with_the_reason(tmp_path: Path) -> None:
    desk = Desk(tmp_path, max_backlog=300_000)
    await desk.start()
    try:
        desk.add_user("root", "administrator")
        async with desk.connect("root", max_queue=1) as socket:
            rpc = Rpc(socket)
            await rpc.call("Subscribe")
            last = 0
            note = "x" * 4000
            while desk.desk.hub.stats.closed_slow == 0:
                desk.append(*(e.WrapUpCompleted(agent="1001", item="c", note=note) for _ in range(500)))
                await desk.settle()
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    event = await rpc.note()
                    assert event["seq"] == last + 1
                    last = event["seq"]
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4002 and "slow reader" in closed.value.rcvd.reason
        assert last > 0
    finally:
        await desk.stop()


async def test_a_broadcast_reaches_the_desktops_it_is_for(desk: Desk) -> None:
    desk.answer = Accepted()
    async with desk.connect("anna") as hers, desk.connect("bob") as his, desk.connect("susan") as boss:
        for socket in (hers, his):
            await Rpc(socket).call("Subscribe")
        answer = await Rpc(boss).call("BroadcastMessage", {"text": "lunch / 午餐", "teams": ["red"]})
        assert answer["result"] == {}
        assert await Rpc(hers).note("message") == {"sender": "susan", "text": "lunch / 午餐"}
        desk.append(e.AgentReady(agent="1003"))
        assert (await Rpc(his).read())["method"] == "event"


async def test_goodbye_when_the_server_stops(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.start()
    desk.add_user("root", "administrator")
    async with desk.connect("root") as socket:
        await Rpc(socket).call("Subscribe")
        await desk.stop()
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1001
