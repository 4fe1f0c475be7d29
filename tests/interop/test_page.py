"""docs/interop.md stays true: its lines name tests there are, and every test of another stack has a line."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "interop.md"
STACKS = ("register", "pjsua2", "sipp", "baresip", "linphone", "kamailio")
TRANSPORTS = {"UDP", "TCP", "TLS"}


def find_tests() -> dict[str, ast.AsyncFunctionDef | ast.FunctionDef]:
    """``file::function`` of every test of the stacks."""
    found = {}
    for stack in STACKS:
        file = HERE / f"test_{stack}.py"
        for node in ast.parse(file.read_text("utf-8")).body:
            if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef) and node.name.startswith("test_"):
                found[f"{file.name}::{node.name}"] = node
    return found


def find_lines() -> list[tuple[str, set[str]]]:
    """Test and transports of every line of the table."""
    lines = []
    for line in PAGE.read_text("utf-8").splitlines():
        match = re.fullmatch(r"\|.*\| `(test_\S+)` \|", line)
        if match is not None:
            lines.append((match[1], set(line.split("|")[3].strip().split(", "))))
    return lines


def test_every_line_names_a_test_and_every_test_has_a_line() -> None:
    named = {name for name, _ in find_lines()}
    assert named == find_tests().keys()


def test_a_line_claims_no_transport_that_its_test_does_not_use() -> None:
    """The transports of a line stand in the parameters of its test, or it is UDP alone."""
    tests = find_tests()
    constants = {name: ast.dump(node) for name, node in _find_assignments().items()}
    for name, transports in find_lines():
        assert transports <= TRANSPORTS, name
        node = tests[name]
        parameters = " ".join(ast.dump(item) for item in node.decorator_list)
        for constant, value in constants.items():
            parameters += value if f"id='{constant}'" in parameters else ""
        if "'transport'" in parameters or "'outer'" in parameters:
            missing = [item for item in transports if f"'{item.lower()}'" not in parameters]
            assert not missing, f"{name} is not run over {missing}"
        else:
            assert transports == {"UDP"}, name


def _find_assignments() -> dict[str, ast.expr]:
    found = {}
    for stack in STACKS:
        for node in ast.parse((HERE / f"test_{stack}.py").read_text("utf-8")).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                found[node.targets[0].id] = node.value
    return found
