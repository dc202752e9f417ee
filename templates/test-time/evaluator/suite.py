"""The tests in copies of the project: timed, or asked which bugs they find, by the word on stdin. One script for both.

The tests are the candidate's own and may do anything in their process. So what they say is believed only as far as they
find bugs: PLANTED ones, and small ones that are drawn. Every copy's sources differ in text without effect, the timed
ones too: tests that know the sources by heart, instead of testing them, know none of these.
"""

from signed_metric import metric

import ast
import io
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import tokenize
from pathlib import Path
from xml.etree import ElementTree

import paired
from settings import COMMAND, ENVIRONMENT, LEAST_TESTS, MUTANTS, PLANTED, ROUNDS, SOURCES

HERE = Path(__file__).resolve().parent
REFERENCE = HERE / "reference"
ASIDE = shutil.ignore_patterns(".git", ".autoresearch", "evaluator", "__pycache__")
SWAPS = {"+": "-", "-": "+", "*": "+", "/": "*", "<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
SWAPS.update({"and": "or", "or": "and", "True": "False", "False": "True", "in": "not in"})


def vary(text, rng):
    """The same Python with another text and other code, but no other effect: variables that nobody reads."""
    lines, places = text.splitlines(True), []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[1 if ast.get_docstring(node) and len(node.body) > 1 else 0]
            if first.lineno > node.lineno and not lines[first.lineno - 1][: first.col_offset].strip():
                places.append((getattr(first, "decorator_list", None) or [first])[0].lineno)
    for place in sorted(places, reverse=True):
        line = lines[place - 1]
        indent = line[: len(line) - len(line.lstrip())]
        lines.insert(place - 1, "%s_%x = %d\n" % (indent, rng.getrandbits(32), rng.getrandbits(16)))
    return "".join(lines) + "\n# %x\n" % rng.getrandbits(32)


def mutate(text, rng):
    """One operator, number or constant of the Python changed; None where there is none."""
    found = []
    for kind, word, (row, at), (_, end), _ in tokenize.generate_tokens(io.StringIO(text).readline):
        other = SWAPS.get(word) if kind in (tokenize.OP, tokenize.NAME) else None
        if kind == tokenize.NUMBER and word.isdigit():
            other = str(int(word) + 1)
        if other:
            found.append((row - 1, at, end, other))
    while found:
        row, at, end, other = found.pop(rng.randrange(len(found)))
        lines = text.splitlines(True)
        lines[row] = lines[row][:at] + other + lines[row][end:]
        try:
            ast.parse("".join(lines))
        except SyntaxError:
            continue
        return "".join(lines)
    return None


def suite_of(top, rng, planted=None, limit=600.0):
    """(seconds, outcomes by test) in a fresh copy of `top`, after `planted`, {file: text}; outcomes are None where the
    runner failed without a report of a failed test."""
    with tempfile.TemporaryDirectory() as scratch:
        tree, home = (Path(scratch, "%x" % rng.getrandbits(40)) for _ in "12")
        shutil.copytree(top, tree, ignore=ASIDE, symlinks=True)
        home.mkdir()
        shutil.copy(HERE / "ran.py", home)
        for name, text in (planted or {}).items():
            (tree / name).write_text(text)
        for source in sorted(tree.glob(SOURCES or "none")):
            source.write_text(vary(source.read_text(), rng))
        report = home / ("%x.xml" % rng.getrandbits(40))
        words = [word.replace("{report}", str(report)).replace("{here}", str(home)) for word in COMMAND]
        env = dict(paired.environments()[0], **ENVIRONMENT, HOME=str(home), TMPDIR=str(home))
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        began = time.perf_counter()
        try:
            code = subprocess.run(words, cwd=tree, env=env, timeout=limit, **streams).returncode
        except subprocess.TimeoutExpired:
            return limit, {"a test that does not end": "failure"}
        seconds = time.perf_counter() - began
        paired.left_behind()
        try:
            cases = list(ElementTree.parse(report).iter("testcase"))
        except (OSError, ElementTree.ParseError):
            return seconds, None
    outcomes = {}
    for case in cases:
        inside = {child.tag for child in case} & {"failure", "error", "skipped"}
        name = ".".join(filter(None, (case.get("classname"), case.get("name"))))
        outcomes[name] = min(inside, default="passed")
    failed = any(outcome in ("failure", "error") for outcome in outcomes.values())
    return seconds, outcomes if failed == bool(code) else None


def passed(outcomes):
    """The names of the tests, all of which have to pass."""
    if outcomes is None or len(outcomes) < LEAST_TESTS or set(outcomes.values()) != {"passed"}:
        odd = "no report" if outcomes is None else [n for n, said in outcomes.items() if said != "passed"][:3]
        sys.exit(f"the tests fail, are skipped, or are fewer than {LEAST_TESTS}: {odd or len(outcomes)}")
    return set(outcomes)


def finds(outcomes):
    return outcomes is not None and not {"failure", "error"}.isdisjoint(outcomes.values())


def timed(rng):
    seconds = 0.0
    for _ in range(ROUNDS):
        took, outcomes = suite_of(".", rng)
        passed(outcomes)
        seconds += took
    metric("tests_s", round(seconds / ROUNDS, 6))


def checked(rng):
    took, outcomes = suite_of(REFERENCE, rng)
    wanted, limit = passed(outcomes), 20 + 10 * took
    plans = [(None, None), (None, None)]  # nothing is wrong
    for name, right, wrong in PLANTED:
        text = Path(name).read_text()
        if right not in text:
            sys.exit(f"{name} no longer holds {right!r}: mend PLANTED")
        plans.append(({name: text.replace(right, wrong)}, wrong))
    sources = sorted(str(path) for path in Path().glob(SOURCES or "none"))
    for _ in range(MUTANTS if sources else 0):
        name = rng.choice(sources)
        text = mutate(Path(name).read_text(), rng)
        if text and finds(suite_of(REFERENCE, rng, {name: text}, limit)[1]):
            plans.append(({name: text}, "a drawn one, which was found at the start"))
    rng.shuffle(plans)
    for planted, what in plans:
        _, outcomes = suite_of(".", rng, planted, limit)
        if planted is None:
            gone = wanted - passed(outcomes)
            if gone:
                sys.exit(f"tests are gone: {sorted(gone)[:3]}")
        elif not finds(outcomes):
            sys.exit(f"no test finds this bug in {next(iter(planted))}: {what}")


paired.adopt_orphans()
word, seed = sys.stdin.read().strip(), os.environ.get("AUTORESEARCH_LAYOUT_SEED", "1")
{"time": timed, "check": checked}[word](random.Random(word + seed))
