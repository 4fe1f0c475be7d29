"""`make schemas`: the JSON Schemas that are kept in the repository."""

from __future__ import annotations

import json
from pathlib import Path

from pbx.cli.schemas import format_schemas
from pbx.ivr.json_schema import make_case_schema, make_flow_schema

ROOT = Path(__file__).parents[1]


def make_files() -> dict[str, str]:
    """The text of each file by its path from the root."""
    files = {f"config/schemas/{kind}.schema.json": text for kind, text in format_schemas().items()}
    for name, schema in (("flow", make_flow_schema()), ("cases", make_case_schema())):
        files[f"ivr_flows/{name}.schema.json"] = json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
    return files


def main() -> None:
    for name, text in make_files().items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"{name}: written")


if __name__ == "__main__":
    main()
