"""Which PINs a mailbox takes."""

from __future__ import annotations

MIN_DIGITS, MAX_DIGITS = 4, 18
_COUNTING = ("01234567890123456789", "98765432109876543210")


def is_acceptable(pin: str, mailbox: str) -> bool:
    """Whether ``pin`` is long enough and not the first that a stranger tries: the mailbox's number, one digit again
    and again, or digits that count up or down."""
    if not (pin.isascii() and pin.isdigit() and MIN_DIGITS <= len(pin) <= MAX_DIGITS):
        return False
    return pin != mailbox and len(set(pin)) > 1 and not any(pin in run for run in _COUNTING)
