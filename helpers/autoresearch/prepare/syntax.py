"""What a rewriter of source text has to know: what stays in front of a Python body, where a brace is closed. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from itertools import takewhile


def leading(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """The statements that have to stay in front: the docstring, and imports from __future__."""
    return list(takewhile(lambda node: is_text(node) or _is_future(node), body))


def is_text(node: ast.AST) -> bool:
    """Whether a statement is nothing but a text."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def closing(code: str, at: int) -> int | None:
    """The offset of the brace that closes the one at `at`; strings and comments of `code` are blanked."""
    depth = 0
    for found in re.finditer(r"[{}]", code[at:]):
        depth += 1 if found[0] == "{" else -1
        if not depth:
            return at + found.start()
    return None
