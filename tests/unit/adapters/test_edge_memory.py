"""What the edge remembers over a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from pbx.adapters.edge_memory import EdgeMemory, Kept
from pbx.sip.guard import Ban
from pbx.sip.tollfraud import DayUse

BAN = Ban("198.51.100.7", 500.0, "rude")
USE = DayUse("extension:1001", "2026-11-22", 61.5, 2.5)


async def test_kept_over_a_restart_on_another_clock(tmp_path: Path) -> None:
    path = tmp_path / "run" / "edge.json"
    memory = EdgeMemory(path, 1_000_000.0)
    assert memory.load() == Kept()
    memory.start(lambda: ([BAN], [USE]))
    await memory.stop()
    assert path.stat().st_mode & 0o777 == 0o600
    # The machine was restarted: its monotonic clock begins again.
    kept = EdgeMemory(path, 1_000_400.0).load()
    assert kept == Kept((Ban("198.51.100.7", 100.0, "rude"),), (USE,))


async def test_written_from_time_to_time_when_it_changed(tmp_path: Path) -> None:
    path, asked = tmp_path / "edge.json", asyncio.Event()
    memory = EdgeMemory(path, 0.0, interval=0.01)
    bans: list[Ban] = []
    count = 0

    def collect() -> tuple[Sequence[Ban], Sequence[DayUse]]:
        nonlocal count
        count += 1
        if count > 3:
            asked.set()
        return list(bans), ()

    memory.start(collect)
    bans.append(BAN)
    await asyncio.wait_for(asked.wait(), 5.0)
    assert EdgeMemory(path, 0.0).load().bans == (BAN,)
    stamp = path.stat().st_mtime_ns
    await memory.stop()
    assert path.stat().st_mtime_ns == stamp


@pytest.mark.parametrize("data", [b"", b"{", b'{"bans": [1]}', b"\xff"])
async def test_a_broken_file_is_as_good_as_none(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "edge.json"
    path.write_bytes(data)
    assert EdgeMemory(path, 0.0).load() == Kept()


async def test_a_full_disk_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "edge.json").mkdir()
    memory = EdgeMemory(tmp_path / "edge.json", 0.0)
    assert memory.load() == Kept()
    memory.start(lambda: ([BAN], []))
    await memory.stop()
    assert (tmp_path / "edge.json").is_dir()
