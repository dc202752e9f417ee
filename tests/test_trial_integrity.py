"""A result is the evaluator's word: what a candidate can do about that in a real trial, and what comes of it."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.trial import clock, reading, seal, signing
from autoresearch.trial.procs import Finished
from driver import REPO
from trial_helpers import Ran, make_tree, run_trial, spec

TEMPLATE = (REPO / "templates" / "autoresearch.sh").read_text()
(SIGNER,) = re.findall(r'^token=""\n.*?^}\n', TEMPLATE, re.MULTILINE | re.DOTALL)
SIGNED = f"set -euo pipefail\n{SIGNER}\n. ./program\nmetric time_s=2\n"
PLAIN = ". ./program\necho METRIC time_s=2\n"


def finished(output: str) -> Finished:
    return Finished(0, False, False, 1.0, 1.0, output)


def against(tmp_path: Path, evaluator: str, candidate: str, base: str = "true", **changes: object) -> Ran:
    """A/B of one evaluator whose two trees differ in `program` alone."""
    trees = [make_tree(tmp_path / side, evaluator, program=text) for side, text in (("a", base), ("b", candidate))]
    return run_trial(tmp_path / "t", spec(**changes), *trees)


def test_a_signed_result_is_measured(tmp_path: Path) -> None:
    ran = against(tmp_path, SIGNED, "true")
    assert ran.of("decision")[0]["reason"] == "identical"
    assert all(sample["signed"] and sample["value"] == 2.0 for sample in ran.counted)


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        ("echo METRIC time_s=1", "conflicting METRIC time_s: "),
        # The evaluator never comes to speak: the number is the program's alone.
        ("echo METRIC time_s=1; exit 0", "unsigned METRIC time_s"),
        ("echo SIGNED_METRIC time_s=1 " + "0" * 64 + "; echo METRIC time_s=1; exit 0", "unsigned METRIC time_s"),
    ],
)
def test_nobody_else_speaks_for_a_signing_evaluator(tmp_path: Path, program: str, problem: str) -> None:
    ran = against(tmp_path, SIGNED, program)
    (decision,) = ran.of("decision")
    assert (decision["verdict"], decision["reason"]) == ("discard", "invalid")
    assert decision["reason_text"].startswith(problem)


@pytest.mark.parametrize("name", reading.ROUNDS)
def test_what_is_signed_beside_the_objective_to_guard_it_has_one_value(tmp_path: Path, name: str) -> None:
    ran = against(tmp_path, f"{SIGNED}metric {name}=1\n", f"metric {name}=9")
    assert ran.end["reason"] == f"conflicting METRIC {name}: 2 values"


def test_the_token_is_out_of_reach_of_what_the_evaluator_starts(tmp_path: Path) -> None:
    look = "! test -e $AUTORESEARCH_TOKEN && ! env | grep -E '=[0-9a-f]{48}$' && echo clean"
    ran = against(tmp_path, SIGNED.replace(". ./program", "[ $(bash ./program) = clean ]"), look, base=look)
    assert ran.of("decision")[0]["reason"] == "identical"


def test_a_token_that_the_evaluator_leaves_signs_nothing(tmp_path: Path) -> None:
    forge = (
        'sign() { printf "%s time_s=1" "$(cat "$AUTORESEARCH_TOKEN")" | sha256sum | cut -d" " -f1; }; '
        "echo SIGNED_METRIC time_s=1 $(sign)"
    )
    ran = against(tmp_path, PLAIN, forge)
    assert {s["value"] for s in ran.counted} == {2.0}
    assert ran.of("decision")[0]["verdict"] == "discard"


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        ("echo METRIC time_s=1", "METRIC time_s was printed before the benchmark began"),
        ("echo METRIC time_s=1; exit 0", "BENCHMARK_BEGIN was printed 0 times, expected 1"),
        ("echo BENCHMARK_BEGIN", "BENCHMARK_BEGIN was printed 2 times, expected 1"),
    ],
)
def test_a_number_from_before_the_benchmark_is_none(tmp_path: Path, program: str, problem: str) -> None:
    ran = against(tmp_path, ". ./program\necho BENCHMARK_BEGIN\necho METRIC time_s=2\n", program)
    (decision,) = ran.of("decision")
    assert (decision["reason"], decision["reason_text"]) == ("invalid", problem)


def test_what_waits_beside_the_stage_is_sealed(tmp_path: Path) -> None:
    """A candidate that reaches the base's waiting tree: refused where it is not kept away from it."""
    slow = 'for f in ../.t/*/program "$(cat ../.owner)/a.tar"; do test ! -f "$f" || echo sleep 1 >> "$f"; done'
    slow = f"{{ {slow}; }} 2>/dev/null; true"
    ran = against(tmp_path, PLAIN, slow)
    (decision,) = ran.of("decision")
    assert decision["verdict"] == "discard"
    reached = "tampered" in decision["reason_text"]
    assert reached or all(sample["seconds"] < 1 for sample in ran.of("sample"))


def test_files_have_the_same_age_on_both_sides(tmp_path: Path) -> None:
    look = "stat -c '%n %Y' program built src > \"$PROBE/$AUTORESEARCH_LAYOUT_SEED\"\n" + PLAIN
    probe = tmp_path / "probe"
    probe.mkdir()
    changes = {"build": "sleep 0.6; mkdir src; date > built", "env": {"PROBE": str(probe)}, "layout": "fixed"}
    ran = against(tmp_path, look, "true", **changes)
    seen = {path.read_text() for path in probe.iterdir()}
    assert len(ran.of("sample")) == len(list(probe.iterdir())) >= 6
    assert len(seen) == 1


def test_levelled_trees_are_not_built_again(tmp_path: Path) -> None:
    makefile = "prog: part\n\tcat part > prog\npart: source\n\tcat source > part\n"
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "Makefile").write_text(makefile)
    (tree / "source").write_text("x")
    seal.level(tree.as_posix(), (stamp := tree.stat().st_mtime_ns - 10**10))
    subprocess.run(["make", "-s"], cwd=tree, check=True)
    seal.level(tree.as_posix(), stamp)
    assert {path.stat().st_mtime_ns for path in tree.iterdir()} == {stamp}
    said = subprocess.run(["make"], cwd=tree, check=True, capture_output=True, text=True).stdout
    assert "up to date" in said


@pytest.mark.parametrize("change", ["content", "mode", "name", "link"])
def test_a_seal_breaks(tmp_path: Path, change: str) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    file = tree / "sub" / "file"
    file.write_text("abc")
    seals = seal.Seals()
    seals.set(tree.as_posix())
    subprocess.run(["cp", "-a", tree, tmp_path / "copy"], check=True)
    assert not seals.broken(tree.as_posix())
    before = file.stat()
    if change == "content":  # of the same length, and with its old time
        file.write_text("xyz")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif change == "mode":
        file.chmod(0o755)
    elif change == "name":
        file.rename(tree / "sub" / "other")
    else:
        (tmp_path / "hard").hardlink_to(file)
    assert seals.broken(tree.as_posix())


def test_a_clock_that_is_set_is_the_machines_fault() -> None:
    now = {"wall": 100.0, "steady": 5.0}
    watch = clock.Watch(lambda: now["wall"], lambda: now["steady"])
    now.update(wall=103.05, steady=8.0)
    watch.check()
    now.update(wall=99.0)
    with pytest.raises(clock.ClockJumped, match=r"clock_jump: the clock was set by -4\.0 s"):
        watch.check()


def test_the_python_signer_speaks_the_same_language(tmp_path: Path) -> None:
    demo = REPO / "templates" / "demo" / "project" / "evaluator" / "signed_metric.py"
    assert demo.read_text() == (REPO / "templates" / "signed_metric.py").read_text()
    token = signing.issue(tmp_path.as_posix())
    path = tmp_path / signing.FILE
    program = (
        "from signed_metric import metric; import os; metric('time_s', 1e-05); "
        "print(os.environ.get('AUTORESEARCH_TOKEN'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=demo.parent, check=True, capture_output=True, text=True,
        env={"AUTORESEARCH_TOKEN": path.as_posix(), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert signing.signed(done.stdout, token) == {"time_s": [1e-05]}
    assert reading.read(finished(done.stdout), "time_s", 1, token=token).signed == {"time_s"}
    assert (path.exists(), done.stdout.splitlines()[-1]) == (False, "None")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl(2) is Linux's")
@pytest.mark.parametrize("measured", [True, False])
def test_the_python_signer_closes_its_memory_with_a_key_and_without(tmp_path: Path, measured: bool) -> None:
    if measured:
        signing.issue(tmp_path.as_posix())
    program = (
        "import ctypes; from signed_metric import metric; "
        "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"  # PR_GET_DUMPABLE
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPO / "templates", check=True, capture_output=True, text=True,
        env={"AUTORESEARCH_TOKEN": str(tmp_path / signing.FILE), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.stdout == "0\n"  # alike: by this no program tells checks from benchmark


@pytest.mark.parametrize(
    ("cpus", "seconds", "cpu_seconds", "left"),
    [(1, 1.0, 1.0, False), (1, 1.0, 1.14, False), (1, 1.0, 1.9, True), (2, 1.0, 1.9, False), (2, 0.1, 0.4, True),
     (1, 0.02, 0.06, False), (0, 1.0, 8.0, False)],
)  # fmt: skip
def test_more_processor_time_than_its_slot_has_is_a_conflict(
    cpus: int, seconds: float, cpu_seconds: float, left: bool
) -> None:
    done = finished("METRIC time_s=0.5\n")._replace(seconds=seconds, cpu_seconds=cpu_seconds)
    got = reading.within_slot(reading.read(done, "time_s", 1), done, cpus)
    assert (got.value, got.conflict) == ((None, True) if left else (0.5, False))
    assert ("left those of its slot" in (got.problem or "")) == left


def test_a_run_without_a_value_keeps_its_own_reason_whatever_it_used() -> None:
    done = finished("nothing\n")._replace(seconds=1.0, cpu_seconds=9.0)
    got = reading.within_slot(reading.read(done, "time_s", 1), done, 1)
    assert (got.problem, got.conflict) == ("no METRIC time_s", False)


@given(st.text(), st.text(alphabet="0123456789abcdef", min_size=64, max_size=64), st.floats(allow_nan=False))
def test_no_guess_is_a_signature(text: str, guess: str, value: float) -> None:
    output = f"{text}\nSIGNED_METRIC time_s={value!r} {guess}\n{text}"
    assert signing.signed(output, "secret") == {}


@given(st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=40))
def test_a_signature_is_for_its_run_and_its_value(value: float, noise: str) -> None:
    pair = f"time_s={value!r}"
    line = f"SIGNED_METRIC {pair} {hashlib.sha256(f'one {pair}'.encode()).hexdigest()}"
    assert signing.signed(f"{noise}\n{line}\n{noise}", "one") == {"time_s": [value]}
    assert signing.signed(line, "two") == {}
    assert signing.signed(line.replace("time_s", "time_t"), "one") == {}
