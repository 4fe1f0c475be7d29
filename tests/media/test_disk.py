"""Watermarks of the disk: call control is told, and nothing is recorded where there is no room."""

from pathlib import Path
from typing import Any

import pytest

from media.client import CommandRefused, GatewayClient
from media.control.recorders import FULL_BYTES
from media.gateway import Gateway
from media.protocol import AnyEvent, DiskState, StartRecording
from tests.media.conftest import Bench, make_options

HUGE = 1 << 62


@pytest.mark.parametrize(
    ("changes", "level", "refused"),
    [
        ({"disk_low": HUGE, "disk_full": 1}, "low", False),
        ({"disk_low": HUGE, "disk_full": HUGE}, "full", True),
    ],
)
async def test_watermarks(tmp_path: Path, changes: dict[str, Any], level: str, refused: bool) -> None:
    options = make_options(tmp_path, **changes)
    assert make_options(tmp_path).disk_full == FULL_BYTES
    gateway = Gateway(options)
    await gateway.start()
    events: list[AnyEvent] = []
    client = await GatewayClient.connect(options.control, on_event=events.append)
    bench = Bench(client, tmp_path)
    await bench.leg("a", None)
    try:
        await bench.do(StartRecording, recording="r", leg="a", path="r.wav")
    except CommandRefused as error:
        assert refused and "disk is full" in str(error)
    else:
        assert not refused
    # What happened before somebody connected is told first.
    assert [event.level for event in events if isinstance(event, DiskState)] == [level]
    client.close()
    await client.wait_closed()
    await gateway.stop()
