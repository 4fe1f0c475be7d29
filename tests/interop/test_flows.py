"""Each flow that ships, called by pjsip and navigated by ear."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

pytest.importorskip("pjsua2", reason="its wheels stop at CPython 3.12")

from pbx.ivr.outage import write_outage
from tests.interop.flow_caller import SPOKEN_HZ, Caller, find_message, find_sound, open_office, serve_json, until
from tools import listen

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(180)]


async def test_main_in_english_to_the_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_office(tmp_path, monkeypatch, "main") as office:
        caller = Caller(office)
        async with caller.phone:
            await caller.dial("main")
            await caller.hear("main/welcome")
            await caller.hear("main/choose_language")
            await caller.press("2")
            await caller.hear("main/recorded")
            await caller.hear("main/main_menu")
            await caller.press("9")
            await caller.hear("main/not_valid")
            await caller.press("2")
            await office.wait_for("Queued")
            caller.phone.do("hangup")
            await office.wait_for("CallCleared")
    assert office.path() == ["start", "opening", "main_menu", "support", "to_queue", "in_queue"]
    assert office.find("CallCleared").outcome == "abandoned"


async def test_after_hours_takes_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_office(tmp_path, monkeypatch, "after_hours", closed=True) as office:
        caller = Caller(office)
        async with caller.phone:
            await caller.dial("after_hours")
            await caller.hear("after_hours/closed")
            await caller.hear("after_hours/emergency")
            await office.wait_for("RecordingStarted")
            assert await until(lambda: office.path()[-1] == "message", 10)
            await asyncio.sleep(4)
            await caller.press("#")
            await caller.hear("after_hours/saved")
            await caller.ended()
        left = await office.wait_for("VoicemailLeft")
        await office.wait_for("CallCleared")
        sound = await find_message(office, left.path)
    assert (left.mailbox, left.caller) == ("1001", "+8613912345678")
    assert left.duration_ms > 2000
    spoken = listen.find_tone_intervals(sound.left, sound.rate, SPOKEN_HZ, bridge_ms=60)
    assert sum(end - start for start, end in spoken) > 2, "the message holds what the caller said"


async def test_survey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_office(tmp_path, monkeypatch, "survey") as office:
        caller = Caller(office)
        async with caller.phone:
            await caller.dial("survey")
            await caller.hear("survey/friendly")
            await caller.press("8")
            await caller.hear("survey/wrong")
            await caller.press("5")
            await caller.hear("survey/solved")
            await caller.press("1")
            await caller.hear("survey/thanks")
            await caller.ended()
        await office.wait_for("CallCleared")
        data = {key: value for event in office.all("CallInformation") for key, value in event.data.items()}
    assert data["survey.satisfaction.friendly"] == "5"
    assert data["survey.satisfaction.solved"] == "1"


async def test_etc_balance_and_loss_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        serve_json({"ticket": "0071"}) as service,
        open_office(
            tmp_path, monkeypatch, "etc_service", "etc_card", change={"http://127.0.0.1:8090": service.url}
        ) as office,
    ):
        caller = Caller(office)
        async with caller.phone:
            await caller.dial("etc_service")
            await caller.press("2")
            await caller.hear("etc_service/recorded")
            await caller.hear("etc_service/menu")
            await caller.press("1")
            await caller.hear("etc_card/which")
            await caller.press("1101000002")
            await caller.hear("etc_service/balance")
            await caller.hear("etc_service/low")
            await caller.hear("etc_service/menu")
            await caller.press("3")
            await caller.hear("etc_card/which")
            await caller.press("1101000001")
            await caller.hear("etc_service/id_tail")
            await caller.press("1234")
            await caller.hear("etc_service/loss_done")
            await caller.hear("etc_service/menu")
            caller.phone.do("hangup")
            await office.wait_for("CallCleared")
        collected = [event.digits for event in office.all("DigitsCollected")]
    assert service.asked == [("POST", "/cards/1101000001/loss")]
    assert collected == ["2", "1", "1101000002", "3", "1101000001", "***"]


async def test_duty_line_connects_who_confirms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_office(tmp_path, monkeypatch, "duty_line") as office:
        caller, duty = Caller(office), Caller(office, "duty", address="127.0.0.1", hz=1500.0)
        async with caller.phone, duty.phone:
            await duty.phone.register("1001", office.secrets["extension-1001"], f"sip:127.0.0.1:{office.port}")
            await caller.dial("duty_line")
            await caller.hear("duty_line/welcome")
            await duty.phone.wait("incoming")
            duty.phone.do("answer")
            await duty.hear("duty_line/urgent_call")
            await duty.press("1")
            await caller.hear_tone(1500)
            await duty.hear_tone(round(SPOKEN_HZ))
            duty.phone.do("hangup")
            await caller.ended()
        await office.wait_for("CallCleared")
    assert office.path() == ["start", "call_next", "done"]


async def test_card_payment_leaves_no_digits_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = "4000056655665556"
    async with (
        serve_json({"reference": "5521"}) as service,
        open_office(
            tmp_path, monkeypatch, "card_payment", change={"https://payments.example.com": service.url}
        ) as office,
    ):
        caller = Caller(office)
        async with caller.phone:
            await caller.dial("card_payment")
            await caller.hear("card_payment/amount")
            await caller.press("1")
            await caller.hear("card_payment/safe")
            await caller.hear("card_payment/card")
            await caller.press(card + "#")
            await caller.hear("card_payment/expiry")
            await caller.press("1129")
            await caller.hear("card_payment/code")
            await caller.press("907")
            await caller.hear("card_payment/paid")
            await caller.ended()
        done = await office.wait_for("RecordingCompleted")
        sound = await find_sound(office, done.path)
        everything = repr(office.events())
    assert service.bodies == [{"order": "A7", "amount": 88.5, "card": card, "expiry": "1129", "code": "907"}]
    assert card not in everything and "1129" not in everything
    written = b"".join(file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file())
    assert card.encode() not in written, "neither the database nor a log nor a checkpoint holds the card number"
    spoken = listen.find_tone_intervals(sound.left, sound.rate, SPOKEN_HZ, bridge_ms=60)
    assert sound.duration_s - sum(end - start for start, end in spoken) > 3, "the recording is silent in between"


async def test_reload_leaves_running_calls_their_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_office(tmp_path, monkeypatch, "main") as office:
        early, late = Caller(office, "early"), Caller(office, "late")
        async with early.phone, late.phone:
            await early.dial("main")
            await early.press("2")
            await early.hear("main/recorded")
            await early.hear("main/main_menu")
            file = tmp_path / "ivr_flows" / "main" / "flow.yaml"
            text = file.read_text("utf-8")
            changed = text.replace("          2: support\n", "          2: goodbye\n          4: support\n")
            file.write_text(changed, "utf-8")
            write_outage(file.parent, {"en": "We have a fault.", "zh": "系统故障。"}, "continue")
            report = await office.server.reload()
            assert report.applied, report
            await late.dial("main")
            assert await until(lambda: "_outage" in office.path(), 10)
            await early.press("2")
            await office.wait_for("Queued")
            await late.hear("main/choose_language")
            await late.press("2")
            await late.hear("main/main_menu")
            await late.press("2")
            await late.hear("main/goodbye")
            await late.ended()
        versions = [event.version for event in office.all("FlowEntered")]
        assert len(set(versions)) == 2
        assert len(office.all("Queued")) == 1, "only the early caller still has the way to support"


async def test_a_flow_with_an_error_never_goes_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_office(tmp_path, monkeypatch, "survey") as office:
        file = tmp_path / "ivr_flows" / "survey" / "flow.yaml"
        file.write_text(file.read_text("utf-8").replace("- play: thanks", "- play: thank"), "utf-8")
        report = await office.server.reload()
        assert not report.applied
        assert ["there is no prompt 'thank'"] == [problem.message for problem in report.problems]
        caller = Caller(office)
        async with caller.phone:
            await caller.dial("survey")
            await caller.hear("survey/friendly")
            await caller.press("3")
            await caller.hear("survey/solved")
            await caller.press("2")
            await caller.hear("survey/thanks")
            await caller.ended()
