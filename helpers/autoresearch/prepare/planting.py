"""Plants a slow-down in source code: every function that is planted takes `FACTOR` times as long, nothing else changes.

By the grammar in Python, and by where a body begins in languages with braces; what cannot be planted stays as it is.
The outermost planted function on the stack spins away what it took, so that nested ones do not count twice.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from autoresearch.prepare.syntax import closing, leading

FACTOR = 3
MOST_FILES, MOST_BYTES = 2_000, 500_000


def plant(tree: Path, names: Iterable[str]) -> int:
    """Slow the functions of the files `names` of `tree`; returns how many were planted."""
    found, packages = 0, {}
    for name in list(names)[:MOST_FILES]:
        path, language = tree / name, _LANGUAGES.get(PurePosixPath(name).suffix)
        if language is None or not path.is_file() or path.is_symlink() or path.stat().st_size > MOST_BYTES:
            continue
        text = path.read_text("utf-8", "surrogateescape")
        slow, count = _in_python(text) if language == "python" else _in_braces(text, language)
        if language == "go" and count:
            packages[path.parent] = re.search(r"(?m)^package (\w+)", text)
        if count:
            path.write_text(slow, "utf-8", "surrogateescape")
            found += count
    for place, package in packages.items():
        if package is not None:
            (place / "autoresearch_slow.go").write_text(_GO.replace("PACKAGE", package[1]))
    return found


_LANGUAGES = {
    ".py": "python", ".js": "js", ".mjs": "js", ".cjs": "js", ".ts": "js", ".go": "go",
    **dict.fromkeys((".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".hh"), "c"),
}  # fmt: skip
_PYTHON = f"""
import builtins, threading, time
state, now = threading.local(), time.perf_counter
def begin():
    depth = getattr(state, "depth", 0)
    if not depth:
        state.since = now()
    state.depth = depth + 1
def end():
    state.depth -= 1
    if not state.depth:
        until = now() + {FACTOR - 1} * (now() - state.since)
        while now() < until:
            pass
builtins.autoresearch_slow = begin, end
"""
_JS = f"""globalThis.autoresearchSlow||(globalThis.autoresearchSlow=(()=>{{let d=0,t=0;const n=()=>performance.now();\
return{{b(){{if(!d++)t=n()}},e(){{if(!--d){{const u=n()+{FACTOR - 1}*(n()-t);while(n()<u);}}}}}}}})());\
autoresearchSlow.b();"""
# Weak, so that all objects of a program share them; no header, so that what a file defines before it includes holds.
_C = f"""#ifndef AUTORESEARCH_SLOW
#define AUTORESEARCH_SLOW
#ifdef __cplusplus
extern "C" {{
#endif
struct ar_slow_time {{ long s, n; }};
extern int ar_slow_clock(int, struct ar_slow_time *) __asm__("clock_gettime");
__attribute__((weak)) __thread int ar_slow_depth = 0;
__attribute__((weak)) __thread double ar_slow_since = 0;
static __inline__ __attribute__((unused)) double ar_slow_now(void) {{
  struct ar_slow_time t; ar_slow_clock(1, &t); return (double)t.s + 1e-9 * (double)t.n; }}
static __inline__ __attribute__((unused)) int ar_slow_begin(void) {{
  if (!ar_slow_depth++) {{ ar_slow_since = ar_slow_now(); }}
  return 0; }}
static __inline__ __attribute__((unused)) void ar_slow_end(int *p) {{
  (void)p;
  if (!--ar_slow_depth) {{
    double now = ar_slow_now(), until = now + {FACTOR - 1} * (now - ar_slow_since);
    while (ar_slow_now() < until) {{ }} }} }}
#ifdef __cplusplus
}}
#endif
#endif
#line 1
"""
_C_ENTRY = " int ar_slow_v __attribute__((unused, cleanup(ar_slow_end))) = ar_slow_begin();"
_GO = f"""package PACKAGE

import (
	"sync/atomic"
	"time"
)

var autoresearchBusy int32

func autoresearchSlow() func() {{
	if !atomic.CompareAndSwapInt32(&autoresearchBusy, 0, 1) {{
		return func() {{}}
	}}
	began := time.Now()
	return func() {{
		until := time.Now().Add({FACTOR - 1} * time.Since(began))
		for time.Now().Before(until) {{
		}}
		atomic.StoreInt32(&autoresearchBusy, 0)
	}}
}}
"""


# --- Python


def _in_python(text: str) -> tuple[str, int]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return text, 0
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    slow = [f for f in functions if not any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in ast.walk(f))]
    for node in slow:
        head = leading(node.body)
        node.body = [*head, *_timed(node.body[len(head) :])]
    head = leading(tree.body)
    first = ast.parse(f"import builtins\nif not hasattr(builtins, 'autoresearch_slow'): exec({_PYTHON!r}, {{}})").body
    tree.body = [*head, *first, *_timed(tree.body[len(head) :])]
    return ast.unparse(ast.fix_missing_locations(tree)), len(slow) + 1


def _timed(body: list[ast.stmt]) -> list[ast.stmt]:
    call = "__import__('builtins').autoresearch_slow[{}]()"
    begin, end = (ast.parse(call.format(number)).body for number in (0, 1))
    return [*begin, ast.Try(body=body or [ast.Pass()], handlers=[], orelse=[], finalbody=end)]


# --- languages with braces

_NO_FUNCTION = {
    "if", "for", "while", "switch", "catch", "with", "return", "constexpr", "requires", "sizeof", "alignas", "foreach",
    "await", "typeof", "new", "else", "do",
}  # fmt: skip
_C_AFTER = r"(?:\s+(?:const|noexcept|override|final|volatile)\b|\s*&&?|\s*->\s*[\w:<>,&* ]+)*\s*$"


def _in_braces(text: str, language: str) -> tuple[str, int]:
    code = _blanked(text, language)
    bodies: list[int] = []
    end = 0
    for at in (found.start() for found in re.finditer(r"\{", code)):
        # Within a body of C, what looks like another is a macro's loop.
        if _begins(code, at, language) and (at >= end or language == "js"):
            bodies.append(at)
            end = closing(code, at) or 0
    mains = [at for at in bodies if re.search(r"\b(?:main|init)\s*\([^()]*\)[^(){}]*$", code[max(0, at - 200) : at])]
    # The whole program is one call of main, and what ends it need not come back there.
    bodies = [at for at in bodies if at not in mains] or bodies
    edits: list[tuple[int, str]] = []
    for at in bodies:
        if language == "js":
            close = closing(code, at)
            if close is not None:
                edits += [(at + 1, "autoresearchSlow.b();try{"), (close, "}finally{autoresearchSlow.e()}")]
        else:
            edits.append((at + 1, _C_ENTRY if language == "c" else " defer autoresearchSlow()();"))
    for at, more in sorted(edits, reverse=True):
        text = text[:at] + more + text[at:]
    if language == "c" and edits:
        text = _C + text
    if language == "js":
        line = re.match(r"#!.*\n", text)
        at = line.end() if line else 0
        strict = "'use strict';" if re.match(r"""(?:\s|//.*\n|/\*[\s\S]*?\*/)*['"]use strict['"]""", text[at:]) else ""
        text = f"{text[:at]}{strict}{_JS}{text[at:]}\n;autoresearchSlow.e();\n"
        return text, len(bodies) + 1
    return text, len(bodies)


def _begins(code: str, at: int, language: str) -> bool:
    """Whether the brace at `at` begins a function that may be planted."""
    line = code[code.rfind("\n", 0, at) + 1 : at]
    if language == "go":
        return bool(re.match(r"func\b[^{}]*$", line))
    before = code[max(0, at - 2000) : at].rstrip()
    if language == "js":
        arrow = before.endswith("=>")
        before = re.sub(r"\)\s*:\s*[\w<>\[\]., |]+$", ")", before[:-2].rstrip() if arrow else before)
        if arrow and re.search(r"[\w$]$", before):
            return not re.search(r"\basync\s+[\w$]+$", before)
    else:
        arrow, before = False, re.sub(r"\)" + _C_AFTER, ")", before)
    depth = 0
    for where in range(len(before) - 1, -1, -1):
        depth += (before[where] == ")") - (before[where] == "(")
        if not depth:
            break
    if not before.endswith(")") or depth:
        return False
    head = before[:where].rstrip()
    if language == "js" and re.search(r"\basync\s*(?:function\b)?\s*[\w$]*$|\*\s*[\w$]*$", head):
        return False
    if arrow:
        return True
    word = re.search(r"[\w$]+$", head)
    if word is None or word[0] in _NO_FUNCTION:
        return False
    return not re.search(r"\b(?:constexpr|consteval|naked)\b", re.split(r"[;{}]", head)[-1])


_APART = re.compile(
    r"//[^\n]*|/\*[\s\S]*?\*/"
    r'|"(?:\\[\s\S]|[^"\\\n])*"'
    r"|'(?:\\[\s\S]|[^'\\\n])*'"
    r"|`(?:\\[\s\S]|[^`\\])*`"
    # In JavaScript, a slash where no value has ended begins a pattern.
    r"|(?<=[(,=:\[!&|?{};\n])[ \t]*/(?![*/ ])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/"
)


def _blanked(text: str, language: str) -> str:
    """The text with comments, strings and patterns as spaces, so that every brace that is left is one."""

    def spaces(found: re.Match[str]) -> str:
        pattern = found[0].lstrip()[:1] == "/" and not re.match(r"\s*/[/*]", found[0])
        return found[0] if pattern and language != "js" else re.sub(r"[^\n]", " ", found[0])

    code = _APART.sub(spaces, text)
    return re.sub(r"\b(?:interface|struct)\{\}", spaces, code) if language == "go" else code
