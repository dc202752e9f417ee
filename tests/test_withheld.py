"""Secrets of the evaluator: in no tree while it is built, read and deleted by the evaluator, found by no program."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from autoresearch.trial.withheld import Withheld
from trial_helpers import make_tree, run_trial, spec

SECRET = "answer-4711"
# The build and the program look everywhere that they know of; what they find goes into the metric.
LOOK = """
import os, sys
found = 0
for top in [os.environ.get(name) or "." for name in ("PWD", "TMPDIR", "HOME", "AUTORESEARCH_SECRETS")]:
    for where, _, names in os.walk(top):
        for name in names:
            try:
                with open(os.path.join(where, name), errors="replace") as file:
                    found += "answer-" + "4711" in file.read()
            except OSError:
                pass
"""
BUILD = LOOK + "open('built', 'w').write(str(found))\n"
PROGRAM = LOOK + "print(found + int(open('built').read()))\n"
BENCHMARK = """
at=${AUTORESEARCH_SECRETS:-.}
wanted=$(cat "$at/expected/one.txt")
FORGET
[ "${wanted#answer-}" = 4711 ] || exit 7
echo "METRIC time_s=1.$(python3 -S program.py)"
"""


def ran(tmp_path: Path, mode: str, forget: str, **changes: Any) -> Any:
    trees = {}
    for side in ("a", "b"):
        tree = make_tree(tmp_path / side, BENCHMARK.replace("FORGET", forget), program__py=PROGRAM, build__py=BUILD)
        (tree / "expected").mkdir()
        (tree / "expected" / "one.txt").write_text(SECRET + "\n")
        trees[side] = tree
    digest = hashlib.sha256((SECRET + "\n").encode()).hexdigest()
    asked = spec(
        "single", build="python3 -S build.py", checks="bash autoresearch.sh",
        evaluator={"expected/one.txt": digest}, secret=["expected/one.txt"], contain={"mode": mode}, **changes,
    )  # fmt: skip
    return run_trial(tmp_path / "trial", asked, trees["a"], trees["b"])


@pytest.mark.parametrize("mode", ["auto", "off"])
def test_neither_a_build_nor_the_program_finds_what_the_evaluator_has_read(tmp_path: Path, mode: str) -> None:
    done = ran(tmp_path, mode, 'rm -rf "${AUTORESEARCH_SECRETS:?}"; unset AUTORESEARCH_SECRETS')
    assert done.end["status"] == "done", done.lines
    assert [sample["value"] for sample in done.counted] == [1.0]


def test_a_secret_that_the_evaluator_leaves_is_found_and_this_test_would_see_it(tmp_path: Path) -> None:
    done = ran(tmp_path, "auto", ":")
    assert [sample["value"] > 1.0 for sample in done.counted] == [True]


def test_what_was_left_is_told_and_taken_away(tmp_path: Path) -> None:
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    (tmp_path / "tree" / "sub" / "cases").write_text("x")
    held = Withheld(("sub/cases",), "sub")
    assert held.lay(str(tmp_path)) == {}
    held.take(str(tmp_path / "tree"))
    assert not (tmp_path / "tree" / "sub" / "cases").exists()
    (at,) = held.lay(str(tmp_path)).values()
    assert (Path(at) / "cases").read_text() == "x"
    held.gone()
    assert held.left
    assert not Path(at).exists()
