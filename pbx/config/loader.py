"""Reads a folder of YAML into one Configuration, or says everything that is wrong with it.

A file's name says what it holds: `queues.yaml`, and `queues-*.yaml` where one file would be too long. The files are
merged into one tree that knows the place of every value; the models judge the tree; the checks judge what the models
let through. An item that is wrong is left out for the checks but still counts as existing, so that one mistake is
reported once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_origin

from pydantic import ValidationError

from pbx.config import check_environment, check_numbers, check_references
from pbx.config.known import collect_references
from pbx.config.messages import Loc, explain, place_of
from pbx.config.model import Configuration
from pbx.config.routes import Routes
from pbx.core.problems import ConfigurationErrors, Problem, has_errors, sort_problems
from pbx.core.references import References, suggest
from pbx.core.yaml_tree import Mark, Node, parse_yaml

MAX_FILE_BYTES = 32 * 2**20

_FIELDS = tuple(Configuration.model_fields)
FILE_KINDS: Mapping[str, tuple[str, ...]] = {
    "tandem": _FIELDS[: _FIELDS.index("trunks")],
    "trunks": ("trunks",),
    "extensions": ("extensions", "ring_groups", "mailboxes"),
    "agents": ("agents", "teams", "not_ready_reasons", "system_reasons", "dispositions"),
    "queues": ("queues",),
    "routes": tuple(Routes.model_fields),
    "callers": ("callers",),
    "calendars": ("calendars",),
}
"""The top-level keys of each kind of file."""


@dataclass(frozen=True)
class Examined:
    """The result of looking at a configuration."""

    configuration: Configuration | None
    """None if there is any error."""
    problems: tuple[Problem, ...]
    """Errors and warnings, in the order of the files."""
    references: References
    """What flows may refer to; complete as far as the files could be read."""
    flows: Path | None
    """The folder of flows, if it could be found out."""
    readable: Configuration | None
    """What could be read in spite of errors: not for use, but it tells folders and ports."""


def load(folder: Path | str, *, flows: Path | str | None = None) -> Configuration:
    """The configuration in ``folder``. Raises ConfigurationErrors with everything that is wrong.

    ``flows``: use this folder of flows instead of the configured one.
    """
    examined = examine(folder, flows=flows)
    if examined.configuration is None:
        raise ConfigurationErrors(problem for problem in examined.problems if problem.severity == "error")
    return examined.configuration


def examine(folder: Path | str, *, flows: Path | str | None = None) -> Examined:
    """Look at the configuration in ``folder``. Never raises for anything that files can contain."""
    folder = Path(folder)
    problems: list[Problem] = []
    tree = _merge_files(folder, problems)
    if flows is not None and isinstance(tree.value, dict):
        tree.value["flows"] = Node(str(Path(flows).absolute()), tree.mark)
    configuration, judged, found = _validate(tree, folder.absolute())
    problems += found
    references = collect_references(tree, configuration)
    problems += check_references.check_names(tree, references)
    if configuration is not None:
        problems += check_numbers.check(configuration, judged)
        problems += check_environment.check(configuration, judged)
        if not has_errors(problems):
            problems += check_references.check(configuration, judged, references)
    ordered = sort_problems(problems)
    where = configuration.flows if configuration is not None else None
    return Examined(None if has_errors(ordered) else configuration, ordered, references, where, configuration)


# --- files --------------------------------------------------------------------------------------------------------


def _merge_files(folder: Path, problems: list[Problem]) -> Node:
    """One tree of all files, with the shape of Configuration."""
    merged: dict[str, Node] = {}
    keys: dict[str, Mark] = {}
    for path, kind in _list_files(folder, problems):
        tree = _read_file(path, problems)
        if tree is None:
            continue
        if not isinstance(tree.value, dict):
            expected = f"a mapping with {', '.join(FILE_KINDS[kind][:6])}"
            problems.append(tree.mark.problem("the file holds no mapping", expected))
            continue
        if kind == "routes":
            tree = _without_unknown(tree, kind, problems)
            tree = Node({"routes": tree}, tree.mark, {"routes": tree.mark})
        else:
            tree = _without_unknown(tree, kind, problems)
        _merge_mapping(merged, keys, tree, problems, depth=2 if kind == "routes" else 1)
    return Node(merged, Mark(str(folder), 1, 1), keys)


def _list_files(folder: Path, problems: list[Problem]) -> list[tuple[Path, str]]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        problems.append(
            Problem(str(folder), 1, 1, f"the configuration cannot be read: {error.strerror}", "a folder of YAML files")
        )
        return []
    found: list[tuple[Path, str]] = []
    for path in paths:
        kind = path.stem.partition("-")[0]
        if path.suffix == ".yaml" and kind in FILE_KINDS:
            found.append((path, kind))
        elif path.suffix in (".yaml", ".yml") and not path.name.startswith("."):
            names = [f"{name}.yaml" for name in FILE_KINDS]
            guess = suggest(f"{kind}.yaml", names)
            message = f"nothing reads a file of the name {path.name!r}"
            hint = guess if guess.startswith("did you") else "files of other names belong into a subfolder"
            problems.append(Problem(str(path), 1, 1, message, ", ".join(names), hint))
    if not found and not problems:
        expected = "tandem.yaml, trunks.yaml, extensions.yaml ..."
        problems.append(Problem(str(folder), 1, 1, "the folder holds no configuration", expected))
    return found


def _read_file(path: Path, problems: list[Problem]) -> Node | None:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            problems.append(Problem(str(path), 1, 1, "the file is too large", f"at most {MAX_FILE_BYTES} bytes"))
            return None
        data = path.read_bytes()
    except OSError as error:
        problems.append(Problem(str(path), 1, 1, f"the file cannot be read: {error.strerror}"))
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        problems.append(Problem(str(path), line, column, "this byte is not UTF-8", "a file saved as UTF-8"))
        return None
    tree, found = parse_yaml(text, str(path))
    problems += found
    return tree


def _without_unknown(tree: Node, kind: str, problems: list[Problem]) -> Node:
    """Only the keys that this kind of file may have; empty sections are as good as none."""
    assert isinstance(tree.value, dict)
    values: dict[str, Node] = {}
    for key, node in tree.value.items():
        if key in FILE_KINDS[kind]:
            if node.value is not None:
                values[key] = node
            continue
        home = next((name for name, keys in FILE_KINDS.items() if key in keys), None)
        if home:
            hint = f"{key!r} belongs into {home}.yaml"
        else:
            guess = suggest(key, FILE_KINDS[kind])
            hint = guess if guess.startswith("did you") else ""
        expected = "" if hint else f"one of {', '.join(FILE_KINDS[kind])}"
        problems.append(tree.keys[key].problem(f"unknown key {key!r} in this file", expected, hint))
    return Node(values, tree.mark, {key: tree.keys[key] for key in values})


def _merge_mapping(
    values: dict[str, Node], keys: dict[str, Mark], tree: Node, problems: list[Problem], *, depth: int
) -> None:
    """Add a file's mapping to what is there: sections and lists grow, items and settings may be given once."""
    assert isinstance(tree.value, dict)
    for key, node in tree.value.items():
        there = values.get(key)
        if there is None:
            values[key], keys[key] = node, tree.keys[key]
        elif depth and isinstance(there.value, dict) and isinstance(node.value, dict):
            grown, marks = dict(there.value), dict(there.keys)
            _merge_mapping(grown, marks, node, problems, depth=depth - 1)
            values[key] = Node(grown, there.mark, marks)
        elif isinstance(there.value, list) and isinstance(node.value, list):
            values[key] = Node([*there.value, *node.value], there.mark)
        else:
            first = keys[key]
            hint = f"first given in {first.file}:{first.line}"
            problems.append(tree.keys[key].problem(f"{key!r} is given in two files", "each key once", hint))


# --- models -------------------------------------------------------------------------------------------------------


def _validate(tree: Node, folder: Path) -> tuple[Configuration | None, Node, list[Problem]]:
    """The configuration with the tree it was made of: what is wrong has been taken out of both."""
    problems: list[Problem] = []
    for _ in range(8):
        try:
            return Configuration.model_validate(tree.plain(), context={"folder": folder}), tree, problems
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
        found = (explain(detail, Configuration, tree) for detail in details)
        problems += [problem for problem in found if problem is not None]
        tree = _prune(tree, {_item_of(place_of(detail)) for detail in details})
    return None, tree, problems


def _item_of(loc: Loc) -> Loc:
    """The smallest thing around an error that can be left out."""
    field = Configuration.model_fields.get(str(loc[0])) if loc else None
    if field is None:
        return loc[:1]
    if loc[0] == "routes" and len(loc) > 1:
        return loc[:3] if len(loc) > 2 and isinstance(loc[2], int) else loc[:2]
    return loc[:2] if get_origin(field.annotation) is Mapping else loc[:1]


def _prune(tree: Node, paths: Iterable[Loc]) -> Node:
    """The tree without the nodes at ``paths``."""
    by_first: dict[str | int, list[Loc]] = {}
    for path in paths:
        if not path:
            return Node({}, tree.mark)
        by_first.setdefault(path[0], []).append(path[1:])
    gone = {step for step, rests in by_first.items() if () in rests}

    def keep(steps: Iterable[tuple[str | int, Node]]) -> Iterator[tuple[str | int, Node]]:
        for step, node in steps:
            if step not in gone:
                yield step, _prune(node, by_first[step]) if step in by_first else node

    if isinstance(tree.value, dict):
        return Node({str(step): node for step, node in keep(tree.value.items())}, tree.mark, tree.keys)
    if isinstance(tree.value, list):
        return Node([node for _, node in keep(enumerate(tree.value))], tree.mark)
    return tree
