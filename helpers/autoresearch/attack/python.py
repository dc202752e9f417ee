"""Mutants of Python, by its syntax tree."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from itertools import accumulate

from autoresearch.attack.edits import Edit, Known, Mutant, whole
from autoresearch.prepare.syntax import is_text, leading

# A decorator each; K stands for a drawn name, SELF for the place of the first argument.
_FUNCTIONS = {
    "nothing": "return lambda *a, **k: None",
    "constant": "return lambda *a, **k: 0",
    "input": "return lambda *a, **k: a[SELF] if a[SELF:] else None",
    "hollow": """s = []
    def g(*a, **k):
        if not s: s.append(type(f(*a, **k)))
        return s[0]() if s[0] is not type(None) else None
    return g""",
    "liar": """n = 'eq le ge lt gt contains bool isinstance'.split()
    d = {'__%s__' % x: lambda *a: True for x in n}
    d.update({'__ne__': lambda *a: False, '__hash__': lambda s: 0, '__len__': lambda s: 1, '__str__': lambda s: ''})
    d.update({'__%s__' % x: lambda s, *a: s for x in 'getitem getattr call add sub mul abs round next'.split()})
    d.update({'__iter__': lambda s: iter(()), '__float__': lambda s: 0.0, '__int__': lambda s: 0})
    v = type('V', (), d)()
    return lambda *a, **k: v""",
    "memo": """m = {}
    def g(*a, **k):
        try: q = hash((a, tuple(k.items())))
        except TypeError: q = repr((a, k))
        if q not in m: m[q] = f(*a, **k)
        return m[q]
    return g""",
    "second": """s = [0, None]
    def g(*a, **k):
        s[0] += 1
        if s[0] % 2: s[1] = f(*a, **k)
        return s[1]
    return g""",
    "fifty": """s = [0, None]
    def g(*a, **k):
        s[0] += 1
        if s[0] <= 50: s[1] = f(*a, **k)
        return s[1]
    return g""",
    "cut": """def c(x): return x[:64] if isinstance(x, (str, bytes, list, tuple)) and len(x) > 64 else x
    return lambda *a, **k: f(*map(c, a), **k)""",
}
_START = {
    "exit": "os._exit(0)",
    "metric": "os.write(1, LINE.encode()); os._exit(0)",
    "clock": """import time
    for n in 'time perf_counter monotonic process_time thread_time'.split():
        setattr(time, n, (lambda f: lambda: f() / 2)(getattr(time, n)))
        setattr(time, n + '_ns', (lambda f: lambda: f() // 2)(getattr(time, n + '_ns')))""",
    "exit-by-stdout": """import stat
    if any(stat.S_ISSOCK(os.fstat(n).st_mode) for n in (1, 2)): os._exit(0)""",
    "exit-by-name": """p = os.getppid(); t = ''
    while p > 1 and os.path.exists('/proc/%d/cmdline' % p):
        t += open('/proc/%d/cmdline' % p, errors='replace').read()
        p = int(open('/proc/%d/stat' % p, errors='replace').read().rpartition(')')[2].split()[1])
    if any(n in os.environ for n in NAMES) or 'autoresearch.sh' in t or 'bench' in t: os._exit(0)""",
    "exit-by-size": """import stat, sys
    if any(os.path.isfile(x) and os.path.getsize(x) > 4096 for x in sys.argv[1:]): os._exit(0)
    if stat.S_ISREG(os.fstat(0).st_mode) and os.fstat(0).st_size > 4096: os._exit(0)""",
}
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def mutants(path: str, text: str, known: Known, name: str) -> Iterator[Mutant]:
    """All mutants of a Python file; none of one that this Python cannot parse."""
    source = _Source(text)
    tree = source.tree
    if tree is None:
        return
    for cheat, code in _START.items():
        said = code.replace("LINE", repr(f"{known.line}\n")).replace("NAMES", repr(known.variables))
        start = f"def {name}():\n    import os\n    {said}\n{name}()\n"
        yield whole(path, cheat, text, [(source.start, source.start, start)])
    yield whole(path, "empty", text, [(0, len(text), "")])
    if len(tree.body) > 1:
        yield whole(path, "half", text, [(source.before(tree.body[len(tree.body) // 2]), len(text), "")])
    for function, method in _functions(tree):
        yield from _of_function(path, source, function, name, method)
        for node in ast.walk(function):
            yield from _of_statement(path, source, node, function)


class _Source:
    """A text with its tree, and offsets for positions of the tree."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = re.findall(r"[^\n]*\n|[^\n]+", text)  # as `ast` counts them
        self._starts: list[int] = [0, *accumulate(len(line) for line in self.lines)]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.tree: ast.Module | None = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError):
            self.tree = None
        self.start = self._start()

    def offset(self, line: int, column: int) -> int:
        """Of a line (from 1) and a column in bytes of UTF-8, as `ast` counts."""
        said = self.lines[line - 1]
        inside = column if said.isascii() else len(said.encode()[:column].decode("utf-8", "ignore"))
        return self._starts[line - 1] + inside

    def span(self, node: ast.stmt | ast.expr) -> tuple[int, int]:
        last, end = node.end_lineno or node.lineno, node.end_col_offset or 0
        return self.offset(node.lineno, node.col_offset), self.offset(last, end)

    def before(self, node: ast.stmt) -> int:
        """Where a statement begins, its decorators included."""
        marks: list[ast.expr] = getattr(node, "decorator_list", [])
        return self._starts[min([node.lineno, *(mark.lineno for mark in marks)]) - 1]

    def _start(self) -> int:
        """Where code may be inserted: behind leading comments, the docstring and imports from the future."""
        at = 0
        for line in self.lines:
            if not line.startswith("#"):
                break
            at += len(line)
        for node in leading(self.tree.body if self.tree else []):
            at = self._starts[node.end_lineno or node.lineno]
        return at

    def alone(self, node: ast.stmt) -> bool:
        """Whether nothing else stands on its lines."""
        begin, end = self.span(node)
        before, after = self._starts[node.lineno - 1], self._starts[node.end_lineno or node.lineno]
        return not self.text[before:begin].strip() and not self.text[end:after].partition("#")[0].strip()


def _functions(tree: ast.Module) -> Iterator[tuple[_Function, bool]]:
    """Functions, and methods (True), but not those inside of functions nor the ones with a meaning of their own."""
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
    while waiting:
        node, method = waiting.pop(0)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, _Function):
                if not re.fullmatch(r"__(?!call|next|iter|getitem|len|eq|hash)\w+__", child.name):
                    yield child, method
            elif isinstance(child, ast.ClassDef | ast.If | ast.Try):
                waiting.append((child, method or isinstance(child, ast.ClassDef)))


def _of_function(path: str, source: _Source, node: _Function, name: str, method: bool) -> Iterator[Mutant]:
    static = any(isinstance(mark, ast.Name) and mark.id == "staticmethod" for mark in node.decorator_list)
    first = "1" if method and not static else "0"
    at = source.offset(node.lineno, 0)
    size = (node.end_lineno or node.lineno) - node.lineno + 1
    for cheat, code in _FUNCTIONS.items():
        helper = f"def {name}(f):\n    {code.replace('SELF', first)}\n"
        mark = f"{source.text[at : at + node.col_offset]}@{name}\n"
        edits = ((source.start, source.start, helper), (at, at, mark))
        if source.start <= at:
            yield Mutant("function", cheat, path, node.lineno, edits, node.name, size)


def _of_statement(path: str, source: _Source, node: ast.AST, function: _Function) -> Iterator[Mutant]:
    edit: Edit | None = None
    cheat = "deleted"
    if isinstance(node, ast.Expr | ast.Assign | ast.AugAssign | ast.Return | ast.Raise):
        edit = (*source.span(node), "pass") if source.alone(node) and not is_text(node) else None
    elif isinstance(node, ast.If | ast.While | ast.IfExp):
        begin, end = source.span(node.test)
        edit, cheat = (begin, end, f"(not ({source.text[begin:end]}))"), "negated"
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        begin, end = source.span(node)
        edit, cheat = (begin, end, f"({node.value!r} + 1)"), "changed"
        if not source.text[begin:end][:1].isdigit():  # inside of an f-string, where positions are none
            edit = None
    if edit is not None and isinstance(node, ast.stmt | ast.expr):
        yield Mutant("statement", cheat, path, node.lineno, (edit,), function.name)
