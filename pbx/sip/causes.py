"""Q.850 causes: from response codes (RFC 3398 section 7.2.6.1, read backwards) and Reason headers (RFC 3326)."""

from __future__ import annotations

import re

NORMAL_CLEARING = 16

_FROM_STATUS = {
    400: 41,
    401: 21,
    402: 21,
    403: 21,
    404: 1,
    405: 63,
    406: 79,
    407: 21,
    408: 102,
    410: 22,
    413: 127,
    414: 127,
    415: 79,
    416: 127,
    420: 127,
    421: 127,
    423: 127,
    480: 18,
    481: 41,
    482: 25,
    483: 25,
    484: 28,
    485: 1,
    486: 17,
    487: 16,
    488: 88,
    500: 41,
    501: 79,
    502: 38,
    503: 41,
    504: 102,
    505: 127,
    513: 127,
    600: 17,
    603: 21,
    604: 1,
    606: 88,
}
_CAUSE = re.compile(r"\bQ\.850\b[^,]*?;\s*cause\s*=\s*(\d{1,3})", re.IGNORECASE)

_TEXT = re.compile(r';\s*text\s*=\s*"((?:[^"\\]|\\.)*)"', re.IGNORECASE)
MAX_REASON = 1024
"""Characters of a Reason header that are looked at."""


def get_cause(status: int) -> int:
    """The cause a final response stands for; 16 for none or success, 31 where nothing closer is known."""
    if status < 300:
        return NORMAL_CLEARING
    return _FROM_STATUS.get(status, 31)


def read_cause(reason_headers: list[str], status: int = 0) -> int:
    """The Q.850 cause of Reason headers, else that of ``status``."""
    for value in reason_headers:
        match = _CAUSE.search(value[:MAX_REASON])
        if match and 0 < int(match[1]) < 128:
            return int(match[1])
    return get_cause(status)


def read_reason_text(reason_headers: list[str]) -> str:
    """The ``text`` of the first Reason header that has one."""
    for value in reason_headers:
        match = _TEXT.search(value[:MAX_REASON])
        if match:
            return match[1]
    return ""


def format_reason(cause: int) -> str:
    """A Reason header line."""
    return f"Reason: Q.850;cause={cause}\r\n"
