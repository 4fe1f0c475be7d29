"""`make docs`: the generated parts of docs/.

A page is generated as a whole, or from a marker line down; `PAGES` says by what. A test compares what is written with
what would be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tools import docs_cti, docs_ivr
from tools.docs_configuration import BEGIN, write_reference

ROOT = Path(__file__).parents[1]


def _append_reference(path: Path, language: str) -> str:
    head = path.read_text("utf-8").partition(BEGIN)[0] if path.exists() else ""
    return head + write_reference(language)


def _append_verbs(path: Path, language: str) -> str:
    head = path.read_text("utf-8").partition(docs_ivr.BEGIN)[0] if path.exists() else ""
    return head + docs_ivr.write_reference(language)


PAGES: Mapping[str, Callable[[Path], str]] = {
    "docs/configuration.md": lambda path: _append_reference(path, "en"),
    "docs/configuration.zh-CN.md": lambda path: _append_reference(path, "zh"),
    "docs/ivr.md": lambda path: _append_verbs(path, "en"),
    "docs/ivr.zh-CN.md": lambda path: _append_verbs(path, "zh"),
    "docs/cti.md": docs_cti.write_page,
    "docs/cti-asyncapi.json": docs_cti.write_asyncapi,
}
"""By path from the root: makes the page's text, given where it stands now."""


def main() -> None:
    for name, make in PAGES.items():
        path = ROOT / name
        text = make(path)
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"{name}: written")


if __name__ == "__main__":
    main()
