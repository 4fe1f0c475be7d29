"""The music file a user gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import listen
from tools.make_music import main


@pytest.mark.parametrize("extension", ["ogg", "flac", "wav"])
def test_the_loop_is_written_in_the_format_of_the_extension(tmp_path: Path, extension: str) -> None:
    out = tmp_path / f"hold.{extension}"
    assert main([str(out), "--rounds", "2"]) == 0
    sound = listen.load(out)
    assert sound.duration_s == pytest.approx(53.3, abs=0.1)
    assert listen.level_dbfs(sound.left, sound.rate) == pytest.approx(-24, abs=1.5)
    # The loop point is no gap.
    assert listen.find_gaps(sound.left, sound.rate, below_db=-50, t0=26, t1=27.4) == []


@pytest.mark.parametrize("arguments", [["hold.xyz"], ["hold.wav", "--rounds", "0"], ["no/such/folder/hold.wav"]])
def test_what_cannot_be_written_ends_with_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err
