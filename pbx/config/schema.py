"""JSON Schemas of the configuration files, one for each kind, with the docstrings of the fields as descriptions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from pbx.config.descriptions import describe_field, describe_model
from pbx.config.loader import FILE_KINDS
from pbx.config.model import Configuration

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_SWITCHES = [True, False, "yes", "no", "on", "off", "true", "false"]


def make_schemas() -> dict[str, Schema]:
    """By kind of file: `tandem`, `trunks` ..."""
    models = {model.__name__: model for model in list_models()}
    whole = Configuration.model_json_schema(mode="validation")
    definitions: dict[str, Schema] = whole.pop("$defs")
    for name, definition in [*definitions.items(), ("Configuration", whole)]:
        if name in models:
            _describe(definition, models[name])
    loosened = {name: _loosen(definition) for name, definition in definitions.items()}
    top = _loosen(whole)
    return {kind: _make_file_schema(kind, top, loosened) for kind in FILE_KINDS}


def _make_file_schema(kind: str, top: Schema, definitions: dict[str, Schema]) -> Schema:
    source = definitions["Routes"] if kind == "routes" else top
    nullable = {"type": "null"}
    properties: Schema = {}
    for key in FILE_KINDS[kind]:
        inner = {name: value for name, value in source["properties"][key].items() if name != "description"}
        properties[key] = {"description": source["properties"][key]["description"], "anyOf": [inner, nullable]}
    needed: dict[str, Schema] = {}
    _collect(properties, definitions, needed)
    return {
        "$schema": DIALECT,
        "title": f"Tandem: {kind}.yaml",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": dict(sorted(needed.items())),
    }


def _collect(schema: Any, definitions: dict[str, Schema], needed: dict[str, Schema]) -> None:
    """The definitions that a schema refers to, and those that they refer to."""
    if isinstance(schema, dict):
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        if name and name not in needed:
            needed[name] = definitions[name]
            _collect(definitions[name], definitions, needed)
        for value in schema.values():
            _collect(value, definitions, needed)
    elif isinstance(schema, list):
        for value in schema:
            _collect(value, definitions, needed)


def _describe(definition: Schema, model: type[BaseModel]) -> None:
    """Put the docstrings in, and take out fields that are keys."""
    definition["description"] = _join(describe_model(model), describe_model(model, "zh"))
    for name in list(definition.get("properties", {})):
        field = definition["properties"][name]
        if field.pop("from_key", False):
            del definition["properties"][name]
            definition["required"] = [key for key in definition.get("required", []) if key != name]
            continue
        field["description"] = _join(describe_field(model, name), describe_field(model, name, "zh"))
        field.pop("title", None)
    if not definition.get("required"):
        definition.pop("required", None)


def _join(english: str, chinese: str) -> str:
    return f"{english}\n{chinese}" if chinese else english


def _loosen(schema: Any) -> Any:
    """Accept what the loader accepts: `yes` as a switch, digits without quotes as text."""
    if isinstance(schema, list):
        return [_loosen(value) for value in schema]
    if not isinstance(schema, dict):
        return schema
    loose = {key: _loosen(value) for key, value in schema.items() if key != "title" or not isinstance(value, str)}
    if schema.get("type") == "boolean":
        loose.pop("type")
        loose["enum"] = _SWITCHES
    if schema.get("type") == "string" and "enum" not in schema and "const" not in schema:
        loose["type"] = ["string", "number"]
    return loose


def list_models() -> Iterator[type[BaseModel]]:
    """Every model of the configuration."""
    for name in sorted(name for name in sys.modules if name.startswith("pbx.config.")):
        for value in vars(sys.modules[name]).values():
            if isinstance(value, type) and issubclass(value, BaseModel) and value.__module__ == name:
                yield value
