"""What is wrong with flows beyond their schema: the questions ``tandem check`` asks before a flow goes live."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pbx.core.destination import parse_destination
from pbx.core.problems import Problem, has_errors, sort_problems
from pbx.core.references import References
from pbx.core.yaml_tree import Mark, Node, parse_yaml
from pbx.ivr.dataflow import check_secrets, check_variables
from pbx.ivr.expressions import BASE_FUNCTIONS, Expression, ExpressionError
from pbx.ivr.flow import Flow, Step
from pbx.ivr.graph import END, cannot_end, full_graph, reach, silent_graph, spinning, ways
from pbx.ivr.loader import link, load_flow
from pbx.ivr.offers import check_offers
from pbx.ivr.options import OptionModel, PromptItem
from pbx.ivr.schema import mark_of, suggest
from pbx.ivr.verbs.asking import AskingOptions
from pbx.ivr.walk import find_all

_FIELDS = {
    # kind in a flow: field of References
    "group": "ring_groups",
    "mailbox": "mailboxes",
    "voicemail": "mailboxes",
    "music": "music",
    "park": "slots",
}


def names_of(known: References, kind: str) -> frozenset[str] | None:
    """The names there are of one kind as flows write it; None where that is not known."""
    found: frozenset[str] | None = getattr(known, _FIELDS.get(kind, f"{kind}s"), None)
    return found


NOTHING_KNOWN: References | None = None
"""Outside names are not checked."""


def check_folder(path: Path | str, known: References | None = NOTHING_KNOWN) -> list[Problem]:
    """All problems of all flows in a folder, in the order of file and line."""
    return load_folder(path, known)[1]


def load_folder(path: Path | str, known: References | None = NOTHING_KNOWN) -> tuple[dict[str, Flow], list[Problem]]:
    """Load and check the flows of a folder. A flow with an error, or that needs one, is left out."""
    root = Path(path)
    problems: list[Problem] = []
    found: list[Flow] = []
    for file in sorted(root.glob("*/flow.yaml")):
        flow, wrong = load_flow(file.parent)
        problems += wrong
        if flow is not None:
            found.append(flow)
    names = frozenset(file.parent.name for file in root.glob("*/flow.yaml"))
    library = link(found)
    broken = {Path(problem.file).parent.name for problem in problems if problem.severity == "error"}
    for flow in found:
        wrong = check_flow(flow, known, names)
        problems += wrong
        if has_errors(wrong):
            broken.add(flow.name)
    return link(_sound(library, broken)), list(sort_problems(problems))


def _sound(library: Mapping[str, Flow], broken: set[str]) -> list[Flow]:
    """The flows without errors whose sub-flows have none either."""
    sound = {name: flow for name, flow in library.items() if name not in broken}
    while True:
        bad = {name for name, flow in sound.items() if not _needs(flow) <= set(sound)}
        if not bad:
            return list(sound.values())
        sound = {name: flow for name, flow in sound.items() if name not in bad}


def _needs(flow: Flow) -> set[str]:
    return {
        name for step in flow.steps.values() for kind, name, _ in step.verb.references(step.options) if kind == "flow"
    }


def check_flow(
    flow: Flow, known: References | None = NOTHING_KNOWN, flows: frozenset[str] = frozenset()
) -> list[Problem]:
    """The problems of one flow that was loaded; ``flows``: the names of all flows."""
    file = Path(flow.folder) / "flow.yaml"
    tree, _ = parse_yaml(file.read_text("utf-8"), str(file)) if file.is_file() else (None, [])
    return list(_Lint(flow, known, flows | {flow.name}, tree).check())


class _Lint:
    def __init__(self, flow: Flow, known: References | None, flows: frozenset[str], tree: Node | None) -> None:
        self.flow = flow
        self.known = known
        self.flows = flows
        self.tree = tree or Node(None, Mark(str(Path(flow.folder) / "flow.yaml"), 1, 1))
        self.graph = full_graph(flow)
        starts = [name for name in (flow.start, flow.entry, flow.on_error) if name]
        self.reached = reach(self.graph, starts)

    def check(self) -> Iterator[Problem]:
        yield from self.check_reach()
        yield from self.check_ends()
        yield from self.check_loops()
        for step in self.flow.steps.values():
            yield from self.check_asking(step)
            yield from self.check_references(step)
            yield from self.check_condition(step)
            yield from self.check_sub_flow(step)
            yield from self.check_prompts(step.options, step.mark)
        for name, versions in self.flow.prompts.items():
            for items in versions.values():
                yield from self.check_prompts(items, mark_of(self.tree, ("prompts", name)))
        yield from self.check_languages()
        yield from check_variables(self.flow, self.graph)
        yield from check_secrets(self.flow)
        if self.known is not None:
            yield from check_offers(self.flow, self.graph, self.known)

    # --- the graph

    def check_reach(self) -> Iterator[Problem]:
        for name, step in self.flow.steps.items():
            if name in self.reached:
                continue
            if name == step.node:
                yield self.node_mark(step).problem(
                    f"the node {name!r} is never reached", "a way to it", "lead a branch or a goto to it, or delete it"
                )
            elif self.is_first_lost(name):
                yield step.mark.problem("this step is never reached", "", "the step before it never goes straight on")

    def is_first_lost(self, name: str) -> bool:
        """Only the first of several steps that cannot be reached is told, and none of a lost node."""
        step = self.flow.steps[name]
        before = [other for other, targets in self.graph.items() if name in targets]
        return step.node in self.reached and not any(other not in self.reached for other in before)

    def node_mark(self, step: Step) -> Mark:
        nodes = self.tree.child("nodes")
        return nodes.keys.get(step.node, step.mark) if nodes is not None else step.mark

    @property
    def is_part(self) -> bool:
        """A flow made to be called from another returns at its end."""
        verbs = {step.verb.name for step in self.flow.steps.values()}
        return bool(self.flow.arguments or self.flow.results) or "return" in verbs

    def check_ends(self) -> Iterator[Problem]:
        if self.is_part:
            return
        for name, step in self.flow.steps.items():
            if name not in self.reached or step.verb.ends:
                continue
            lost = [branch for branch, target in ways(step) if target == END]
            if lost:
                way = "" if lost == ["next"] else f" by {', '.join(lost)}"
                yield step.mark.problem(
                    f"the flow ends behind this {step.verb.name}{way} without a hangup",
                    "a next step, hangup, transfer or return",
                )

    def check_loops(self) -> Iterator[Problem]:
        stuck = cannot_end(self.graph) & self.reached
        spins = spinning(self.flow) & self.reached
        silent = cannot_end(silent_graph(self.flow)) & self.reached
        told: set[str] = set()
        for names, message, hint in (
            (stuck, "from here no way leads out of the flow", "add a way that ends: hangup, transfer, queue …"),
            (
                spins,
                "this goes round without ever waiting",
                "put a menu, a prompt or a `loop` with a limit in the circle",
            ),
            (
                silent,
                "a caller who does nothing goes round here for ever",
                "lead no_input on, or use `loop` with a limit",
            ),
        ):
            found = [step for name, step in self.flow.steps.items() if name in names]
            asking = [step for step in found if step.verb.silent_branches(step.options) is not None]
            if found and not names & told:
                told |= names
                yield (asking or found)[0].mark.problem(message, "a loop with an exit", hint)

    # --- single steps

    def check_asking(self, step: Step) -> Iterator[Problem]:
        if not isinstance(step.options, AskingOptions):
            return
        for name, what in (("no_input", "does nothing"), ("no_match", "answers something else")):
            if getattr(step.options, name) is None:
                yield step.mark.problem(
                    f"this {step.verb.name} does not say what happens when the caller {what}",
                    f"{name}: {{then: …}}",
                )

    def check_references(self, step: Step) -> Iterator[Problem]:
        for kind, name, path in step.verb.references(step.options):
            mark = self.option_mark(step, path)
            if kind == "destination":
                try:
                    destination = parse_destination(name)
                except ValueError as error:
                    yield mark.problem(str(error))
                    continue
                kind, name = destination.kind, destination.name
            if kind == "flow":
                names: frozenset[str] | None = self.flows
            else:
                names = names_of(self.known, kind) if self.known is not None else None
            if names is not None and name not in names:
                yield mark.problem(f"there is no {kind} {name!r}", suggest(name, names))

    def option_mark(self, step: Step, path: tuple[str | int, ...]) -> Mark:
        found = find_step(self.tree, step.mark)
        return mark_of(found, path) if found is not None else step.mark

    def check_condition(self, step: Step) -> Iterator[Problem]:
        condition = getattr(step.options, "when", None)
        if not isinstance(condition, Expression) or condition.names:
            return
        try:
            holds = bool(condition.evaluate({}, BASE_FUNCTIONS))
        except ExpressionError as error:
            yield step.mark.problem(f"this condition always fails: {error.message}")
            return
        word = "always" if holds else "never"
        yield step.mark.problem(f"this condition {word} holds", "an expression with variables")._replace(
            severity="warning"
        )

    def check_sub_flow(self, step: Step) -> Iterator[Problem]:
        called = self.flow.library.get(getattr(step.options, "flow", "")) if step.verb.name == "flow" else None
        if called is None:
            return
        given = set(step.options.arguments)
        for name in sorted(given - set(called.arguments)):
            mark = self.option_mark(step, ("with", name))
            yield mark.problem(f"the flow {called.name!r} takes no argument {name!r}", suggest(name, called.arguments))
        for name in called.arguments:
            if name not in given and name not in called.variables:
                yield step.mark.problem(f"the flow {called.name!r} wants the argument {name!r}", f"with: {{{name}: …}}")

    def check_prompts(self, holder: object, mark: Mark) -> Iterator[Problem]:
        for path, item in find_all(holder, PromptItem):
            place = mark if not isinstance(holder, OptionModel) else self.mark_in(mark, path)
            if item.prompt and item.prompt not in self.flow.prompts:
                yield place.problem(f"there is no prompt {item.prompt!r}", suggest(item.prompt, self.flow.prompts))
            if item.file:
                for tag in self.flow.languages:
                    file = Path(self.flow.folder) / "prompts" / item.file.replace("{language}", tag)
                    if not file.is_file():
                        yield place.problem(f"there is no file {file}", "an audio file in the folder prompts")
                        break
            if item.music and self.known is not None and item.music not in self.known.music:
                yield place.problem(f"there is no music class {item.music!r}", suggest(item.music, self.known.music))

    def mark_in(self, mark: Mark, path: tuple[str | int, ...]) -> Mark:
        found = find_step(self.tree, mark)
        return mark_of(found, path) if found is not None else mark

    def check_languages(self) -> Iterator[Problem]:
        for name, versions in self.flow.prompts.items():
            missing = [tag for tag in self.flow.languages if "" not in versions and tag not in versions]
            if missing:
                yield (
                    mark_of(self.tree, ("prompts", name))
                    .problem(f"the prompt {name!r} has no text in {', '.join(missing)}", "one per language of the flow")
                    ._replace(severity="warning")
                )
        for step in self.flow.steps.values():
            tag = getattr(step.options, "to", None) if step.verb.name == "language" else None
            if tag is not None and tag.is_plain and tag.source.split("-")[0] not in self.flow.languages:
                yield step.mark.problem(
                    f"the flow does not speak {tag.source!r}", suggest(tag.source, self.flow.languages)
                )


def find_step(tree: Node, mark: Mark) -> Node | None:
    """The options of the step whose verb stands at ``mark``."""
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node.value, dict):
            for key, value in node.value.items():
                if node.keys[key] == mark:
                    return value
                todo.append(value)
        elif isinstance(node.value, list):
            todo += node.value
    return None
