"""`doctor --attack`: generic cheats against a project's own evaluator, and what is said of those it lets through."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from autoresearch.attack.edits import CHEATS, Known, Mutant
from autoresearch.attack.lets import REMEDIES, through
from autoresearch.attack.mutants import mutants, supported
from autoresearch.ledger.lines import AttackLine, line_of
from driver import REPO, Driver, commit_all

KNOWN = Known("time_s", 0.5, ("BENCH",))
PYTHON = '''#!/usr/bin/env python3
"""Words."""
from __future__ import annotations

import sys


def double(items):
    """Twice."""
    if not items:
        return []
    found = [2 * item for item in items]
    found.sort()
    return found


class Table:
    def __init__(self, rows): self.rows = rows

    @property
    def size(self): return len(self.rows)

    @staticmethod
    def of(text):
        return Table(text.split("\u00e9"))

    async def later(self, name="\u00e9", count=3):
        return f"{name:>{count + 1}}"
'''
# A file of each language in tests/data/attack, and what says that a text is one of it (where this machine has that).
COMPILERS = {
    "a.c": "cc -xc -fsyntax-only FILE",
    "a.cpp": "c++ -xc++ -std=c++17 -fsyntax-only FILE",
    "a.mjs": "node --check FILE",
    "a.sh": "sh -n FILE",
    "a.go": "gofmt -e FILE",
    "a.rs": "rustc --emit=metadata --out-dir DIR FILE",
    "A.java": "javac -d DIR FILE",
}


def all_of(texts: dict[str, str], seed: int = 1) -> list[Mutant]:
    return [mutant for those in mutants(texts, KNOWN, seed).values() for mutant in those]


def test_every_mutant_of_python_is_python_and_another_text() -> None:
    found = all_of({"a.py": PYTHON})
    assert {m.cheat for m in found} == set(CHEATS)
    for mutant in found:
        text = mutant.text(PYTHON)
        assert text != PYTHON
        ast.parse(text)
        assert text.startswith("#!/usr/bin/env python3\n") or mutant.cheat == "empty"


@pytest.mark.parametrize("name", COMPILERS)
def test_mutants_of_other_languages_build(name: str, tmp_path: Path) -> None:
    source, words = (REPO / "tests/data/attack" / name).read_text(), COMPILERS[name].split()
    found = all_of({name: source})
    assert {m.scale for m in found} == {"file", "function", "statement"}
    assert {"exit", "metric", "empty"} <= {m.cheat for m in found}
    assert {m.where for m in found if m.scale == "function"} >= {"total"} - ({"total"} if name == "a.cpp" else set())

    def builds(text: str) -> bool:
        (tmp_path / name).write_text(text)
        command = [{"FILE": name, "DIR": str(tmp_path)}.get(word, word) for word in words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0

    if shutil.which(words[0]) is None or not builds(source):
        pytest.skip(f"no {words[0]} that works here")
    one_of_each = {m.cheat: m for m in found}
    broken = [cheat for cheat, mutant in one_of_each.items() if not builds(mutant.text(source))]
    assert set(broken) <= {"empty"}, "no main is left, say"


def test_one_seed_is_one_order_and_another_seed_another_one_with_other_names() -> None:
    def texts(seed: int) -> list[str]:
        return [m.text(PYTHON) for m in all_of({"a.py": PYTHON}, seed)]

    assert texts(1) == texts(1) != texts(2)
    assert sorted(texts(1)) != sorted(texts(2))
    first = [m.cheat for m in mutants({"a.py": PYTHON, "b.py": PYTHON}, KNOWN, 1)["file"]][:4]
    assert first == ["exit", "exit", "metric", "metric"], "whole files, cheat by cheat"


def test_line_ends_and_broken_files_are_left_as_they_are() -> None:
    text = PYTHON.replace("\n", "\r\n")
    assert all(m.text(text).count("\r\n") > 5 for m in all_of({"a.py": text}) if m.scale != "file")
    assert all_of({"a.py": "def broken(:\n", "b.py": "", "c.js": "\n"}) == []
    assert not supported("README.md")


def played(cheat: str, calls: list[Any]) -> list[Any]:
    """What a function of one argument gives after a cheat was laid over it, call by call."""
    source = "seen = []\ndef f(x):\n    seen.append(x)\n    return sorted(x)\n"
    (mutant,) = (m for m in all_of({"a.py": source}) if m.cheat == cheat)
    space: dict[str, Any] = {}
    exec(mutant.text(source), space)
    said = [space["f"](x) for x in calls]
    return [*said, len(space["seen"])]


def test_the_cheats_of_a_function_are_what_they_are_called() -> None:
    assert played("nothing", [[2, 1]]) == [None, 0]
    assert played("constant", [[2, 1]]) == [0, 0]
    assert played("input", [[2, 1]]) == [[2, 1], 0]
    assert played("hollow", [[2, 1], [1]]) == [[], [], 1]
    assert played("memo", [[2, 1], [2, 1], [3]]) == [[1, 2], [1, 2], [3], 2]
    assert played("second", [[2, 1], [3], [4]]) == [[1, 2], [1, 2], [4], 2]
    assert played("fifty", [[n] for n in range(60)])[-2:] == [[49], 50]
    assert len(played("cut", [list(range(100))])[0]) == 64
    (liar, _) = played("liar", [[2, 1]])
    assert liar == [1, 2]
    assert (liar != [1, 2], len(liar[3][4]), float(liar)) == (False, 1, 0.0)


def test_each_cheat_is_told_with_the_line_that_lets_it_and_a_check() -> None:
    scripts = {"autoresearch.sh": "set -e\n# run\npython3 bench.py\n", "autoresearch.checks.sh": "set -e\n./tool x\n"}
    for cheat, (_, key) in CHEATS.items():
        line, stop = through(Mutant("file", cheat, "a.py", 1, ()), scripts)
        assert stop == REMEDIES[key]
        assert re.match(r"autoresearch(\.checks)?\.sh:[23] ", line)
    mutant = Mutant("file", "exit", "a.py", 1, ())
    assert through(mutant, scripts)[0] == "autoresearch.checks.sh:2 only asks for exit 0"
    tested = scripts | {"autoresearch.checks.sh": "set -e\npytest -q\n"}
    assert through(mutant, tested)[0] == "autoresearch.checks.sh:2 runs tests that pass without it"
    assert through(mutant, {"autoresearch.sh": "x"})[0] == "there is no autoresearch.checks.sh"


def attacked(session: Driver, *words: str) -> tuple[int, dict[str, Any]]:
    done = session.run("doctor", "--attack", "--json", *words)
    assert len(done.stdout) < 2048, "one object for an agent"
    return done.returncode, json.loads(done.stdout)


def test_a_weak_evaluator_is_told_with_what_gets_through_and_it_stands_in_the_ledger(session: Driver) -> None:
    root = session.project.root
    code, data = attacked(session, "--budget", "25")
    assert code == 1, data
    assert data["let"][0]["cheat"] == "prints a METRIC line and exits with 0", "whole files first"
    assert all(row["line"] and row["stop"] for row in data["let"])
    assert data["strength_pct"] < 100
    assert data["next"] == "cp .autoresearch/autoresearch.diff.sh autoresearch.diff.sh"
    assert "work" in (root / ".autoresearch" / "autoresearch.diff.sh").read_text()
    (line,) = [line_of(r) for r in session.lines() if r.get("type") == "attack"]
    assert isinstance(line, AttackLine)
    assert (line.strength_pct, line.faster, len(line.let)) == (data["strength_pct"], data["faster"], len(data["let"]))
    assert session("status")[1]["evaluator_strength"] == {"pct": line.strength_pct, "faster": line.faster}
    session.open("e1")
    session.edit("e1", "return 1000", "return 900")
    session.measure("e1")
    code, kept = session("decide", "e1")
    assert (code, kept["evaluator_strength_pct"]) == (0, line.strength_pct), kept
    assert "Evaluator strength" in (root / "IMPROVEMENTS.md").read_text()
    assert f"Evaluator strength: {line.words}" in (root / "autoresearch.md").read_text()
    # Another evaluator has another strength.
    (root / "autoresearch.checks.sh").write_text("exit 0\n")
    session("baseline", "--new-segment")
    assert session("status")[1]["evaluator_strength"]["changed_since"] is True
    assert "before the evaluator was changed" in (root / "autoresearch.md").read_text()


STRONG = """def answer(word):
    return word.upper() + "!"
"""


def test_a_strong_evaluator_lets_nothing_faster_through_and_before_the_baseline_it_waits(fresh: Driver) -> None:
    root = fresh.project.root
    (root / "src" / "work.py").write_text(STRONG)
    (root / "autoresearch.sh").write_text("echo METRIC steps=$(wc -c < src/work.py)\n")
    (root / "autoresearch.checks.sh").write_text(
        "set -e\nfor word in a bc; do\n  test \"$(PYTHONPATH=src python3 -c 'import sys, work\n"
        'print(work.answer(sys.argv[1]))\' $word)" = "${word^^}!"\ndone\n'
    )
    commit_all(root, "another program")
    code, data = attacked(fresh, "--budget", "20")
    assert code == 0, data
    assert (data["faster"], data["let"], data["next"]) == (0, [], "autoresearch baseline --timeout 25")
    assert (data["strength_pct"], data["refused"] >= 1) == (100.0, True), data
    assert not fresh.project.ledger.exists()
    fresh.baseline()
    assert fresh("status")[1]["evaluator_strength"] == {"pct": 100.0, "faster": 0}
    assert list(fresh.project.state.glob("tmp/*")) == []


def test_secrets_of_the_evaluator_are_in_no_tree_of_a_mutant(fresh: Driver) -> None:
    """Where one lay there, a mutant that is built would hold what the base does not."""
    root = fresh.project.root
    (root / "expected.txt").write_text("1000\n")
    fresh.configure("evaluator: [expected.txt]\nevaluator_secret: [expected.txt]\n")
    text = (root / "autoresearch.yaml").read_text()
    (root / "autoresearch.yaml").write_text(re.sub("(?m)^build:.*", "build: test ! -e expected.txt", text))
    _, data = attacked(fresh, "--budget", "15")
    assert data["unbuilt"] == 0, data
    assert data["refused"] + data["faster"] + data["passed"] + data["same"] > 0


def test_a_plan_is_attacked_before_the_go_and_nothing_is_written(fresh: Driver) -> None:
    root = fresh.project.root
    for name in ("autoresearch.yaml", "autoresearch.sh", "autoresearch.checks.sh", "experiment.yaml"):
        (root / name).unlink()
    wanted = ("--benchmark", "python3 src/work.py", "--checks", "true")
    _, data = fresh("init", "--plan", "--attack", *wanted)
    assert data.get("dry_run", {}).get("state") == "ok", data
    assert set(data["attack"]) == {"strength_pct", "refused", "faster", "let"}
    assert data["written"] == []
    assert sorted(p.name for p in root.iterdir()) == [".git", ".gitignore", "README.md", "src"]
    assert fresh.run("init", "--attack").returncode == 2
