"""Rules about the sources that no linter has: size of files, docstrings, stubs of compiled modules."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("pbx", "media", "tests", "tools")
MAX_LINES = 700
"""Hard cap for every source file, without exceptions: what outgrows it holds more than one concern."""


def sources(*suffixes: str, under: tuple[str, ...] = OURS) -> list[str]:
    return sorted(
        str(path.relative_to(ROOT))
        for folder in under
        for suffix in suffixes
        for path in (ROOT / folder).rglob(f"*{suffix}")
        if "__pycache__" not in path.parts
    )


def parse(name: str) -> ast.Module:
    return ast.parse((ROOT / name).read_text("utf-8"), name)


@pytest.mark.parametrize("name", sources(".py", ".pyx"))
def test_file_is_small(name: str) -> None:
    lines = len((ROOT / name).read_text("utf-8").splitlines())
    assert lines <= MAX_LINES, f"{name} has {lines} lines, more than {MAX_LINES}: split it by concern"


@pytest.mark.parametrize("name", sources(".py", under=("pbx", "media", "tools")))
def test_module_has_docstring(name: str) -> None:
    assert ast.get_docstring(parse(name)), f"{name} does not say what its job is"


@pytest.mark.parametrize("name", [n for n in sources(".py", under=("pbx", "media")) if not n.startswith("pbx/cli/")])
def test_no_print(name: str) -> None:
    calls = [
        node.lineno
        for node in ast.walk(parse(name))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not calls, f"{name} prints on lines {calls}: log it, or return it"


def test_every_folder_is_a_package() -> None:
    folders = {(ROOT / name).parent for name in sources(".py", ".pyx", under=("pbx", "media"))}
    missing = sorted(str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").exists())
    assert not missing, "without __init__.py these are not installed"


def test_every_compiled_module_has_a_stub() -> None:
    missing = [name for name in sources(".pyx") if not (ROOT / name).with_suffix(".pyi").exists()]
    assert not missing, "callers and mypy read the .pyi of a compiled module"
