"""`make schemas`: the JSON Schemas that are kept in the repository."""

from __future__ import annotations

from pathlib import Path

from pbx.cli.schemas import format_schemas

ROOT = Path(__file__).parents[1]


def make_files() -> dict[str, str]:
    """The text of each file by its path from the root."""
    return {f"config/schemas/{kind}.schema.json": text for kind, text in format_schemas().items()}


def main() -> None:
    for name, text in make_files().items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"{name}: written")


if __name__ == "__main__":
    main()
