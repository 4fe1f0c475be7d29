# ruff: noqa: E501 (flows in one line)
"""The verbs of mailboxes, one input after the other."""

from media.protocol import File
from pbx.ivr import messages as m
from tests.unit.ivr.flows import Driver


def found(d: Driver, **box: str) -> Driver:
    """The mailbox there is."""
    return d.give(m.LookupResult(d.find(m.Lookup).request, ({"number": "1001", **box},)))


def test_voicemail_kept_when_the_caller_hangs_up() -> None:
    nodes = "start:\n  - voicemail: {mailbox: '1001', greeting: welcome, saved: bye}\n  - hangup\n"
    d = found(Driver(nodes).start()).played()
    record = d.find(m.Record).request
    d.give(m.HungUp())
    assert d.machine.ended == ""
    d.give(m.RecordFinished(record, "/r/1.wav", 6.0, "hangup"))
    assert d.last == [
        m.DepositMessage("1001", "/r/1.wav", 6.0, "13800138000"),
        m.FlowEnded("hung_up", "tried", "start"),
    ]
    d = found(Driver(nodes).start()).played().give(m.HungUp())
    d.wait(10)
    assert d.machine.ended == "hung_up"
    d = Driver(nodes).start().give(m.HungUp())
    assert d.machine.ended == "hung_up"
    d = found(Driver(nodes).start()).played()
    d.give(m.RecordFinished(d.find(m.Record).request, "/r/1.wav", 6.0))
    assert d.find(m.Play).names == ("bye",)
    assert d.played().machine.ended == "hangup"


def test_voicemail_for_no_mailbox_or_a_full_one() -> None:
    nodes = (
        "start:\n  - voicemail: {mailbox: '1001', full: full, failed: none}\n  - hangup\n"
        "full:\n  - hangup\nnone:\n  - hangup\n"
    )
    d = Driver(nodes).start()
    assert d.give(m.LookupResult(d.find(m.Lookup).request)).path == ["start", "none"]
    assert found(Driver(nodes).start(), full="yes").path == ["start", "full"]
    assert found(Driver(nodes.replace("full: full, ", "")).start(), full="yes").path == ["start", "none"]
    assert Driver(nodes).start().wait(3).path == ["start", "none"]


def test_voicemail_greets_with_what_the_owner_recorded() -> None:
    nodes = "start:\n  - voicemail: {mailbox: '1001'}\n  - hangup\n"
    d = found(Driver(nodes).start(), greeting="/vm/1001/greeting.wav")
    assert d.find(m.Play).items == (File(path="/vm/1001/greeting.wav"),)
    assert found(Driver(nodes).start()).every(m.Play) == []


REVIEWED = "start:\n  - voicemail: {mailbox: '1001', review: welcome, saved: bye}\n  - hangup\n"


def reviewing() -> Driver:
    d = found(Driver(REVIEWED).start())
    return d.give(m.RecordFinished(d.find(m.Record).request, "/r/1.wav", 6.0, "digit", "#"))


def test_a_message_is_heard_and_recorded_again_before_it_is_kept() -> None:
    d = reviewing()
    assert d.find(m.Play).names == ("welcome",)
    d.press("2")
    assert d.find(m.Play).items[0] == File(path="/r/1.wav")
    d.press("3")
    assert len(d.every(m.Record)) == 2
    d.give(m.RecordFinished(d.find(m.Record).request, "/r/2.wav", 4.0, "digit", "#"))
    assert d.every(m.DepositMessage) == []
    d.press("1")
    assert d.every(m.DepositMessage) == [m.DepositMessage("1001", "/r/2.wav", 4.0, "13800138000")]
    assert d.played().machine.ended == "hangup"


def test_who_hangs_up_or_says_nothing_in_the_review_leaves_his_message() -> None:
    left = m.DepositMessage("1001", "/r/1.wav", 6.0, "13800138000")
    d = reviewing().give(m.HungUp())
    assert d.machine.ended == "hung_up"
    assert d.every(m.DepositMessage) == [left]
    d = reviewing().played()
    assert d.every(m.DepositMessage) == []
    assert d.wait(6).every(m.DepositMessage) == [left]
    assert reviewing().press("9").every(m.DepositMessage) == []


def test_silence_ends_a_message_without_review() -> None:
    d = found(Driver(REVIEWED).start())
    d.give(m.RecordFinished(d.find(m.Record).request, "/r/1.wav", 6.0, "silence"))
    assert len(d.every(m.DepositMessage)) == 1


def test_a_pin_is_set_or_refused() -> None:
    nodes = "start:\n  - pin: {mailbox: '1001', pin: '2580', refused: no}\n  - hangup\nno:\n  - hangup\n"
    d = Driver(nodes).start()
    asked = d.find(m.SetPin)
    assert (asked.mailbox, asked.pin) == ("1001", "2580")
    assert "2580" not in repr(asked)
    assert d.give(m.PinSet(asked.request, True)).path == ["start"]
    d = Driver(nodes).start()
    assert d.give(m.PinSet(d.find(m.SetPin).request, False)).path == ["start", "no"]
    assert Driver(nodes).start().wait(5).path == ["start", "no"]


def test_forwarding_waits_for_its_answer() -> None:
    nodes = (
        "start:\n  - message: {mailbox: '1', message: a, change: forwarded, to: '2', introduction: /i.wav, refused: no}\n"
        "  - hangup\nno:\n  - hangup\n"
    )
    d = Driver(nodes).start()
    asked = d.find(m.ChangeMessage)
    assert asked == m.ChangeMessage("1", "a", "forwarded", "2", "/i.wav", asked.request)
    assert d.give(m.MessageChanged(asked.request, "full")).path == ["start", "no"]
    d = Driver(nodes).start()
    assert d.give(m.MessageChanged(d.find(m.ChangeMessage).request)).path == ["start"]
