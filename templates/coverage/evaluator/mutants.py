"""Small changes of Python source, always the same ones in the same order: operators, limits, constants, returns."""

import ast
from pathlib import Path

from settings import MUTANTS, SOURCES

SWAPS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Div,
    ast.And: ast.Or, ast.Or: ast.And, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip


def _change(node):
    """Mutates one node in place; whether it could."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
        node.ops[0] = SWAPS[type(node.ops[0])]()
    elif isinstance(node, (ast.BinOp, ast.BoolOp)) and type(node.op) in SWAPS:
        node.op = SWAPS[type(node.op)]()
    elif isinstance(node, ast.Constant) and type(node.value) in (int, bool):
        node.value = not node.value if isinstance(node.value, bool) else node.value + 1
    elif isinstance(node, ast.Return) and node.value is not None:
        node.value = ast.Constant(None)
    else:
        return False
    return True


def mutants(top):
    """(file, mutated text), as many as the settings say."""
    found = []
    for pattern in SOURCES:
        for path in sorted(Path(top).glob(pattern)):
            text = path.read_text()
            for number in range(len(list(ast.walk(ast.parse(text))))):
                tree = ast.parse(text)
                if _change(list(ast.walk(tree))[number]):
                    found.append((path.relative_to(top), ast.unparse(tree)))
    step = max(1.0, len(found) / MUTANTS)
    return [found[int(n * step)] for n in range(min(MUTANTS, len(found)))]
