"""YAML as typed: texts stay texts, and everything knows its place."""

from pbx.core.yaml_tree import Node, parse_yaml

TEXT = """\
extensions: &all
  0123: {name: on, time: 12:30, none: , null: null, quoted: "null", version: 1.0}
list:
- yes
- [a, 'b']
copy:
  <<: *all
  more: |
    two
    lines
"""


def tree(text: str = TEXT) -> Node:
    found, problems = parse_yaml(text, "f.yaml")
    assert problems == []
    assert found is not None
    return found


def test_texts_stay_texts() -> None:
    item = {"name": "on", "time": "12:30", "none": None, "null": None, "quoted": "null", "version": "1.0"}
    assert tree().plain() == {
        "extensions": {"0123": item},
        "list": ["yes", ["a", "b"]],
        "copy": {"more": "two\nlines\n", "0123": item},
    }


def test_places() -> None:
    root = tree()
    assert root.mark_of(("extensions", "0123", "time"))[1:] == (2, 26, 5)
    assert root.key_mark(("extensions", "0123", "time"))[1:] == (2, 20, 4)
    assert root.mark_of(("extensions", "0123", "gone"))[1:3] == (2, 3)
    assert root.mark_of(("list", 1, 1))[1:] == (5, 7, 3)
    assert root.mark_of(("list", 7))[1:3] == (3, 1)
    assert root.mark_of(())[:3] == ("f.yaml", 1, 1)
    assert root.find(("list", 0)) == root.child("list").child(0)  # type: ignore[union-attr]
    assert root.find(("list", "x")) is None
    assert root.find(("copy", "0123")) == root.find(("extensions", "0123"))


def test_empty() -> None:
    assert parse_yaml("", "f") == (None, [])
    assert parse_yaml("# nothing\n", "f") == (None, [])


def test_merge_of_something_else() -> None:
    _, problems = parse_yaml("a: &a [1]\nb:\n  <<: *a\n", "f")
    assert [problem.message for problem in problems] == ["'<<' merges something that is no mapping"]


def test_aliases_cannot_explode() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 10):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]")
    found, problems = parse_yaml("\n".join(lines), "f")
    assert found is None
    assert [problem.message for problem in problems] == ["the file unfolds to too much"]
