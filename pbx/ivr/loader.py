"""From ``flow.yaml`` to a frozen :class:`Flow`: reads the file, checks it against the schema, resolves the branches.

All that is wrong is collected with its place; a flow with any error is not made. Questions about the whole graph are
asked afterwards by ``pbx.ivr.lint``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pbx.core.problems import Problem
from pbx.core.yaml_tree import Mark, Node, parse_yaml
from pbx.ivr.flow import Flow, Step
from pbx.ivr.options import NamedPrompt, PromptItem, Target
from pbx.ivr.outage import FILE as OUTAGE_FILE
from pbx.ivr.outage import put_in_front, read_outage
from pbx.ivr.schema import FlowModel, key_mark, locate, mark_of, suggest, tell_errors
from pbx.ivr.verbs import all_verbs

MAX_FILE_BYTES = 1_048_576
MAX_STEPS = 5000
AUDIO = (".wav", ".flac", ".ogg", ".mp3")
_PROMPT: TypeAdapter[tuple[PromptItem, ...]] = TypeAdapter(NamedPrompt)


def load_flow(folder: Path, text: str | None = None) -> tuple[Flow | None, list[Problem]]:
    """Read the flow of a folder; ``text`` replaces its ``flow.yaml``. None when there are errors."""
    file = folder / "flow.yaml"
    if text is None:
        try:
            if file.stat().st_size > MAX_FILE_BYTES:
                return None, [Problem(str(file), 1, 1, "the file is too large", f"at most {MAX_FILE_BYTES} bytes")]
            text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            return None, [Problem(str(file), 1, 1, f"the flow cannot be read: {error}", "a readable file in UTF-8")]
    tree, problems = parse_yaml(text, str(file))
    if tree is None or problems:
        problems = [_hint_at_quotes(problem, text) for problem in problems]
        return None, problems or [Problem(str(file), 1, 1, "the file is empty", "a flow with nodes")]
    flow, problems = _Builder(folder, text, tree).build()
    outage, wrong = read_outage(folder)
    if flow is None or wrong:
        return None, problems + wrong
    return (flow if outage is None else put_in_front(flow, outage)), []


def _hint_at_quotes(problem: Problem, text: str) -> Problem:
    """YAML takes ``{{`` for the beginning of a mapping; nobody guesses that from what it says."""
    lines = text.splitlines()
    line = lines[problem.line - 1] if 0 < problem.line <= len(lines) else ""
    if "{{" in line and not problem.hint:
        return problem._replace(hint="put a text with {{ … }} in quotes")
    return problem


def link(flows: Iterable[Flow]) -> dict[str, Flow]:
    """Let flows that were loaded together know each other, for sub-flows."""
    library: dict[str, Flow] = {}
    for flow in flows:
        library[flow.name] = flow
    for flow in library.values():
        object.__setattr__(flow, "library", library)
    return library


def load_flows(root: Path) -> tuple[dict[str, Flow], list[Problem]]:
    """Read every folder of ``root`` that holds a ``flow.yaml``; flows with errors are left out."""
    flows, problems = [], []
    for file in sorted(root.glob("*/flow.yaml")):
        flow, found = load_flow(file.parent)
        problems += found
        if flow is not None:
            flows.append(flow)
    return link(flows), problems


def hash_folder(folder: Path, text: str, *, announced: bool = True) -> str:
    """The version of a flow: a hash of its text, its recordings and (``announced``) its announcement."""
    digest = hashlib.sha256(text.encode())
    outage = folder / OUTAGE_FILE
    if announced and outage.is_file():
        digest.update(b"outage" + outage.read_bytes())
    for path in sorted((folder / "prompts").rglob("*")):
        if path.suffix.lower() in AUDIO and path.is_file():
            digest.update(str(path.relative_to(folder)).encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


class _Builder:
    """Builds one flow and collects what is wrong with it."""

    def __init__(self, folder: Path, text: str, tree: Node) -> None:
        self.folder = folder
        self.text = text
        self.tree = tree
        self.problems: list[Problem] = []
        self.steps: dict[str, Step] = {}
        self.nodes: frozenset[str] = frozenset()

    def build(self) -> tuple[Flow | None, list[Problem]]:
        try:
            model = FlowModel.model_validate(self.tree.plain())
        except ValidationError as error:
            self.problems += tell_errors(error, self.tree, FlowModel.model_fields)
            self._read_what_can_be_read()
            return None, self.problems
        languages = model.languages or (model.language,)
        if model.language not in languages:
            self._problem(
                ("language",), f"the flow does not speak {model.language!r}", f"one of {', '.join(languages)}"
            )
        self._read_nodes(model.nodes)
        start = model.start or next(iter(model.nodes))
        self._check_node(start, mark_of(self.tree, ("start",)))
        on_error = self._target("on_error", ("on_error",), model.on_error, self.tree) if model.on_error else None
        prompts = self._read_prompts(model.prompts, languages)
        if self.problems:
            return None, self.problems
        flow = Flow(
            name=self.folder.name,
            version=hash_folder(self.folder, self.text),
            folder=str(self.folder),
            title={tag: template.source for tag, template in model.title.items()},
            languages=languages,
            language=model.language,
            variables=model.variables,
            arguments=model.arguments,
            results=model.results,
            prompts=prompts,
            recordings=self._find_recordings(prompts, languages),
            steps=self.steps,
            start=start,
            on_error=on_error,
        )
        return flow, []

    def _read_what_can_be_read(self) -> None:
        """The top is wrong, but the nodes may have more to tell."""
        nodes = self.tree.child("nodes")
        if nodes is not None and isinstance(nodes.value, dict):
            self._read_nodes(nodes.value)

    def _problem(self, path: tuple[str | int, ...], message: str, expected: str = "", hint: str = "") -> None:
        self.problems.append(mark_of(self.tree, path).problem(message, expected, hint))

    # --- nodes and steps

    def _read_nodes(self, names: Mapping[str, Any]) -> None:
        self.nodes = frozenset(names)
        for name in names:
            tree = locate(self.tree, ("nodes", name))
            assert tree is not None
            self._read_list(tree, name, name, None)

    def _read_list(self, tree: Node, first: str, node: str, after: str | None) -> None:
        """A step or a list of steps; ``after`` follows the last one."""
        items = tree.value if isinstance(tree.value, list) else [tree]
        if not items:
            self.problems.append(tree.mark.problem(f"the node {node!r} is empty", "at least one step"))
        for index, item in enumerate(items):
            own = first if index == 0 else f"{first}.{index + 1}"
            following = f"{first}.{index + 2}" if index + 1 < len(items) else after
            self._read_step(item, own, node, following)

    def _read_step(self, tree: Node, own: str, node: str, following: str | None) -> None:
        if len(self.steps) >= MAX_STEPS:
            if len(self.steps) == MAX_STEPS:
                self.problems.append(tree.mark.problem("the flow has too many steps", f"at most {MAX_STEPS}"))
            return
        found = self._find_verb(tree)
        if found is None:
            return
        name, mark, options_tree = found
        verb = all_verbs()[name]
        raw = options_tree.plain() if options_tree is not None else None
        holder = options_tree or Node(None, mark)
        try:
            options = verb.options.model_validate(raw)
        except ValidationError as error:
            self._tell_step(error, verb.options, name, Node({name: holder}, mark, {name: mark}))
            return
        explicit = tree.child("next")
        if explicit is not None and isinstance(explicit.value, str):
            self._check_node(explicit.value, explicit.mark)
            following = explicit.value
        branches: dict[str, str | None] = {}
        marks: dict[str, Mark] = {}
        for branch, path, target in verb.branches(options):
            marks[branch] = key_mark(holder, path) if path else mark
            branches[branch] = self._target(branch, path, target, holder, own, node, following)
        self.steps[own] = Step(own, node, verb, options, branches, following, mark, marks)

    def _tell_step(self, error: ValidationError, options: Any, verb: str, tree: Node) -> None:
        fields = {field.alias or name for name, field in options.model_fields.items()}
        inner = tree.child(verb) or tree
        if isinstance(inner.value, dict):
            self.problems += tell_errors(error, inner, fields, tree.keys[verb])
            return
        self.problems += tell_errors(error, inner if inner.value is not None else Node(None, tree.keys[verb]), fields)

    def _find_verb(self, tree: Node) -> tuple[str, Mark, Node | None] | None:
        verbs = all_verbs()
        if isinstance(tree.value, str):
            if tree.value in verbs:
                return tree.value, tree.mark, None
            self.problems.append(tree.mark.problem(f"there is no verb {tree.value!r}", suggest(tree.value, verbs)))
            return None
        if not isinstance(tree.value, dict):
            self.problems.append(tree.mark.problem("a step is missing here", "a verb"))
            return None
        given = [key for key in tree.value if key != "next"]
        unknown = [key for key in given if key not in verbs]
        for key in unknown:
            self.problems.append(tree.keys[key].problem(f"there is no verb {key!r}", suggest(key, verbs)))
        if len(given) != 1 and not unknown:
            hint = "begin every step with its own '-'" if given else ""
            self.problems.append(tree.mark.problem(f"{len(given)} verbs in one step", "exactly one", hint))
        if len(given) != 1 or unknown:
            return None
        return given[0], tree.keys[given[0]], tree.value[given[0]]

    def _target(
        self,
        branch: str,
        path: tuple[str | int, ...],
        target: Target,
        holder: Node,
        own: str = "",
        node: str = "",
        following: str | None = None,
    ) -> str:
        if target.name:
            self._check_node(target.name, mark_of(holder, path))
            return target.name
        inline = f"{own}/{branch.replace(' ', '_')}"
        tree = locate(holder, path)
        assert tree is not None
        self._read_list(tree, inline, node or branch, following)
        return inline

    def _check_node(self, name: str, mark: Mark) -> None:
        if name not in self.nodes:
            self.problems.append(mark.problem(f"there is no node {name!r}", suggest(name, self.nodes)))

    # --- prompts

    def _read_prompts(
        self, prompts: Mapping[str, Any], languages: tuple[str, ...]
    ) -> dict[str, dict[str, tuple[PromptItem, ...]]]:
        read: dict[str, dict[str, tuple[PromptItem, ...]]] = {}
        for name, raw in prompts.items():
            by_language = isinstance(raw, dict) and bool(raw) and all(key in languages for key in raw)
            unknown = self._find_unknown_languages(raw, languages)
            if unknown:
                self._tell_unknown_languages(name, unknown, languages)
                continue
            versions = raw if by_language else {"": raw}
            for tag, value in versions.items():
                tree = locate(self.tree, ("prompts", name, *([tag] if tag else [])))
                assert tree is not None
                try:
                    read.setdefault(name, {})[tag] = _PROMPT.validate_python(value)
                except ValidationError as error:
                    self.problems += tell_errors(error, tree, PromptItem.model_fields)
        return read

    def _find_unknown_languages(self, raw: Any, languages: tuple[str, ...]) -> list[str]:
        """Keys of a prompt that look like languages the flow does not name."""
        if not isinstance(raw, dict):
            return []
        return [key for key in raw if re.fullmatch(r"[a-z]{2}(-[A-Za-z]+)?", key) and key not in languages]

    def _tell_unknown_languages(self, name: str, unknown: list[str], languages: tuple[str, ...]) -> None:
        every = ", ".join([*languages, *unknown])
        for tag in unknown:
            mark = key_mark(self.tree, ("prompts", name, tag))
            expected = f"one of {', '.join(languages)}"
            self.problems.append(
                mark.problem(f"the flow does not speak {tag!r}", expected, f"name all of them: languages: [{every}]")
            )

    def _find_recordings(self, prompts: Mapping[str, Any], languages: tuple[str, ...]) -> dict[tuple[str, str], str]:
        """``prompts/zh/welcome.wav`` takes the place of the prompt ``welcome`` in Chinese."""
        found: dict[tuple[str, str], str] = {}
        for tag in languages:
            for name in prompts:
                for suffix in AUDIO:
                    path = self.folder / "prompts" / tag / f"{name}{suffix}"
                    if path.is_file():
                        found[tag, name] = str(path)
        return found
