"""The demonstration with SIPp's phones, which is what other Pythons and processors get."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.demo import stage

pytestmark = pytest.mark.interop


async def test_the_demonstration_with_sipp(tmp_path: Path) -> None:
    demo = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tools.demo"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=stage.REPOSITORY,
        env={**os.environ, "PHONES": "sipp", "KEEP": "", "DEMO_FOLDER": str(tmp_path / "demo")},
    )
    said = (await demo.communicate())[0].decode()
    assert demo.returncode == 0, said[-4000:]
    assert "the phones are SIPp" in said and "everything as it should be" in said
    assert said.count("not checked with SIPp") == 3
    assert len(list((tmp_path / "demo" / "data" / "recordings").rglob("*.wav"))) == 1


def test_a_phone_that_is_not_there_is_an_error() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.demo"],
        capture_output=True,
        text=True,
        cwd=stage.REPOSITORY,
        env={**os.environ, "PHONES": "tin can"},
    )
    assert done.returncode == 1 and "pjsua2 and sipp" in done.stderr
