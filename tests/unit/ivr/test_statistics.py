"""Numbers of flows from the log, and the picture that shows them."""

from xml.etree import ElementTree as ET

import pytest

from pbx.ivr.drawing import draw_flow
from pbx.ivr.statistics import FlowStatistics, Mark
from tests.unit.ivr.flows import make_flow

SVG = "{http://www.w3.org/2000/svg}"


def follow(*calls: tuple[str, ...]) -> FlowStatistics:
    statistics = FlowStatistics()
    for number, (*nodes, end) in enumerate(calls):
        call = f"c{number}"
        statistics.add(Mark(call, "entered", "main"))
        for node in nodes:
            if node == "QUEUE":
                statistics.add(Mark(call, "queued"))
            elif node.startswith("#"):
                statistics.add(Mark(call, "tagged", "main", node[1:]))
            else:
                flow, _, name = node.rpartition("/")
                statistics.add(Mark(call, "node", flow or "main", name))
        if end:
            statistics.add(Mark(call, "left", "main", end))
    return statistics


def test_numbers() -> None:
    numbers = follow(
        ("start", "menu", "balance", "menu", "bye", "hangup"),
        ("start", "menu", "QUEUE", "bye", "hangup"),
        ("start", "menu", "#topic=sales", "hung_up"),
        ("start", "part/ask", "part/ask", "menu", "transferred"),
        ("start", ""),
    ).flows["main"]
    assert numbers.calls == 5
    assert numbers.containment == pytest.approx(1 / 5)
    assert numbers.drop_out_rate == pytest.approx(1 / 5)
    assert numbers.reasons == {"hangup": 2, "hung_up": 1, "transferred": 1}
    assert numbers.visits["menu"] == 5
    assert numbers.taken["start", "menu"] == 4, "a sub-flow in between does not part them"
    assert numbers.dropped == {"menu": 1}
    assert numbers.tags == {"topic=sales": 1}
    assert numbers.paths[("start", "part/ask", "part/ask", "menu")] == 1


def test_sub_flow_has_its_own_visits() -> None:
    flows = follow(("start", "part/ask", "hangup")).flows
    assert flows["part"].visits == {"ask": 1}
    assert flows["part"].calls == 0
    assert flows["part"].containment is None


def test_marks_of_unknown_calls_are_passed_over() -> None:
    statistics = FlowStatistics()
    for kind in ("node", "queued", "tagged", "left"):
        statistics.add(Mark("x", kind, "main", "y"))
    assert statistics.flows == {}


def test_picture_shows_every_node_and_way() -> None:
    flow = make_flow(
        """
        start:
          - menu: {prompt: welcome, choices: {1: <a>, 2: loop}, no_input: {then: <a>}, no_match: {then: loop}}
        <a>:
          - say: "5 < 6 & {{ call.caller }}"
          - hangup
        loop:
          - pause: 1s
          - goto: start
        """.replace("<a>", "ask")
    )
    picture = ET.fromstring(draw_flow(flow, {"start": 7, "ask": 4}, {("start", "ask"): 4, ("start", "loop"): 3}))
    texts = [text.text for text in picture.iter(f"{SVG}text")]
    assert {"start", "ask", "loop", "7", "4"} <= set(texts)
    assert "1, no_input · 4" in texts
    assert "2, no_match · 3" in texts
    paths = [path.attrib["class"] for path in picture.iter(f"{SVG}path") if "class" in path.attrib]
    assert sorted(paths) == ["way", "way", "way back"]
    plain = ET.fromstring(draw_flow(flow))
    assert "7" not in [text.text for text in plain.iter(f"{SVG}text")]
