"""The generated description: sound, complete, and as it is written in docs/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pbx.cti.asyncapi import make_asyncapi
from pbx.cti.commands import COMMANDS
from pbx.events.catalogue import AnyEvent
from tools.docs import PAGES, ROOT

DOCUMENT = make_asyncapi()


def test_every_reference_leads_somewhere() -> None:
    def check(node: Any) -> None:
        if isinstance(node, list):
            for value in node:
                check(value)
        elif isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                found: Any = DOCUMENT
                for step in node["$ref"].removeprefix("#/").split("/"):
                    assert step in found, node["$ref"]
                    found = found[step]
            for value in node.values():
                check(value)

    check(DOCUMENT)


def test_every_command_and_event_is_described() -> None:
    schemas, operations = DOCUMENT["components"]["schemas"], DOCUMENT["operations"]
    for name, kind in COMMANDS.items():
        assert operations[name]["summary"] and operations[name]["x-roles"]
        assert operations[name]["action"] == "receive" and operations[name]["reply"]["messages"]
        assert set(schemas[name]["properties"]) == set(kind.__struct_fields__)
        assert schemas[name]["additionalProperties"] is False
    sent = {reference["$ref"].rpartition("/")[2] for reference in operations["events"]["messages"]}
    assert sent == {kind.__name__ for kind in AnyEvent.__args__}
    for kind in AnyEvent.__args__:
        assert DOCUMENT["components"]["messages"][kind.__name__]["x-roles"]
        assert {"type", *kind.__struct_fields__} == set(schemas[kind.__name__]["properties"])


@pytest.mark.parametrize("name", ["docs/cti.md", "docs/cti-asyncapi.json"])
def test_what_is_written_is_what_the_code_says(name: str) -> None:
    path: Path = ROOT / name
    assert path.read_text("utf-8") == PAGES[name](path), f"{name} is out of date: run make docs"


def test_the_document_is_plain_json() -> None:
    assert json.loads(json.dumps(DOCUMENT))["asyncapi"] == "3.0.0"


def test_the_page_names_every_command_and_event() -> None:
    text = (ROOT / "docs/cti.md").read_text("utf-8")
    for kind in (*COMMANDS.values(), *AnyEvent.__args__):
        assert f"| `{kind.__name__}` |" in text
