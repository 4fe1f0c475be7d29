"""Whatever stands in the files, looking at them gives problems or a configuration, never an exception."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.config.loader import FILE_KINDS, examine
from pbx.core.problems import has_errors
from pbx.core.yaml_tree import parse_yaml

SAMPLES = [path.read_text("utf-8") for path in sorted((Path(__file__).parents[2] / "config").glob("*.yaml"))]

KEYS = st.sampled_from(sorted({key for keys in FILE_KINDS.values() for key in keys})) | st.text(max_size=8)
SCALARS = st.one_of(
    st.none(),
    st.text(max_size=12),
    st.sampled_from(
        ["1001", "yes", "flow:main", "queue:a", "+8610X.", "/(/", "-1", "1e999", "30s", "all", "2026-02-30"]
    ),
)
WORDS = st.sampled_from(["name", "number", "host", "to", "did", "match", "secret"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | WORDS, inner, max_size=5),
    max_leaves=12,
)


def write_flow_style(value: object) -> str:
    """YAML of a value, with every text quoted."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{write_flow_style(key)}: {write_flow_style(item)}" for key, item in value.items()) + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(write_flow_style(item) for item in value) + "]"
    text = "".join(f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}" for c in str(value))
    return f'"{text}"'


def look(kind: str, text: str) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / f"{kind}.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
        examined = examine(folder)
        assert (examined.configuration is None) == has_errors(examined.problems)
        for problem in examined.problems:
            assert problem.line >= 1 and problem.column >= 1 and problem.message


@given(st.sampled_from(sorted(FILE_KINDS)), st.dictionaries(KEYS, VALUES, max_size=4))
@settings(max_examples=300, deadline=None)
def test_any_structure(kind: str, value: dict[str, object]) -> None:
    look(kind, write_flow_style(value))


@given(st.sampled_from(sorted(FILE_KINDS)), st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text(kind: str, text: str) -> None:
    look(kind, text)


@given(st.text(alphabet="ab: -[]{}&*!|>'\"#%@,?\n\t<~1\\", max_size=40))
@settings(max_examples=500, deadline=None)
def test_any_punctuation_is_yaml_or_a_problem(text: str) -> None:
    tree, problems = parse_yaml(text, "f.yaml")
    assert tree is not None or problems or not text.strip() or "#" in text or set(text) <= set("- \n\t%.~#")


@given(st.sampled_from(SAMPLES), st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_sample(sample: str, data: st.DataObject) -> None:
    kind = next(kind for kind in FILE_KINDS if f"schemas/{kind}.schema" in sample)
    lines = sample.splitlines()
    index = data.draw(st.integers(0, len(lines) - 1))
    line = lines[index]
    cut = data.draw(st.integers(0, len(line)))
    lines[index] = line[:cut] + data.draw(st.text(max_size=4)) + line[cut + 1 :]
    look(kind, "\n".join(lines))
