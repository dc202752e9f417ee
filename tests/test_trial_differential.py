"""Generated inputs and hidden checks, in real trials: what 974 tests missed must not be kept."""

from __future__ import annotations

import io
import random
import tarfile
from pathlib import Path

import pytest

from autoresearch.trial import differential, hidden
from autoresearch.trial.differential import DifferentialPlan, Divergence, SideRunner
from autoresearch.trial.failed import Failed
from autoresearch.trial.procs import Finished
from trial_helpers import Ran, make_tree, run_trial, spec

DIFF = """python3 -S - "$1" <<'PY'
import random, sys
rng = random.Random(int(sys.argv[1]))
n = rng.randrange(10)
exec(open("program").read())
PY
"""
BASE = "print(sorted(rng.choices(range(9), k=n)))"
PLAN = {"command": "bash autoresearch.diff.sh", "inputs": 12, "timeout": 2, "slowdown": 2}


def against(tmp_path: Path, candidate: str, base: str = BASE, value: float = 0.5) -> Ran:
    """A/B in which the candidate is twice as fast, and answers `candidate`."""
    trees = [
        make_tree(tmp_path / side, f"echo METRIC size={size}", program=text, autoresearch__diff__sh=DIFF)
        for side, text, size in (("a", base, 1), ("b", candidate, value))
    ]
    changes = {"differential": PLAN, "metric": {"name": "size", "min_effect_pct": 1.0}}
    return run_trial(tmp_path / "t", spec(**changes), *trees)


def test_equal_answers_are_measured(tmp_path: Path) -> None:
    ran = against(tmp_path, "answer = rng.choices(range(9), k=n)\nprint(sorted(answer))")
    assert ran.of("checks")[0]["status"] == "passed"
    assert ran.of("decision")[0]["verdict"] == "keep"


@pytest.mark.parametrize(
    ("candidate", "word", "detail"),
    [
        (f"{BASE} if n != 7 else print([])", "differs", "line 1: '[]' instead of '["),
        (f"{BASE}\nif n == 7: sys.exit(3)", "differs", "exit 3 instead of 0"),
        (f"{BASE}\nif n == 7: print('more', file=sys.stderr)", "differs", "'more' instead of '"),
        (f"{BASE}\nwhile n == 7: pass", "hangs", "this was ended after 2"),
        (f"import time; {BASE}; time.sleep(1.4 * (n == 7))", "slower", "instead of 0."),
    ],
)
def test_one_rare_input_is_enough(tmp_path: Path, candidate: str, word: str, detail: str) -> None:
    seeds = differential.seeds(11, PLAN["inputs"])
    rare = [seed for seed in seeds if random.Random(seed).randrange(10) == 7]
    assert 0 < len(rare) < 4
    ran = against(tmp_path, candidate)
    (checks,) = ran.of("checks")
    assert checks["status"] == f"{word} on seed {rare[0]}"
    assert len(checks["tail"].split("\n")) == len(rare)
    assert detail in checks["tail"]
    assert (ran.end["status"], ran.end["base_failed"], ran.of("decision")) == ("checks_failed", False, [])


@pytest.mark.parametrize(
    ("base", "candidate", "problem"),
    [
        ("import os; print(os.urandom(4))", None, "the base does not repeat itself on seed"),
        ("sys.exit(4)", None, "every input ends with exit 4"),
    ],
)
def test_a_generator_that_tells_nothing_is_no_fault_of_the_candidate(
    tmp_path: Path, base: str, candidate: str | None, problem: str
) -> None:
    ran = against(tmp_path, candidate or base, base)
    assert ran.end["base_failed"] is True
    assert problem in ran.end["error"]


def test_a_busy_machine_is_no_slowdown() -> None:
    """A first answer that came too late is asked for again, with all the time there is."""
    asked: list[str] = []

    def run(side: str, command: str, timeout: float) -> Finished:
        asked.append(side)
        late = asked == ["A", "B"]
        return Finished(1 if late else 0, late, False, 9.0 if late else 0.1, 0.0, "x")

    plan = DifferentialPlan("answer", 1, 10.0, 2.0)
    assert differential.compare(SideRunner(lambda side: None, run), plan, [5]) == []
    assert asked == ["A", "B", "B"]


def test_long_outputs_differ_beyond_what_is_shown() -> None:
    def run(side: str, command: str, timeout: float) -> Finished:
        return Finished(0, False, False, 0.1, 0.0, "x" * differential.HEAD + side)

    plan = DifferentialPlan("answer", 1, 10.0, 2.0)
    (found,) = differential.compare(SideRunner(lambda side: None, run), plan, [5])
    assert found == Divergence("differs", 5, "the outputs differ after their first 65536 characters")


def test_no_seed_is_known_before_and_all_can_be_replayed() -> None:
    assert differential.seeds(11, 20) == differential.seeds(11, 20)
    assert not set(differential.seeds(11, 20)) & set(differential.seeds(12, 20))
    with pytest.raises(Failed):
        differential.compare(
            SideRunner(lambda side: None, lambda s, c, t: Finished(137, True, False, t, 0.0, "")),
            DifferentialPlan("x", 1, 1, 2),
            [3],
        )


def unseen(where: Path, checks: str) -> None:
    where.mkdir(parents=True, exist_ok=True)
    with tarfile.open(where / hidden.ARCHIVE, "w") as tar:
        for name, text in (("checks.sh", checks), ("sub/expected", "42")):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))


@pytest.mark.parametrize(("answer", "status"), [(42, "passed"), (41, "hidden checks failed (exit 1)")])
def test_hidden_checks_run_last_and_are_seen_by_nobody(tmp_path: Path, answer: int, status: str) -> None:
    probe = tmp_path / "probe"
    probe.mkdir()
    look = 'ls -A . .. > "$PROBE/$AUTORESEARCH_LAYOUT_SEED"; [ ! -e .hidden-checks ] || exit 9\n'
    trees = [
        make_tree(tmp_path / side, f"{look}echo METRIC size={size}", answer=str(answer), autoresearch__checks__sh=look)
        for side, size in (("a", 2), ("b", 1))
    ]
    unseen(tmp_path / "t", 'echo secret; [ "$(cat answer)" = "$(cat .hidden-checks/sub/expected)" ]')
    changes = {"hidden": True, "checks": "bash autoresearch.checks.sh", "env": {"PROBE": probe.as_posix()}}
    ran = run_trial(tmp_path / "t", spec(metric={"name": "size"}, **changes), *trees)
    own, last = ran.of("checks")
    assert (own["status"], last["status"], last["hidden"]) == ("passed", status, True)
    assert "secret" not in "".join(ran.lines)
    assert ran.records.index(last) > ran.records.index(ran.counted[-1])
    listings = [path.read_text() for path in probe.iterdir()]
    assert listings
    assert not any("hidden" in listing for listing in listings)
    assert ran.end["status"] == ("done" if status == "passed" else "checks_failed")
    assert len(ran.of("decision")) == (status == "passed")


def test_a_planted_directory_is_not_what_runs(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / hidden.FOLDER).mkdir(parents=True)
    (tree / hidden.FOLDER / "checks.sh").write_text("exit 0")
    unseen(tmp_path, f"test -d {hidden.FOLDER}; exit 1")  # before 0.4.0 they had a name
    content = hidden.take(tmp_path.as_posix())
    assert not (tmp_path / hidden.ARCHIVE).exists()
    assert hidden.place(content, tree.as_posix(), str(tmp_path)) == str(tree / hidden.FOLDER)
    assert (tree / hidden.FOLDER / "checks.sh").read_text().endswith("exit 1")


def test_where_they_are_tells_nothing(tmp_path: Path) -> None:
    tree, tmp = tmp_path / "tree", tmp_path / "tmp"
    tree.mkdir()
    tmp.mkdir()
    unseen(tmp_path, "exit 1")
    content = hidden.take(tmp_path.as_posix())
    places = {hidden.place(content, tree.as_posix(), tmp.as_posix()) for _ in range(2)}
    assert len(places) == 2
    assert all(Path(place).parent == tmp and Path(place, "checks.sh").read_text() == "exit 1" for place in places)
    assert not list(tree.iterdir())
