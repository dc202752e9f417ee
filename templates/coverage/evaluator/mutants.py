"""Small changes of Python source: operators, limits, constants, returns. And a disguise, drawn for each run.

The mutants are the same ones in every run; what they look like is not: `disguise` writes code anew that does the same.
A test that knows the right source, or a mutant, by its text or its byte code knows none of what it is run on, and fails
on the right code as well.
"""

import ast
import random
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


def sources(tree):
    """Names of the files that are mutated; `tree` as suite.files gives it."""
    found = {path.as_posix() for pattern in SOURCES for path in Path(".").glob(pattern)}
    return sorted(found & set(tree))


def mutants(tree):
    """(file, changed syntax tree), as many as the settings say."""
    found = []
    for name in sources(tree):
        text = tree[name][0]
        for number in range(len(list(ast.walk(ast.parse(text))))):
            changed = ast.parse(text)
            if _change(list(ast.walk(changed))[number]):
                found.append((name, changed))
    step = max(1.0, len(found) / MUTANTS)
    return [found[int(n * step)] for n in range(min(MUTANTS, len(found)))]


def disguise(syntax, draw):
    """Source that does what `syntax` says and is written as never before: statements and branches that do nothing, of
    drawn names and constants, in every body; `draw` is a random.Random."""
    for node in list(ast.walk(syntax)):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        for inner in [node, *(n for n in ast.walk(node) if isinstance(n, (ast.If, ast.For, ast.While, ast.With)))]:
            for body in filter(None, (inner.body, getattr(inner, "orelse", None))):
                # Not before a docstring, which is one only where it comes first.
                first = int(inner is node and ast.get_docstring(node, clean=False) is not None)
                body.insert(draw.randrange(first, max(first + 1, len(body))), _nothing(draw))
    return ast.unparse(ast.fix_missing_locations(syntax))


def _nothing(draw):
    name, number = f"_{draw.randrange(16**8):08x}", draw.randrange(2, 10**6)
    return draw.choice(
        [
            lambda: ast.parse(f"{name} = {number}"),
            lambda: ast.parse(f"{name} = [{number}, {draw.randrange(10**6)}]"),
            lambda: ast.parse(f"for {name} in range({draw.randrange(3)}):\n    {name} += {number}"),
            lambda: ast.parse(f"if {number} == {number + 1}:\n    {name} = {number}"),
        ]
    )().body[0]


def with_source(tree, name, text):
    return {**tree, name: (text.encode(), tree[name][1])}


def control(tree, draw):
    """The right code, disguised as the mutants are: the tests have to pass."""
    for name in sources(tree):
        tree = with_source(tree, name, disguise(ast.parse(tree[name][0]), draw))
    return tree


def planted(tree, mutant, draw):
    """The code with one mutant in it, all of it disguised."""
    name, syntax = mutant
    hidden = control({k: v for k, v in tree.items() if k != name}, draw)
    return {**tree, **hidden, name: (disguise(ast.parse(ast.unparse(syntax)), draw).encode(), tree[name][1])}


def plan(tree, seed, controls):
    """(whether the tests have to pass, a tree) for each mutant, with `controls` between them, in a drawn order."""
    draw = random.Random(seed)
    planned = [(False, mutant) for mutant in mutants(tree)] + [(True, None)] * controls
    for right, mutant in draw.sample(planned, len(planned)):
        yield right, control(tree, draw) if right else planted(tree, mutant, draw)
