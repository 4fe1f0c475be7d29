"""Mailboxes: what is kept, who gets in, and when it goes."""

import pytest

from pbx.voicemail import model
from pbx.voicemail.mailboxes import UNDELETE_S, Mailboxes
from pbx.voicemail.model import Counts, Rules, VoiceMessage
from pbx.voicemail.pins import is_acceptable


def make(**rules: Rules) -> Mailboxes:
    boxes = Mailboxes()
    boxes.configure({"1001": Rules(), "1002": Rules(), **{name.strip("_"): rule for name, rule in rules.items()}})
    return boxes


def message(name: str = "m1", mailbox: str = "1001", at: float = 1000.0, **rest: object) -> VoiceMessage:
    fields = {
        "call": "c1",
        "caller": "+8613",
        "seconds": 4.0,
        "path": f"{mailbox}/{name}.wav",
        "sources": (f"in/{name}",),
    }
    return VoiceMessage(id=name, mailbox=mailbox, at=at, **{**fields, **rest})  # type: ignore[arg-type]


def leave(boxes: Mailboxes, *args: str, **rest: object) -> None:
    left = message(*args, **rest)  # type: ignore[arg-type]
    boxes.deposit(left, recorded=True)
    boxes.made(left.id, 4.0, failed=False)


def ids(boxes: Mailboxes, mailbox: str = "1001") -> list[str]:
    return [found.id for found in boxes.messages(mailbox)]


def test_a_message_can_be_heard_once_its_audio_is_there() -> None:
    boxes = make()
    left = message()
    assert boxes.deposit(left, recorded=False) == [model.KeepMessage(left)]
    assert ids(boxes) == []
    assert boxes.recorded("m1") == [model.MakeAudio("m1", ("in/m1",), "1001/m1.wav")]
    kept, arrived, waiting = boxes.made("m1", 3.96, failed=False)
    assert isinstance(kept, model.KeepMessage)
    assert kept.message.sources == ()
    assert kept.message.seconds == 4.0
    assert arrived == model.Arrived(kept.message)
    assert waiting == model.Waiting("1001", Counts(new=1))
    assert ids(boxes) == ["m1"]


def test_a_message_without_audio_is_dropped() -> None:
    boxes = make()
    boxes.deposit(message(), recorded=True)
    (dropped,) = boxes.made("m1", 0.0, failed=True)
    assert isinstance(dropped, model.DropMessage)
    assert boxes.lost("m1") == []
    assert boxes.made("m1", 1.0, failed=False) == []
    assert boxes.recorded("m1") == []


def test_the_newest_is_first_and_the_counts_know_the_urgent_ones() -> None:
    boxes = make()
    leave(boxes, "m1", at=1.0)
    leave(boxes, "m2", at=3.0, urgent=True)
    leave(boxes, "m3", at=2.0)
    assert ids(boxes) == ["m2", "m3", "m1"]
    assert boxes.counts("1001") == Counts(new=3, urgent_new=1)
    boxes.change("1001", "m2", "heard", 5.0)
    assert boxes.counts("1001") == Counts(new=2, old=1, urgent_old=1)


def test_changes_and_what_they_leave() -> None:
    boxes = make()
    leave(boxes)
    heard = boxes.change("1001", "m1", "heard", 5.0)
    assert heard[1] == model.Waiting("1001", Counts(old=1))
    assert boxes.change("1001", "m1", "heard", 6.0) == []
    boxes.change("1001", "m1", "saved", 7.0)
    boxes.change("1001", "m1", "heard", 8.0)
    assert boxes.messages("1001")[0].state == "saved"
    assert boxes.change("1001", "m1", "restored", 8.0) == []
    boxes.change("1001", "m1", "deleted", 9.0)
    assert boxes.change("1001", "m1", "deleted", 9.0) == []
    assert ids(boxes) == []
    boxes.change("1001", "m1", "restored", 10.0)
    assert boxes.messages("1001")[0].state == "saved"
    assert boxes.change("1002", "m1", "deleted", 9.0) == [], "another mailbox's message"


def test_a_full_mailbox_takes_no_more_and_deleted_ones_make_room() -> None:
    boxes = make(_1001=Rules(max_messages=2))
    leave(boxes, "m1")
    assert not boxes.is_full("1001")
    boxes.deposit(message("m2"), recorded=False)
    assert boxes.is_full("1001"), "one that is still being written counts"
    boxes.change("1001", "m1", "deleted", 5.0)
    assert not boxes.is_full("1001")


def test_forwarding_copies_behind_the_introduction() -> None:
    boxes = make(_1003=Rules(max_messages=1))
    leave(boxes, urgent=True)
    failure, out = boxes.forward("1001", "m1", "1002", "m2", "1002/m2.wav", "in/intro", 50.0)
    assert failure == ""
    assert out[1] == model.MakeAudio("m2", ("in/intro", "voicemail:1001/m1.wav"), "1002/m2.wav")
    boxes.made("m2", 9.0, failed=False)
    (copy,) = boxes.messages("1002")
    assert (copy.caller, copy.at, copy.urgent, copy.forwarded_by, copy.seconds) == ("+8613", 50.0, True, "1001", 9.0)
    assert ids(boxes) == ["m1"]
    for to in ("1009", "1001"):
        assert boxes.forward("1001", "m1", to, "m3", "x", "", 50.0) == ("unknown", [])
    assert boxes.forward("1001", "m9", "1002", "m3", "x", "", 50.0) == ("unknown", [])
    assert boxes.forward("1001", "m1", "1003", "m4", "1003/m4.wav", "", 51.0)[0] == ""
    assert boxes.forward("1001", "m1", "1003", "m5", "1003/m5.wav", "", 52.0) == ("full", [])


def test_wrong_pins_lock_for_a_while() -> None:
    boxes = make(_1001=Rules(max_wrong_pins=3, lock_s=60.0))
    for _ in range(2):
        assert boxes.begin_try("1001", 10.0) == "ask"
        boxes.end_try("1001", False, 10.0)
    assert boxes.begin_try("1001", 11.0) == "ask"
    boxes.end_try("1001", True, 11.0)
    for _ in range(3):
        assert boxes.begin_try("1001", 12.0) == "ask"
        boxes.end_try("1001", False, 12.0)
    assert boxes.begin_try("1001", 71.9) == "locked", "the right PIN does not help now"
    assert boxes.begin_try("1001", 72.1) == "ask"
    boxes.end_try("1001", False, 72.1)
    assert boxes.begin_try("1001", 72.2) == "ask", "the count begins again"
    assert boxes.begin_try("1009", 1.0) == "unknown"


def test_many_calls_at_once_get_no_more_tries() -> None:
    boxes = make(_1001=Rules(max_wrong_pins=3))
    assert [boxes.begin_try("1001", 1.0) for _ in range(5)] == ["ask", "ask", "ask", "locked", "locked"]
    for _ in range(3):
        boxes.end_try("1001", False, 1.0)
    assert boxes.begin_try("1001", 2.0) == "locked"


def test_a_lock_and_a_pin_survive_a_restart() -> None:
    boxes = make(_1001=Rules(max_wrong_pins=1, lock_s=60.0))
    (kept,) = boxes.set_pin("1001", "hash")
    assert isinstance(kept, model.KeepAccess)
    boxes.begin_try("1001", 1.0)
    (locked,) = boxes.end_try("1001", False, 1.0)
    assert isinstance(locked, model.KeepAccess)
    assert "hash" not in repr(locked)
    again = make(_1001=Rules(max_wrong_pins=1, lock_s=60.0))
    again.restore([], [locked.access])
    assert again.pin_hash("1001") == "hash"
    assert again.begin_try("1001", 2.0) == "locked"
    assert boxes.set_pin("1009", "x") == []


def test_messages_survive_a_restart_and_half_made_ones_are_made() -> None:
    ready = message("m1", sources=(), ready=True)
    half = message("m2")
    boxes = make()
    assert boxes.restore([ready, half], []) == [
        model.MakeAudio("m2", ("in/m2",), "1001/m2.wav"),
        model.Waiting("1001", Counts(new=1)),
    ]


def test_old_and_deleted_messages_go_in_time() -> None:
    boxes = make(_1001=Rules(retention_s=100.0))
    assert boxes.next_due() is None
    leave(boxes, "m1", at=10.0)
    leave(boxes, "m2", at=50.0)
    leave(boxes, "m3", mailbox="1002", at=10.0)
    assert boxes.next_due() == 110.0
    assert boxes.expire(109.0) == []
    dropped, expired, waiting = boxes.expire(110.0)
    assert isinstance(dropped, model.DropMessage)
    assert dropped.message.id == "m1"
    assert isinstance(expired, model.Expired)
    assert waiting == model.Waiting("1001", Counts(new=1))
    boxes.change("1002", "m3", "deleted", 200.0)
    boxes.expire(150.0)
    assert boxes.next_due() == 200.0 + UNDELETE_S
    (dropped,) = boxes.expire(200.0 + UNDELETE_S)
    assert isinstance(dropped, model.DropMessage)


def test_greetings_replace_each_other() -> None:
    boxes = make()
    assert boxes.set_greeting("1001", "in/g", "1001/g1.wav") == [
        model.MakeAudio("greeting:1001", ("in/g",), "1001/g1.wav")
    ]
    assert boxes.greeting("1001") == ""
    boxes.made("greeting:1001", 3.0, failed=False)
    assert boxes.greeting("1001") == "1001/g1.wav"
    boxes.set_greeting("1001", "in/h", "1001/g2.wav")
    removed, _ = boxes.made("greeting:1001", 3.0, failed=False)
    assert removed == model.RemoveAudio("1001/g1.wav")
    boxes.set_greeting("1001", "in/i", "1001/g3.wav")
    assert boxes.made("greeting:1001", 0.0, failed=True) == []
    assert boxes.greeting("1001") == "1001/g2.wav"
    assert boxes.set_greeting("1001", "", "")[0] == model.RemoveAudio("1001/g2.wav")
    assert boxes.greeting("1001") == ""
    assert boxes.set_greeting("1009", "", "") == []


def test_a_mailbox_taken_out_of_the_configuration_keeps_its_messages() -> None:
    boxes = make()
    leave(boxes)
    boxes.configure({"1002": Rules()})
    assert not boxes.exists("1001")
    boxes.configure({"1001": Rules()})
    assert ids(boxes) == ["m1"]


@pytest.mark.parametrize(
    ("pin", "good"),
    [("2580", True), ("904173", True), ("123", False), ("1234", False), ("9876", False), ("0000", False)]
    + [("1001", False), ("", False), ("12a4", False), ("٤٧١١", False), ("1" * 19, False)],
)
def test_pins(pin: str, good: bool) -> None:
    assert is_acceptable(pin, "1001") is good
