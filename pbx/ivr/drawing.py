"""A flow as a picture: SVG with one box per node, its steps inside, and a labelled line for every way out.

Boxes stand in rows by their distance from the start; ways back are dashed. With counts, a line is the thicker the more
callers took it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from math import log10

from pbx.ivr.expressions import Expression, Template
from pbx.ivr.flow import Flow, Step
from pbx.ivr.graph import END, ways

LINE = 16
PAD = 10
GAP_X, GAP_Y = 36, 64
MAX_WORDS = 34
"""Characters of one step in its box."""
_STYLE = """
  text { font: 12px system-ui, 'Noto Sans CJK SC', 'Microsoft YaHei', sans-serif; fill: #1d2733 }
  .name { font-weight: 600 } .label, .count { font-size: 11px; fill: #50607a }
  .box { fill: #fff; stroke: #8aa0bf; rx: 6 } .start { stroke: #1f7a4d; stroke-width: 2 } .end { fill: #f3f5f8 }
  .way { fill: none; stroke: #8aa0bf } .back { stroke-dasharray: 5 4 }
"""


@dataclass
class _Box:
    name: str
    lines: list[str]
    ends: bool
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0
    row: int = 0


@dataclass
class _Way:
    start: str
    end: str
    labels: list[str] = field(default_factory=list)


def draw_flow(
    flow: Flow, visits: Mapping[str, int] | None = None, taken: Mapping[tuple[str, str], int] | None = None
) -> str:
    """The SVG. ``visits``: callers per node; ``taken``: callers per pair of nodes, from the event log."""
    boxes = _make_boxes(flow)
    between = _make_ways(flow)
    _place(flow, boxes, between)
    width = max(box.x + box.width for box in boxes.values()) + GAP_X
    height = max(box.y + box.height for box in boxes.values()) + GAP_Y
    title = flow.title.get("en") or flow.title.get("") or flow.name
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)} ({escape(flow.name)} {flow.version})</title>",
        f"<style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#8aa0bf"/></marker></defs>',
        '<rect width="100%" height="100%" fill="#fbfcfe"/>',
    ]
    parts += [_draw_way(way, boxes, taken) for way in between]
    parts += [_draw_box(box, box.name == flow.start, visits) for box in boxes.values()]
    return "\n".join([*parts, "</svg>", ""])


def _make_boxes(flow: Flow) -> dict[str, _Box]:
    boxes: dict[str, _Box] = {}
    for step in flow.steps.values():
        box = boxes.setdefault(step.node, _Box(step.node, [], False))
        box.lines.append(("" if "/" not in step.id else "· ") + describe_step(step))
        box.ends = box.ends or step.verb.ends
    for box in boxes.values():
        box.width = max(_measure(line) for line in [box.name, *box.lines]) + 2 * PAD
        box.height = LINE * (len(box.lines) + 1) + 2 * PAD
    return boxes


def describe_step(step: Step) -> str:
    """The verb and what it is about, in a few characters."""
    for name in ("prompt", "queue", "to", "room", "flow", "calendar", "mailbox", "url", "when", "on", "into", "values"):
        value = getattr(step.options, name, None)
        if value:
            return _shorten(f"{step.verb.name} {_show(value)}")
    return step.verb.name


def _show(value: object) -> str:
    if isinstance(value, Template | Expression):
        return value.source
    if isinstance(value, tuple):
        return ", ".join(getattr(item, "prompt", "") or "…" for item in value)
    if isinstance(value, dict):
        return ", ".join(str(key) for key in value)
    return str(value)


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_WORDS else text[: MAX_WORDS - 1] + "…"


def _measure(text: str) -> float:
    return sum(12.0 if unicodedata.east_asian_width(c) in "WF" else 6.8 for c in text)


def _make_ways(flow: Flow) -> list[_Way]:
    found: dict[tuple[str, str], _Way] = {}
    for step in flow.steps.values():
        for branch, target in ways(step):
            if target == END:
                continue
            end = flow.steps[target].node
            if end == step.node and target != end:
                continue
            way = found.setdefault((step.node, end), _Way(step.node, end))
            label = "" if branch in ("next", "to") else branch.removeprefix("choice ").removeprefix("case ")
            if label and label not in way.labels:
                way.labels.append(label)
    return list(found.values())


def _place(flow: Flow, boxes: dict[str, _Box], between: list[_Way]) -> None:
    """Rows by distance from the start; within a row near to where the ways come from."""
    rows: list[list[str]] = []
    todo, seen = [flow.steps[flow.start].node], set[str]()
    while len(seen) < len(boxes):
        row = [name for name in dict.fromkeys(todo) if name not in seen] or [n for n in boxes if n not in seen][:1]
        for name in row:
            boxes[name].row = len(rows)
        rows.append(row)
        seen |= set(row)
        todo = [way.end for name in row for way in between if way.start == name]
    widest = max(sum(boxes[name].width + GAP_X for name in row) for row in rows)
    y = GAP_Y / 2
    for row in rows:
        x = GAP_X + (widest - sum(boxes[name].width + GAP_X for name in row)) / 2
        for name in row:
            boxes[name].x, boxes[name].y = x, y
            x += boxes[name].width + GAP_X
        y += max(boxes[name].height for name in row) + GAP_Y


def _draw_box(box: _Box, is_start: bool, visits: Mapping[str, int] | None) -> str:
    kind = "box start" if is_start else "box end" if box.ends else "box"
    size = f'width="{box.width:.1f}" height="{box.height:.1f}"'
    parts = [
        f'<g transform="translate({box.x:.1f} {box.y:.1f})"><rect class="{kind}" {size} rx="6"/>',
        f'<text class="name" x="{PAD}" y="{PAD + 11}">{escape(box.name)}</text>',
    ]
    for index, line in enumerate(box.lines, 1):
        parts.append(f'<text x="{PAD}" y="{PAD + 11 + index * LINE}">{escape(line)}</text>')
    if visits is not None:
        count = visits.get(box.name, 0)
        parts.append(f'<text class="count" x="{box.width - PAD:.1f}" y="{PAD + 11}" text-anchor="end">{count}</text>')
    return "".join([*parts, "</g>"])


def _draw_way(way: _Way, boxes: Mapping[str, _Box], taken: Mapping[tuple[str, str], int] | None) -> str:
    one, two = boxes[way.start], boxes[way.end]
    label = _shorten(", ".join(way.labels))
    count = None if taken is None else taken.get((way.start, way.end), 0)
    width = 1.2 if not count else 1.2 + 2 * log10(1 + count)
    if two.row > one.row:
        x1, y1, x2, y2 = one.x + one.width / 2, one.y + one.height, two.x + two.width / 2, two.y
        line = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {y1 + GAP_Y / 2:.1f} {x2:.1f} {y2 - GAP_Y / 2:.1f} {x2:.1f} {y2 - 2:.1f}"
        back, at = "", (x1 * 0.35 + x2 * 0.65, y1 * 0.35 + y2 * 0.65)
    else:
        x1, y1, x2, y2 = one.x, one.y + one.height / 2, two.x, two.y + two.height / 2
        bend = min(x1, x2) - GAP_X
        line = f"M{x1:.1f} {y1:.1f}C{bend:.1f} {y1:.1f} {bend:.1f} {y2:.1f} {x2 - 2:.1f} {y2:.1f}"
        back, at = " back", (bend + 6, (y1 + y2) / 2)
    shown = " · ".join(part for part in (label, "" if count is None else str(count)) if part)
    text = f'<text class="label" x="{at[0]:.1f}" y="{at[1]:.1f}">{escape(shown)}</text>' if shown else ""
    return f'<path class="way{back}" d="{line}" stroke-width="{width:.1f}" marker-end="url(#tip)"/>{text}'
