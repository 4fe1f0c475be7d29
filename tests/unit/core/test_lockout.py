"""Wrong PINs lock for a while, a right one forgives."""

from hypothesis import given
from hypothesis import strategies as st

from pbx.core.lockout import Lockout

ATTEMPTS, SECONDS = 3, 60.0


@given(st.lists(st.tuples(st.booleans(), st.floats(0.0, 50.0)), max_size=40))
def test_three_wrong_ones_in_a_row_lock_for_a_minute(tries: list[tuple[bool, float]]) -> None:
    lockout, wall, wrong = Lockout(), 1000.0, 0
    locked_until = 0.0
    for fits, pause in tries:
        wall += pause
        assert lockout.is_locked(wall) == (wall < locked_until)
        if lockout.is_locked(wall):
            continue
        wrong = 0 if fits else wrong + 1
        lockout = lockout.after(fits, wall, ATTEMPTS, SECONDS)
        if wrong == ATTEMPTS:
            locked_until, wrong = wall + SECONDS, 0
        assert lockout.tries(wall + SECONDS + 1) == (0 if lockout.locked_until else wrong)
