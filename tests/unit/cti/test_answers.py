"""Answers to commands are kept, and not for ever."""

from __future__ import annotations

import pytest

from pbx.cti import answers
from pbx.cti.answers import KEPT_S, Answers
from pbx.cti.commands import Accepted, HoldCall, RetrieveCall

HOLD, RETRIEVE = HoldCall(call="c"), RetrieveCall(call="c")


def test_from_new_to_answered() -> None:
    book = Answers()
    assert book.begin("u", "id-1", HOLD, 1, 0.0)[0] == "new"
    assert book.begin("u", "id-1", HOLD, 2, 0.0)[0] == "running"
    assert book.begin("u", "id-1", HOLD, 2, 0.0)[0] == "running"
    assert book.begin("u", "id-1", RETRIEVE, 2, 0.0)[0] == "reused"
    assert book.find("u", "id-1") is None
    assert book.finish("u", "id-1", Accepted(), 1.0) is not None
    assert book.finish("u", "id-1", Accepted(), 1.0) is None
    assert book.take_waiting("u", "id-1") == [1, 2] and book.take_waiting("u", "id-1") == []
    status, entry = book.begin("u", "id-1", HOLD, 3, 2.0)
    assert (status, entry.result) == ("answered", Accepted())
    assert book.begin("v", "id-1", RETRIEVE, 3, 2.0)[0] == "new"


def test_unknown_commands_have_no_answer() -> None:
    book = Answers()
    assert book.finish("u", "id-1", Accepted(), 0.0) is None
    assert book.take_waiting("u", "id-1") == [] and book.find("u", "id-1") is None


def test_old_answers_are_forgotten() -> None:
    book = Answers()
    book.begin("u", "id-1", HOLD, 1, 0.0)
    book.finish("u", "id-1", Accepted(), 0.0)
    assert book.begin("u", "id-1", HOLD, 1, KEPT_S - 1)[0] == "answered"
    assert book.begin("u", "id-1", HOLD, 1, KEPT_S + 1)[0] == "new"


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MAX_KEPT", 10)
    book = Answers()
    for n in range(50):
        book.begin("u", f"id-{n}", HOLD, 1, 0.0)
    assert len(book) <= 11


def test_they_are_written_down_and_read_back() -> None:
    book = Answers()
    book.begin("u", "id-1", HOLD, 1, 0.0)
    kept = book.finish("u", "id-1", Accepted(data={"a": 1}), 0.0)
    import msgspec

    other = Answers()
    other.restore([("u", "id-1", -5.0, msgspec.json.encode(kept).decode())])
    assert other.begin("u", "id-1", HOLD, 1, 0.0)[0] == "answered"
    assert other.begin("u", "id-1", RETRIEVE, 1, 0.0)[0] == "reused"
