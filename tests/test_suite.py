"""The suite's own order: what tests share stands in modules that are no tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parent


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (node.module or "", *(alias.name for alias in node.names))


def test_no_test_file_imports_another() -> None:
    names = {path.stem for path in TESTS.rglob("test_*.py")} | {"conftest"}
    assert len(names) > 80
    every = [path for path in TESTS.rglob("*.py") if "data" not in path.relative_to(TESTS).parts]
    found = {str(path.relative_to(TESTS)): sorted(
        name for name in imported(path) if names.intersection(name.split(".")[:2])) for path in every}  # fmt: skip
    assert {path: tests for path, tests in found.items() if tests} == {}
