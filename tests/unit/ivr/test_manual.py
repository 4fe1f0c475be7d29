"""docs/ivr.md: its examples are flows and cases that work, and the schemas fit the flows that ship."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from pbx.core.yaml_tree import parse_yaml
from pbx.ivr.cases import Action, Case, Expectation
from pbx.ivr.json_schema import make_case_schema, make_flow_schema
from pbx.ivr.lint import check_flow
from pbx.ivr.loader import load_flow
from pbx.ivr.options import PromptItem
from pbx.ivr.schema import FlowModel
from pbx.ivr.verbs import all_verbs
from tools.docs import PAGES, ROOT


@pytest.mark.parametrize("page", ["docs/ivr.md", "docs/ivr.zh-CN.md"])
def test_first_flow_of_the_manual_is_sound(page: str) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    flow, problems = load_flow(Path("/nowhere/first"), blocks[0])
    assert flow is not None, [str(problem) for problem in problems]
    assert check_flow(flow) == []
    tree, problems = parse_yaml(blocks[1], page)
    assert tree is not None and problems == []
    Case.model_validate(tree.plain()["cases"][0])


@pytest.mark.parametrize("page", ["docs/ivr.md", "docs/ivr.zh-CN.md"])
def test_manual_is_current(page: str) -> None:
    path = ROOT / page
    assert path.read_text("utf-8") == PAGES[page](path), "run `make docs`"


def test_everything_is_described_in_both_languages() -> None:
    models: list[type[BaseModel]] = [
        FlowModel,
        PromptItem,
        Case,
        Action,
        Expectation,
        *(verb.options for verb in all_verbs().values()),
    ]
    bare = [
        f"{model.__name__}.{name}"
        for model in models
        for name, field in model.model_fields.items()
        if not field.description or not isinstance(field.json_schema_extra, dict) or not field.json_schema_extra["zh"]
    ]
    assert bare == []
    assert all(set(verb.summary) == {"en", "zh"} for verb in all_verbs().values())


def test_schemas_name_every_verb_and_point_at_what_they_hold() -> None:
    for schema in (make_flow_schema(), make_case_schema()):
        pointers = set(re.findall(r"'\$ref': '#/\$defs/(\w+)'", repr(schema)))
        assert pointers <= set(schema["$defs"])
    step = make_flow_schema()["$defs"]["step"]
    assert step["anyOf"][0]["enum"] == sorted(all_verbs())
