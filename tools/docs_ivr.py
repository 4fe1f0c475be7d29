"""The reference of docs/ivr.md and docs/ivr.zh-CN.md: every verb with its options and an example, from the schema."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from pbx.ivr.cases import Action, Case, Expectation
from pbx.ivr.expressions import BASE_FUNCTIONS, SPEECH_FUNCTIONS, Expression, Template
from pbx.ivr.options import PromptItem, Target, VerbOptions
from pbx.ivr.schema import FlowModel
from pbx.ivr.speech import speech_functions
from pbx.ivr.verbs import all_verbs
from pbx.ivr.verbs.base import AnyVerb

BEGIN = "<!-- generated from here on by `make docs` -->\n"
WORDS = {
    "en": {
        "flow": "Fields of flow.yaml", "verbs": "Verbs", "prompt": "Pieces of a prompt", "functions": "Functions",
        "cases": "Test cases", "case": "A case", "action": "Its steps: one of", "expect": "What is expected",
        "option": "option", "default": "default", "meaning": "meaning", "needed": "needed", "example": "Example",
        "short": "Short form: `{verb}: {value}` sets `{field}`.", "mapping": "Written as a mapping of its values.",
        "function": "function", "english": "English", "chinese": "普通话", "others": "Others",
        "node": "a node, or steps", "ends": "The flow does not go on after it.",
    },
    "zh": {
        "flow": "flow.yaml 的字段", "verbs": "动词", "prompt": "提示音片段", "functions": "函数",
        "cases": "测试用例", "case": "用例", "action": "步骤，每步为下列之一", "expect": "期望结果",
        "option": "选项", "default": "缺省", "meaning": "含义", "needed": "必填", "example": "示例",
        "short": "简写：`{verb}: {value}` 即设置 `{field}`。", "mapping": "直接写成取值的映射。",
        "function": "函数", "english": "English", "chinese": "普通话", "others": "其他",
        "node": "节点名或步骤", "ends": "流程在此结束。",
    },
}  # fmt: skip
SPOKEN = {
    "count": 2, "number": 120, "ordinal": 3, "digits": "0123", "phone": "13800138000", "spell": "A1", "money": 120.5,
    "date": "2026-11-22", "time": "14:05", "datetime": "2026-11-22T14:05", "duration": 125,
}  # fmt: skip


def write_reference(language: str) -> str:
    """Everything after the marker, in ``en`` or ``zh``."""
    words = WORDS[language]
    parts = [BEGIN, f"## {words['flow']}\n", _table(FlowModel, language)]
    parts += [f"## {words['prompt']}\n", _table(PromptItem, language)]
    parts += [f"## {words['functions']}\n", _functions(language)]
    parts.append(f"## {words['verbs']}\n")
    parts += [_verb(verb, language) for _, verb in sorted(all_verbs().items())]
    parts.append(f"## {words['cases']}\n")
    for title, model in (("case", Case), ("action", Action), ("expect", Expectation)):
        parts += [f"### {words[title]}\n", _table(model, language)]
    return "\n".join(parts)


def _verb(verb: AnyVerb, language: str) -> str:
    words = WORDS[language]
    options: type[VerbOptions] = verb.options
    lines = [f"### {verb.name}\n", verb.summary[language] + (f" {words['ends']}" if verb.ends else "") + "\n"]
    if options.takes_mapping:
        lines.append(words["mapping"] + "\n")
    elif options.shorthand:
        name = options.model_fields[options.shorthand].alias or options.shorthand
        lines.append(words["short"].format(verb=verb.name, value="…", field=name) + "\n")
    if options.model_fields:
        lines.append(_table(options, language))
    for model in _inner(options):
        lines += [f"`{model.__name__.lower()}`:\n", _table(model, language)]
    lines.append(f"```yaml\n{verb.example.strip()}\n```\n")
    return "\n".join(lines)


def _inner(options: type[BaseModel]) -> list[type[BaseModel]]:
    """Models within the options that have fields of their own."""
    found: list[type[BaseModel]] = []
    for field in options.model_fields.values():
        for candidate in _models_in(field.annotation):
            if candidate not in found and candidate is not PromptItem:
                found.append(candidate)
    return found


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in getattr(annotation, "__args__", ()) for model in _models_in(inner)]


def _table(model: type[BaseModel], language: str) -> str:
    words = WORDS[language]
    rows = [f"| {words['option']} | {words['default']} | {words['meaning']} |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        meaning = _meaning(field, language)
        if _leads_on(field.annotation):
            meaning += f" ({words['node']})"
        rows.append(f"| `{field.alias or name}` | {_default(field, words)} | {meaning} |")
    return "\n".join(rows) + "\n"


def _leads_on(annotation: Any) -> bool:
    return annotation is Target or any(_leads_on(inner) for inner in getattr(annotation, "__args__", ()))


def _meaning(field: FieldInfo, language: str) -> str:
    extra = field.json_schema_extra
    text = field.description or ""
    if language == "zh" and isinstance(extra, dict) and extra.get("zh"):
        text = str(extra["zh"])
    return text.replace("|", "\\|")


def _default(field: FieldInfo, words: dict[str, str]) -> str:
    value = field.default
    if value is PydanticUndefined or value is ...:
        return f"*{words['needed']}*"
    if isinstance(value, Template | Expression):
        return f"`{value.source}`"
    if value is None or value in ("", (), {}) or isinstance(value, BaseModel):
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g} s"
    return f"`{value}`"


def _functions(language: str) -> str:
    words = WORDS[language]
    rows = [f"| {words['function']} | {words['english']} | {words['chinese']} |", "|---|---|---|"]
    for name in SPEECH_FUNCTIONS:
        value = SPOKEN[name]
        shown = f"'{value}'" if isinstance(value, str) else value
        english, chinese = (speech_functions(tag)[name](value) for tag in ("en", "zh"))
        rows.append(f"| `{{{{ {shown} \\| {name} }}}}` | {english} | {chinese} |")
    others = ", ".join(f"`{name}`" for name in sorted(BASE_FUNCTIONS))
    return "\n".join(rows) + f"\n\n{words['others']}: {others}.\n"
