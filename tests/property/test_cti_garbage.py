"""Whatever a client sends, the hub answers or closes; it never raises and never acts for somebody else."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.adapters.websocket_frames import make_text_frame, read_text_frame
from pbx.cti.actor import Actor
from pbx.cti.commands import COMMANDS
from pbx.cti.hub import Hub
from pbx.cti.outputs import CheckToken, Close, Deliver, Execute, Explain, KeepAnswer, ReadLog
from pbx.cti.permissions import Directory
from pbx.cti.protocol import REQUESTS
from pbx.events.catalogue import Offered, Record
from pbx.events.folds.live import LiveFold

DIRECTORY = Directory(teams={"red": ("1001",)}, agent_queues={"1001": ("support",)})
ANNA = Actor(user="anna", role="agent", agent="1001")
METHODS = st.sampled_from([*COMMANDS, *REQUESTS, "Nonsense", ""])
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["c1", "1001"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
FIELDS = st.sampled_from(
    sorted({field for kind in [*COMMANDS.values(), *REQUESTS.values()] for field in kind.__struct_fields__})
)
REQUEST = st.fixed_dictionaries(
    {"jsonrpc": st.sampled_from(["2.0", "1.0", 2]), "method": METHODS | VALUES},
    optional={
        "id": VALUES | st.text(min_size=8, max_size=12),
        "params": st.dictionaries(FIELDS, VALUES, max_size=4) | VALUES,
    },
)
MESSAGES = st.lists(
    REQUEST.map(lambda value: msgspec.json.encode(value)) | st.binary(max_size=200) | VALUES.map(msgspec.json.encode),
    max_size=15,
)


@given(messages=MESSAGES, known=st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_message_gets_an_answer_or_the_door(messages: list[bytes], known: bool) -> None:
    hub = Hub(LiveFold(), DIRECTORY)
    offered = Offered(call="c1", leg="l", direction="inbound", device="trunk:x", caller="1", called="2")
    hub.live.apply(Record(1, 1.0, offered))
    peer = hub.connect(0.0, ANNA if known else None)
    for message in messages:
        outputs: list[Any] = list(hub.receive(peer, message, 0.0))
        for output in outputs:
            assert isinstance(output, Deliver | Close | CheckToken | ReadLog | Execute | Explain | KeepAnswer)
            if isinstance(output, Deliver):
                for frame in output.frames:
                    assert msgspec.json.decode(frame)["jsonrpc"] == "2.0"
            if isinstance(output, Execute):
                assert known and output.actor == ANNA
                assert getattr(output.command, "agent", "") in ("", "1001")
                assert getattr(output.command, "call", "") != "c1", "that call is not anna's"
    hub.expire(1000.0)
    hub.disconnect(peer)
    assert len(hub) == 0


@given(payload=st.binary(max_size=300) | st.integers(120, 70_000).map(bytes))
def test_frames_are_read_back(payload: bytes) -> None:
    assert read_text_frame(make_text_frame(payload)) == payload
