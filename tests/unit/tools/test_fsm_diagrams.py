"""The page of transaction diagrams is drawn from the tables in force."""

from pbx.sip import fsm_ict
from tools.fsm_diagrams import TARGET, draw, render


def test_page_is_current() -> None:
    assert TARGET.read_text("utf-8") == render()


def test_every_transition_is_drawn() -> None:
    drawn = draw("x", fsm_ict.TABLE, fsm_ict.INITIAL)
    assert drawn.count(" --> ") == len(fsm_ict.TABLE) + 1
    assert "    Calling --> Calling : A / resend, double" in drawn
