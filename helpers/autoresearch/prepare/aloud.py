"""A benchmark's Python script rewritten so that it says what it computes, as templates/loud.py tells. Pure."""

from __future__ import annotations

import ast
import re
import shlex
import sys
from collections.abc import Iterable

from autoresearch.prepare.syntax import leading

MODULE = "aloud.py"


def script_of(command: str) -> tuple[str, list[str]] | None:
    """(the script, its arguments) of a command that is `python3 SCRIPT ...`, `python3 -c CODE` or a run of the tests by
    unittest or pytest; None for others.

    The script is a path, or the code itself, which begins with a line end then.
    """
    if re.search(r"[;&|<>$`\\\n]", command):
        return None
    words = shlex.split(command)
    if len(words) >= 3 and words[:2] == ["python3", "-c"]:
        return "\n" + words[2], words[3:]
    if len(words) >= 3 and words[:2] == ["python3", "-m"] and words[2] in ("unittest", "pytest"):
        return f"\nimport runpy\nrunpy.run_module({words[2]!r}, run_name='__main__', alter_sys=True)", words[3:]
    if len(words) >= 2 and words[0] == "python3" and words[1].endswith(".py"):
        return words[1], words[2:]
    return None


def aloud(name: str, text: str) -> str:
    """The script `name` ("" for code) with the project's calls said; "" where it cannot be rewritten."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return ""
    said = _Said(_roots(tree))
    said.visit(tree)
    head = len(leading(tree.body))
    begin = f"import loud as _loud\n_said = _loud.begin({name!r})\n" + (f"__file__ = {name!r}\n" if name else "")
    tree.body[head:head] = ast.parse(begin).body
    return f"# Written by autoresearch init --plan from {name or 'the command'}: see loud.py.\n{ast.unparse(tree)}\n"


def _roots(tree: ast.Module) -> set[str]:
    """Names that hold something of the project, or what it has given: neither built in nor of the standard library."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(a.asname or a.name.split(".")[0] for a in node.names if _ours(a.name))
        elif isinstance(node, ast.ImportFrom) and (node.level or _ours(node.module or "")):
            names.update(a.asname or a.name for a in node.names)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names.add(node.name)
    before = -1
    while before != len(names):
        before = len(names)
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and _root(node.value) in names:
                names.update(_targets(node.targets))
            elif isinstance(node, ast.With):
                names.update(
                    name for item in node.items if item.optional_vars and _root(item.context_expr) in names
                    for name in _targets([item.optional_vars])
                )  # fmt: skip
    return names


def _ours(module: str) -> bool:
    return module.split(".")[0] not in sys.stdlib_module_names


def _targets(nodes: Iterable[ast.expr]) -> set[str]:
    return {node.id for target in nodes for node in ast.walk(target) if isinstance(node, ast.Name)}


def _root(node: ast.expr) -> str:
    """The name that a chain of calls, attributes and items begins with."""
    while isinstance(node, (ast.Call, ast.Attribute, ast.Subscript, ast.Await)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


class _Said(ast.NodeTransformer):
    """Passes what a statement makes of a project's call through `_said`."""

    def __init__(self, names: set[str]) -> None:
        self._names, self._places = names, 0

    def _through(self, value: ast.expr) -> ast.expr:
        if not isinstance(value, (ast.Call, ast.Await)) or _root(value) not in self._names:
            return value
        self._places += 1
        place = ast.Constant(self._places)
        return ast.copy_location(ast.Call(ast.Name("_said", ast.Load()), [place, value], []), value)

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        node.value = self._through(node.value)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.Assign:
        node.value = self._through(node.value)
        return node

    def visit_Return(self, node: ast.Return) -> ast.Return:
        node.value = self._through(node.value) if node.value else None
        return node
