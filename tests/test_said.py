"""Checks that pass must say what they say for the base: real runners, and programs that end or fake them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from autoresearch.config import Config, Objective
from autoresearch.judging.outcome import read_outcome
from autoresearch.judging.weighing import weigh
from autoresearch.verdict.rule import Rule
from driver import Driver
from trial_helpers import Ran, make_tree, noisy, run_trial, spec

PROGRAM = "def double(x):\n    return 2 * x\n"
PYTEST = """
import pytest
from lib import double


@pytest.mark.parametrize("x", range(5))
def test_double(x):
    assert double(x) == x + x


def test_nought():
    assert double(0) == 0
"""
UNITTEST = """
import unittest
from lib import double


class Doubles(unittest.TestCase):
    def test_two(self):
        self.assertEqual(double(2), 4)

    def test_three(self):
        self.assertEqual(double(3), 6)


if __name__ == "__main__":
    unittest.main()
"""
NODE = """
const test = require("node:test");
const assert = require("node:assert");
const lib = require("./lib.js");
test("two", () => assert.equal(lib.double(2), 4));
test("three", () => assert.equal(lib.double(3), 6));
"""
SHELL = """
set -eu
for x in 1 2 3; do
    [ "$(sh lib.sh $x)" = $((x + x)) ]
    echo "case $x: ok, in 0.0$$ s"
done
echo "3 cases compared"
"""
# Writes its own report, of what it was asked.
XML = """
import time
from xml.sax.saxutils import quoteattr
from lib import double
names = ["two", "three"]
assert double(2) == 4 and double(3) == 6
with open("report.xml", "w") as file:
    cases = "".join("<testcase classname='c' name=%s time='%f'/>" % (quoteattr(n), time.time()) for n in names)
    file.write("<testsuites><testsuite name='s'>" + cases + "</testsuite></testsuites>")
"""
PYTHON = sys.executable
RUNNERS = {
    "pytest": ({"lib.py": PROGRAM, "test_lib.py": PYTEST}, f"{PYTHON} -m pytest -q -p no:cacheprovider", 6),
    "unittest": ({"lib.py": PROGRAM, "test_lib.py": UNITTEST}, f"{PYTHON} -m unittest", 2),
    "node": ({"lib.js": "exports.double = x => 2 * x;\n", "lib.test.js": NODE}, "node --test", 2),
    "shell": ({"lib.sh": "echo $(($1 * 2))\n", "checks.sh": SHELL}, "sh checks.sh", None),
    "xml": ({"lib.py": PROGRAM, "check.py": XML}, f"{PYTHON} check.py", 2),
}
# (runner, file, what stands in it, a word of the reason)
CHEATS = [
    ("pytest", "lib.py", "import os\nos._exit(0)\n", "test_lib::test_double[0] did not pass"),
    ("pytest", "lib.py", "import os\nprint('6 passed in 0.01s', flush=True)\nos._exit(0)\n", "did not pass"),
    ("pytest", "test_lib.py", "def test_nought():\n    print('6 passed in 0.01s')\n", "1 passed by pytest, 6 at"),
    ("pytest", "test_lib.py",
     "def test_nought(capfd):\n    with capfd.disabled():\n        print('\\n6 passed in 0.01s')\n", "1 passed by"),
    ("pytest", "test_lib.py", PYTEST.replace("def test_nought", "@pytest.mark.skip\ndef test_nought"), "5 passed"),
    ("pytest", "test_lib.py", PYTEST.replace("range(5)", "range(4)"), "test_double[4] did not pass"),
    ("unittest", "lib.py", "import os\nos._exit(0)\n", "0 passed by unittest, 2 at the base"),
    ("unittest", "test_lib.py", UNITTEST.replace("    def test_two", "    @unittest.skip('')\n    def test_two"),
     "1 passed"),
    ("unittest", "test_lib.py", UNITTEST.replace("def test_two", "def of_two").replace("import unit",
     "import sys\nsys.stderr.write('Ran 2 tests in 0.000s\\n\\nOK\\n')\nimport unit"), "1 passed by unittest, 2 at"),
    ("node", "lib.js", "process.exit(0)\n", "passed by node, 2 at the base"),
    ("node", "lib.test.js", NODE.replace('test("two"', 'test.skip("two"'), "1 passed by node"),
    ("shell", "checks.sh", "exit 0\n", "'case #: ok, in' 0 times, 3 at the base"),
    ("shell", "checks.sh", SHELL.replace("3 cases", "2 cases"), "2 in '# cases compared', 3 at the base"),
    ("shell", "checks.sh", SHELL.replace("1 2 3", "1 2"), "'case #: ok, in' 2 times, 3 at the base"),
    ("xml", "check.py", XML.replace(', "three"]', "]"), "c::three did not pass"),
    ("xml", "lib.py", "import os\nos._exit(0)\n", "c::three did not pass; c::two did not pass"),
]  # fmt: skip
HONEST = [
    ("pytest", "lib.py", "import warnings\nwarnings.warn('old')\ndef double(x):\n    return x + x\n"),
    ("pytest", "test_lib.py", PYTEST.replace("range(5)", "reversed(range(7))")),
    ("unittest", "test_lib.py", UNITTEST.replace("    def test_two", "    def test_nought(self):\n        pass\n\n"
                                                 "    def test_two")),
    ("node", "lib.test.js", NODE + 'test("four", () => assert.equal(lib.double(4), 8));\n'),
    ("node", "lib.js", "console.log('loaded');\nexports.double = x => x + x;\n"),
    ("shell", "checks.sh", SHELL.replace("1 2 3", "3 1 2 4").replace("3 cases", "4 cases")),
    ("shell", "lib.sh", "echo $(($1 + $1)); echo 'lib.sh: warning: old' >&2\n"),
    ("xml", "check.py", XML.replace('"two", "three"', '"three", "four", "two"')),
]  # fmt: skip


def play(where: Path, runner: str, mode: str = "ab", said: str = "", **changes: str) -> Ran:
    """A trial of a project with this runner, `changes` of whose files are the candidate's (with __ for a dot)."""
    files, command, _ = RUNNERS[runner]
    if runner == "node" and shutil.which("node") is None:
        pytest.skip("no node here")
    base = make_tree(where / "A", noisy(1.0), **{name.replace(".", "__"): text for name, text in files.items()})
    candidate = make_tree(where / "B", noisy(0.5), **{n.replace(".", "__"): t for n, t in files.items()})
    for name, text in changes.items():
        (candidate / name.replace("__", ".")).write_text(text)
    asked = spec(mode, checks=command, compare=["checks", "benchmark"], said=said, layout="fixed")
    return run_trial(where / "t", asked, base, None if mode == "noise" else candidate)


def at_baseline(where: Path, runner: str) -> dict[str, object]:
    (checks,) = play(where, runner, "noise").of("checks")
    assert checks["status"] == "passed"
    return dict(checks["heard"])


@pytest.mark.parametrize("runner", RUNNERS)
def test_the_base_says_the_same_each_time_and_a_candidate_that_does_is_not_run_again(
    tmp_path: Path, runner: str
) -> None:
    said = at_baseline(tmp_path / "base", runner)
    assert (said["stable"], said["passed"]) == (True, RUNNERS[runner][2]), said
    assert "silent" not in said
    ran = play(tmp_path / "ab", runner, said=str(said["digest"]))
    (checks,) = ran.of("checks")
    assert (ran.end["status"], checks["heard"]["result"]) == ("done", "same"), ran.lines
    again = play(tmp_path / "again", runner)
    assert (again.end["status"], again.of("checks")[0]["heard"]["result"]) == ("done", "same")
    assert again.of("checks")[0]["heard"]["base"] == RUNNERS[runner][2]


@pytest.mark.parametrize(("runner", "file", "text", "words"), CHEATS)
def test_checks_that_say_less_are_no_checks(tmp_path: Path, runner: str, file: str, text: str, words: str) -> None:
    ran = play(tmp_path, runner, **{file.replace(".", "__"): text})
    (checks,) = ran.of("checks")
    assert ran.end["status"] == "checks_failed", ran.lines
    assert checks["heard"]["result"] == "less"
    assert words in ran.end["error"] + "; ".join(checks["heard"]["missing"])
    assert ran.end["error"].startswith("checks passed, but say less than at the base: ")
    assert not ran.of("sample")


@pytest.mark.parametrize(("runner", "file", "text"), HONEST)
def test_more_tests_another_order_and_warnings_are_no_matter(tmp_path: Path, runner: str, file: str, text: str) -> None:
    ran = play(tmp_path, runner, **{file.replace(".", "__"): text})
    assert ran.end["status"] == "done", ran.end
    assert ran.of("checks")[0]["heard"]["result"] in ("same", "more")


BENCHMARK = """
echo "warming up 3 times"
echo "verified {answers} answers in 0.$RANDOM s"
{more}echo "METRIC time_s={seconds}$RANDOM"
"""


@pytest.mark.parametrize(
    ("answers", "more", "lost"),
    [
        (100, 'echo "digest: 0badf00d"\n', ""),
        (120, 'echo "digest: 0badf00d"\necho "a note"\n', ""),
        (90, 'echo "digest: 0badf00d"\n', "90 in 'verified # answers in', 100 at the base"),
        (100, 'echo "digest: 0badf11d"\n', "'digest: 0badf00d' 0 times, 1 at the base"),
        (100, "", "'digest: 0badf00d' 0 times, 1 at the base"),
        (100, '[ $((RANDOM % 30)) = 0 ] || echo "digest: 0badf00d"\n', ""),
    ],
)
def test_what_a_benchmark_says_is_compared(tmp_path: Path, answers: int, more: str, lost: str) -> None:
    base = BENCHMARK.format(answers=100, more='echo "digest: 0badf00d"\n', seconds="1.0")
    candidate = BENCHMARK.format(answers=answers, more=more, seconds="0.5")
    trees = [make_tree(tmp_path / side, "set -u\n" + text) for side, text in (("A", base), ("B", candidate))]
    ran = run_trial(tmp_path / "t", spec("ab", compare=["benchmark"]), *trees)
    assert ran.end["status"] == "done"
    found = ran.of("unsaid")
    assert [one["missing"] for one in found] == ([[lost]] if lost else [])
    assert not found or found[0]["runs"] == found[0]["of"]
    outcome = read_outcome(ran.records, Rule.preset("default", alpha=0.02))
    assert outcome.verdict is not None
    assert outcome.verdict.verdict == "keep"
    verdict = weigh(Config("t", Objective("time_s")), outcome, Rule.preset("default", alpha=0.02), 0).verdict
    assert verdict is not None
    assert verdict.reason == ("other_output" if lost else "proven"), verdict


def test_nothing_is_compared_where_that_is_switched_off(tmp_path: Path) -> None:
    cheat = make_tree(tmp_path / "B", noisy(0.5))
    asked = spec("ab", checks="[ ! -e base ] || echo tested", compare=[])
    ran = run_trial(tmp_path / "t", asked, make_tree(tmp_path / "A", noisy(1.0), base=""), cheat)
    assert ran.end["status"] == "done"
    assert "heard" not in ran.of("checks")[0]
    ran = run_trial(tmp_path / "u", {**asked, "compare": ["checks"]}, tmp_path / "A", cheat)
    assert "'tested' 0 times, 1 at the base" in ran.end["error"]


def test_a_base_that_says_something_else_each_time_is_no_evidence(tmp_path: Path) -> None:
    words = "head -c 9 /dev/urandom | base64 | tr -d '0-9\\n'; echo; echo done"
    asked = spec("ab", checks=words, compare=["checks"], layout="fixed")
    ran = run_trial(tmp_path / "t", asked, make_tree(tmp_path / "A", noisy(1.0)), make_tree(tmp_path / "B", noisy(0.5)))
    assert (ran.end["status"], ran.of("checks")[0]["heard"]["result"]) == ("done", "more"), ran.lines
    ran = run_trial(tmp_path / "u", {**asked, "mode": "noise", "runs": 4}, tmp_path / "A", None)
    assert ran.of("checks")[0]["heard"]["stable"] is False


def test_a_session_tells_what_is_missing_and_keeps_it_on_record(fresh: Driver) -> None:
    checks = fresh.root / "autoresearch.checks.sh"
    checks.write_text(checks.read_text().replace("== 42\n", "== 42\nprint('answers: 1, all right')\n"))
    data = fresh.baseline()
    assert data["said"] == "2 different lines and numbers"
    fresh.open("e1")
    fresh.edit("e1", "return 1000", "return 900")
    fresh.measure("e1")
    assert fresh("decide", "e1")[1]["status"] == "keep"
    assert fresh.run_line("e1")["said"] == {"runner": "", "passed": None, "facts": 2, "base": None, "result": "same"}
    fresh.open("e2")
    fresh.edit("e2", "return 42", "import os\n    os._exit(0)")
    fresh.edit("e2", "return 900", "return 800")
    _, data = fresh.measure("e2")
    assert "checks passed, but say less than at the base: 'answers: #, all right' 0 times, 1 at" in data["reason_text"]
    _, data = fresh("decide", "e2")
    assert (data["status"], "say less than at the base" in str(data)) == ("checks_failed", True), data
    line = fresh.run_line("e2")
    assert line["said"]["missing"][0] == "'answers: #, all right' 0 times, 1 at the base"
    assert "say less than at the base" in line["error"]
    assert "say less than at the base" in fresh.run("logs", "e2").stdout


def test_silent_checks_are_told_to_be_weak(session: Driver) -> None:
    (line,) = [line for line in session.lines() if line.get("kind") == "baseline"]
    assert line["said"]["silent"] is True
    code, data = session("doctor")
    assert code == 0
    found = [f["found"] for f in data["findings"] if f["what"] == "checks" and f["level"] == "warn"]
    assert found
    assert found[0].startswith("they say nothing: exit 0 is all there is")
