"""The JSON Schema of ``flow.yaml`` and of test cases, for editors: made from the same models that check the files."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from pbx.ivr.cases import Action, Case, CaseFile
from pbx.ivr.options import NAME, PromptItem, VerbOptions
from pbx.ivr.schema import FlowModel
from pbx.ivr.verbs import all_verbs

DRAFT = "https://json-schema.org/draft/2020-12/schema"


class _Generator(GenerateJsonSchema):
    """Defaults that are templates have no form in JSON; the descriptions say them."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}


def make_flow_schema() -> dict[str, Any]:
    """Of ``flow.yaml``."""
    definitions: dict[str, Any] = {}
    schema = _schema_of(FlowModel, definitions)
    schema["properties"]["nodes"] = {
        "type": "object",
        "propertyNames": {"pattern": f"^{NAME}$"},
        "additionalProperties": {"$ref": "#/$defs/steps"},
        "minProperties": 1,
    }
    definitions["PromptItem"] = _schema_of(PromptItem, definitions)
    definitions["steps"] = {
        "anyOf": [{"$ref": "#/$defs/step"}, {"type": "array", "items": {"$ref": "#/$defs/step"}, "minItems": 1}]
    }
    definitions["step"] = _make_step(definitions)
    return {"$schema": DRAFT, "title": "Tandem IVR flow", **schema, "$defs": definitions}


def _make_step(definitions: dict[str, Any]) -> dict[str, Any]:
    names = sorted(all_verbs())
    properties: dict[str, Any] = {"next": {"type": "string", "description": "The node to go on with."}}
    for name in names:
        verb = all_verbs()[name]
        options: type[VerbOptions] = verb.options
        full = _schema_of(options, definitions)
        choices: list[dict[str, Any]] = [{"type": "null"}] if not full.get("required") else []
        if options.shorthand:
            value = full["properties"].get(_alias(options, options.shorthand), {})
            choices.append(value)
        if not options.takes_mapping:
            choices.append(full)
        properties[name] = {"description": verb.summary["en"], "anyOf": choices}
    one_verb = [{"required": [name]} for name in names]
    step = {"type": "object", "properties": properties, "additionalProperties": False, "oneOf": one_verb}
    return {"anyOf": [{"enum": names}, step]}


def _alias(options: type[VerbOptions], name: str) -> str:
    return options.model_fields[name].alias or name


def make_case_schema() -> dict[str, Any]:
    """Of ``tests/*.yaml``."""
    definitions: dict[str, Any] = {}
    schema = _schema_of(CaseFile, definitions)
    case = _schema_of(Case, definitions)
    actions = {"anyOf": [{"enum": sorted(Action.model_fields)}, _schema_of(Action, definitions)]}
    case["properties"]["steps"] = {"type": "array", "items": actions}
    definitions["case"] = case
    schema["properties"]["cases"] = {"type": "array", "items": {"$ref": "#/$defs/case"}, "minItems": 1}
    schema["properties"]["defaults"] = {"type": "object", "properties": case["properties"]}
    return {"$schema": DRAFT, "title": "Tests of a Tandem IVR flow", **schema, "$defs": definitions}


def _schema_of(model: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of one model; what it defines goes to ``definitions``."""
    schema: dict[str, Any] = model.model_json_schema(by_alias=True, schema_generator=_Generator)
    definitions.update(schema.pop("$defs", {}))
    cleaned = _clean(schema)
    assert isinstance(cleaned, dict)
    for name, definition in list(definitions.items()):
        definitions[name] = _clean(definition)
    return cleaned


def _clean(node: Any) -> Any:
    """Without pydantic's generated titles, and with Chinese descriptions beside the English ones."""
    if isinstance(node, list):
        return [_clean(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "x-ref" in node:  # pydantic cannot point at definitions that are not its own
        return {"$ref": f"#/$defs/{node['x-ref']}"}
    result = {key: _clean(value) for key, value in node.items() if not (key == "title" and isinstance(value, str))}
    if result.get("type") == "boolean":
        del result["type"]
        result["enum"] = [True, False, "on", "off", "yes", "no"]
    chinese = result.pop("zh", None)
    if isinstance(chinese, str) and "description" in result:
        result["description"] = f"{result['description']} {chinese}"
    elif chinese is not None:
        result["zh"] = chinese
    return result
