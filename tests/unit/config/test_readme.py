"""What the READMEs tell people to write works, added to the sample configuration."""

import re
import shutil
from pathlib import Path

import pytest

from pbx.cli.check import find_problems

ROOT = Path(__file__).parents[3]
FILES = (
    "config/trunks-more.yaml",
    "config/routes-more.yaml",
    "config/extensions-more.yaml",
    "config/agents-more.yaml",
    "config/queues-more.yaml",
    "ivr_flows/shop/flow.yaml",
)
"""Where the examples go, in their order."""


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_examples(readme: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    shutil.copytree(ROOT / "ivr_flows", tmp_path / "ivr_flows")
    # The sample has routes for these numbers already.
    (tmp_path / "config" / "routes.yaml").unlink()
    for name in ("extensions.yaml", "queues.yaml"):
        text = (ROOT / "config" / name).read_text("utf-8")
        (tmp_path / "config" / name).write_text(re.sub(r" +permissions: .*\n", "", text), encoding="utf-8")
    examples = re.findall(r"```yaml\n(.*?)```", (ROOT / readme).read_text("utf-8"), re.DOTALL)
    assert len(examples) == len(FILES)
    for name, text in zip(FILES, examples, strict=True):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = [str(problem) for problem in find_problems(tmp_path / "config", None)]
    # The sample has no recogniser, since pocketsphinx is an extra.
    assert [problem for problem in found if "no recogniser" not in problem] == []


def test_both_readmes_have_the_same_commands() -> None:
    texts = [(ROOT / name).read_text("utf-8") for name in ("README.md", "README.zh-CN.md")]
    commands = [sorted(set(re.findall(r"(?:make|tandem) [a-z]+", text))) for text in texts]
    assert set(commands[1]) <= set(commands[0])
