"""`tandem prompts`: from what flows say to a voice artist's recordings in their place."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from media.dsp.level import active_level_dbfs
from media.prompts.audio import read_clip
from pbx.cli import main
from pbx.ivr.loader import load_flow

ROOT = Path(__file__).parents[3]


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    for name in ("survey", "main", "enter_extension"):
        shutil.copytree(ROOT / "ivr_flows" / name, tmp_path / "ivr_flows" / name)
    return tmp_path / "ivr_flows"


def run(flows: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["prompts", *arguments, "--flows", str(flows)])


def make_sound(path: Path, level: float, rate: int = 44100) -> Path:
    """Half a second of silence, one of a tone, half a second of silence; stereo."""
    tone = np.sin(2 * np.pi * 300 * np.arange(rate) / rate) * level
    audio = np.concatenate([np.zeros(rate // 2), tone, np.zeros(rate // 2)])
    soundfile.write(path, np.stack([audio, audio], axis=1), rate)
    return path


def test_list(flows: Path) -> None:
    result = run(flows, "list", "main")
    assert "main/welcome [zh] synthesised: 您好，欢迎致电。" in result.output
    assert "main/closed [en] composed: It is {{ now.time | time }}" in result.output
    assert "synthesised" in result.output.splitlines()[-1]
    assert run(flows, "list", "nothing").exit_code == 1


def test_script_holds_what_can_be_read_aloud(flows: Path, tmp_path: Path) -> None:
    target = tmp_path / "script.csv"
    assert run(flows, "script", "survey", "--language", "zh", "-o", str(target)).exit_code == 0
    with target.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["file"] for row in rows} == {
        f"survey/prompts/zh/{name}.wav" for name in ("friendly", "solved", "wrong", "tell_us", "thanks")
    }
    assert "非常满意请按5" in next(row["text"] for row in rows if row["file"].endswith("friendly.wav"))
    assert "survey/prompts/en/thanks.wav,en,Thank you." in run(flows, "script", "survey").output


def test_replace_trims_levels_and_takes_effect(flows: Path, tmp_path: Path) -> None:
    source = make_sound(tmp_path / "studio.flac", 0.02)
    result = run(flows, "replace", "survey", "thanks", "en", str(source))
    assert result.exit_code == 0, result.output
    target = flows / "survey" / "prompts" / "en" / "thanks.wav"
    clip = read_clip(target, "thanks")
    assert 1.0 <= len(clip.audio) / clip.rate < 1.3, "the silence around it is gone"
    assert active_level_dbfs(clip.audio, clip.rate) == pytest.approx(-20, abs=1)
    flow, _ = load_flow(flows / "survey")
    assert flow is not None and flow.recordings == {("en", "thanks"): str(target)}
    assert "thanks.wav" not in run(flows, "script", "survey", "--language", "en").output
    assert "thanks.wav" in run(flows, "script", "survey", "--language", "en", "--all").output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("main", "closed", "en"), "it cannot be recorded as one piece"),
        (("main", "nothing", "en"), "has no prompt nothing"),
        (("main", "welcome", "fr"), "has no prompt welcome in fr"),
    ],
)
def test_replace_refuses(flows: Path, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run(flows, "replace", *arguments, str(make_sound(tmp_path / "x.wav", 0.1)))
    assert result.exit_code == 1
    assert message in result.output


def test_replace_refuses_what_is_no_sound(flows: Path, tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_text("no sound")
    assert "not readable as audio" in run(flows, "replace", "main", "welcome", "en", str(tmp_path / "x.wav")).output
    soundfile.write(tmp_path / "silence.wav", np.zeros(8000), 8000)
    assert "only silence" in run(flows, "replace", "main", "welcome", "en", str(tmp_path / "silence.wav")).output


def test_normalise_brings_recordings_to_one_level(flows: Path, tmp_path: Path) -> None:
    folder = flows / "survey" / "prompts" / "zh"
    folder.mkdir(parents=True)
    make_sound(folder / "thanks.flac", 0.5, 16000)
    before = run(flows, "normalise", "survey", "--dry-run").output
    assert "→ -20" in before and (folder / "thanks.flac").exists()
    run(flows, "normalise", "survey")
    assert [file.name for file in folder.iterdir()] == ["thanks.wav"]
    assert run(flows, "normalise", "survey").output == "", "once is enough"


def test_render(flows: Path, tmp_path: Path) -> None:
    result = run(flows, "render", "survey", "thanks", "-o", str(tmp_path / "out"), "--config", str(ROOT / "config"))
    assert result.exit_code == 0, result.output
    for tag in ("en", "zh"):
        clip = read_clip(tmp_path / "out" / tag / "thanks.wav", tag)
        assert len(clip.audio) / clip.rate > 0.3


def test_render_says_what_it_does_not_find(flows: Path, tmp_path: Path) -> None:
    wrong = run(flows, "render", "survey", "thank", "-o", str(tmp_path / "out"), "--config", str(ROOT / "config"))
    assert wrong.exit_code == 1
    assert "has no prompt thank: did you mean 'thanks'?" in wrong.output
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "queues.yaml").write_text("queues: [\n")
    wrong = run(flows, "render", "survey", "-o", str(tmp_path / "out"), "--config", str(tmp_path / "config"))
    assert wrong.exit_code == 1
    assert "see `tandem check`" in wrong.output
