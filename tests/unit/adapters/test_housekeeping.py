"""Recordings and records go when their time has come."""

import asyncio
import os
from pathlib import Path

import pytest

from pbx.adapters.housekeeping import DAY_S, Housekeeper, delete_older

NOW = 1_000_000_000.0


def record(root: Path, name: str, age_days: float) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    for file in (path, path.with_name(path.name + ".json")):
        file.write_bytes(b"x")
        os.utime(file, (NOW - age_days * DAY_S, NOW - age_days * DAY_S))
    return path


def names(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_old_recordings_go_with_sidecar_and_empty_folders(tmp_path: Path) -> None:
    record(tmp_path, "2001/08/01/a.wav", 40)
    record(tmp_path, "2001/08/02/b.wav", 20)
    record(tmp_path, "2001/09/01/c.wav", 5)
    record(tmp_path, "2001/08/01/.d.wav.part", 40)
    os.unlink(tmp_path / "2001/08/01/.d.wav.part.json")
    assert delete_older(tmp_path, NOW - 10 * DAY_S, 10) == 2
    assert names(tmp_path) == [
        "2001",
        "2001/08",
        "2001/08/01",
        "2001/08/01/.d.wav.part",
        "2001/09",
        "2001/09/01",
        "2001/09/01/c.wav",
        "2001/09/01/c.wav.json",
    ]


@pytest.mark.parametrize("suffix", ["flac", "opus"])
def test_archives_have_the_same_time(tmp_path: Path, suffix: str) -> None:
    record(tmp_path, f"2001/08/01/a.{suffix}", 40)
    record(tmp_path, f"2001/09/01/b.{suffix}", 5)
    assert delete_older(tmp_path, NOW - 10 * DAY_S, 10) == 1
    assert names(tmp_path)[-1] == f"2001/09/01/b.{suffix}.json"


def test_at_most_so_many_at_a_time(tmp_path: Path) -> None:
    for number in range(5):
        record(tmp_path, f"day/{number}.wav", 30)
    assert delete_older(tmp_path, NOW, 2) == 2
    assert delete_older(tmp_path, NOW, 10) == 3
    assert names(tmp_path) == []


@pytest.mark.parametrize(("days", "remaining"), [(0, 3), (30, 2), (1, 0)])
async def test_retention(tmp_path: Path, days: int, remaining: int) -> None:
    for age in (2, 10, 40):
        record(tmp_path, f"{age}.wav", age)
    asked: list[float] = []
    rows = [3, 2, 0]

    def delete_records(before: float) -> int:
        asked.append(before)
        return rows.pop(0)

    housekeeper = Housekeeper(wall=lambda: NOW, delete_records=delete_records)
    housekeeper.configure(tmp_path, days, 5 * DAY_S)
    await housekeeper.clean()
    assert len(list(await asyncio.to_thread(lambda: list(tmp_path.glob("*.wav"))))) == remaining
    assert asked == [NOW - 5 * DAY_S] * 3


async def test_records_are_kept_for_ever_unless_told_otherwise(tmp_path: Path) -> None:
    housekeeper = Housekeeper(wall=lambda: NOW, delete_records=lambda before: 1 // 0)
    housekeeper.configure(tmp_path, 1, 0.0)
    await housekeeper.clean()
