"""Bodies of message-summary notifications (RFC 3842 section 5.2)."""

from __future__ import annotations


def write_message_summary(account: str, new: int, old: int, urgent_new: int, urgent_old: int) -> bytes:
    """``account``: URI of the mailbox. Phones light their lamp by the first line and show the counts of the last."""
    return (
        f"Messages-Waiting: {'yes' if new else 'no'}\r\n"
        f"Message-Account: {account}\r\n"
        f"Voice-Message: {new}/{old} ({urgent_new}/{urgent_old})\r\n"
    ).encode()
