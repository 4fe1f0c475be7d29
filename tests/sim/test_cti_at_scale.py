"""Desktops at work, cut off at random, and a server that is killed: nobody misses an event or gets one twice.

The same as `make bench-cti`, smaller.
"""

from __future__ import annotations

import asyncio

import pytest

from tools.bench_cti import run


@pytest.mark.slow
async def test_nothing_lost_and_nothing_repeated() -> None:
    options = "--agents 60 --queues 6 --rate 20 --speed 20 --seconds 3 --warm-up 1 --reconnects 100"
    report = await asyncio.to_thread(run, options.split())
    assert (report["lost"], report["repeated"]) == (0, 0)
    assert report["told"] > 5000 and report["reconnects"] == 100
    assert report["p50_ms"] < 500
