"""A ladder as text: one column per peer, Tandem between the caller and all others.

```
   0.000  |--INVITE (SDP)------------>|                           |
   0.004  |                           |--INVITE (SDP)------------>|
```
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .ladder import LadderEntry

_WIDTH = 30
_SDP = re.compile(rb"\r\n(?:content-type|c)[ \t]*:[ \t]*application/sdp", re.IGNORECASE)
_CSEQ_METHOD = re.compile(rb"\r\ncseq[ \t]*:[ \t]*\d+[ \t]+(\w+)", re.IGNORECASE)
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\u00a0-\uffff]")


def label(entry: LadderEntry) -> str:
    """``INVITE (SDP)``, ``200 OK INVITE (SDP)``: a message in a few words."""
    line = entry.data.partition(b"\r\n")[0].decode("utf-8", "replace")
    if line.startswith("SIP/2.0 "):
        text = line[8:]
        method = _CSEQ_METHOD.search(entry.data)
        if method is not None and method[1] != b"INVITE":
            text += f" {method[1].decode()}"
    else:
        text = line.partition(" ")[0]
    text = _UNPRINTABLE.sub("?", text)[: _WIDTH - 12]
    return f"{text} (SDP)" if _SDP.search(entry.data) else text


def render_ladder(entries: Sequence[LadderEntry], *, messages: bool = False) -> str:
    """The ladder of ``entries``, times in seconds from the first; with ``messages`` each whole message below its arrow.

    Secrets in messages are masked.
    """
    if not entries:
        return "nothing is kept of this call\n"
    peers = list(dict.fromkeys(entry.peer for entry in entries))
    columns = [peers[0], "tandem", *peers[1:]]
    at = {name: index * _WIDTH for index, name in enumerate(columns)}
    start = entries[0].at
    lines = [_render_head(columns)]
    for entry in entries:
        ours, theirs = at["tandem"], at[entry.peer]
        source, target = (theirs, ours) if entry.direction == "in" else (ours, theirs)
        arrow = _render_arrow(len(columns), source, target, label(entry))
        note = f"  {entry.note}" if entry.note else ""
        lines.append(f"{entry.at - start:9.3f}  {arrow}{note}".rstrip())
        if messages:
            text = entry.masked().decode("utf-8", "replace").replace("\r\n", "\n").rstrip("\n")
            lines += [f"           : {_UNPRINTABLE.sub('?', line)}" for line in text.split("\n")]
    return "\n".join(lines) + "\n"


def _render_head(columns: Sequence[str]) -> str:
    row = [" "] * (_WIDTH * len(columns) + 20)
    for index, name in enumerate(columns):
        # Centred over its bar, but never over its neighbour.
        text = name[: _WIDTH - 2]
        begin = max(0, 11 + index * _WIDTH - len(text) // 2)
        row[begin : begin + len(text)] = text
    return "".join(row).rstrip()


def _render_arrow(count: int, source: int, target: int, text: str) -> str:
    row = [" "] * ((count - 1) * _WIDTH + 1)
    for index in range(count):
        row[index * _WIDTH] = "|"
    left, right = min(source, target), max(source, target)
    row[left + 1 : right] = "-" * (right - left - 1)
    if source < target:
        row[right - 1] = ">"
        row[left + 3 : left + 3 + len(text)] = text
    else:
        row[left + 1] = "<"
        row[right - 2 - len(text) : right - 2] = text
    return "".join(row)
