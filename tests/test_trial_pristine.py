"""What a build may not do to the evaluator that measures it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from autoresearch.trial.pristine import Pristine, _sha256
from trial_helpers import NOISY, make_tree, run_trial, spec


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "tree"
    (top / "bench").mkdir(parents=True)
    (top / "bench" / "driver.py").write_text("1\n")
    (top / "run.sh").write_text("2\n")
    return top


def pristine(tree: Path) -> Pristine:
    return Pristine({name: _sha256(str(tree / name)) for name in ("bench/driver.py", "run.sh")})


def test_nothing_happened(tree: Path) -> None:
    guard = pristine(tree)
    assert guard.since(str(tree), guard.look(str(tree))) == ((), frozenset())


def edit(tree: Path) -> None:
    (tree / "bench" / "driver.py").write_text("9\n")


def edit_and_set_the_time_back(tree: Path) -> None:
    before = (tree / "bench" / "driver.py").stat()
    edit(tree)
    os.utime(tree / "bench" / "driver.py", ns=(before.st_atime_ns, before.st_mtime_ns))


def swap_by_rename(tree: Path) -> None:
    (tree / "new").write_text("9\n")
    (tree / "new").rename(tree / "bench" / "driver.py")


def link_the_directory(tree: Path) -> None:
    (tree / "bench").rename(tree / "moved")
    (tree / "bench").symlink_to("moved")


def link_the_file(tree: Path) -> None:
    (tree / "bench" / "driver.py").rename(tree / "moved")
    (tree / "bench" / "driver.py").symlink_to("../moved")


def delete(tree: Path) -> None:
    (tree / "bench" / "driver.py").unlink()


@pytest.mark.parametrize(
    "act", [edit, edit_and_set_the_time_back, swap_by_rename, link_the_directory, link_the_file, delete]
)
def test_a_change_is_seen(tree: Path, act: object) -> None:
    guard = pristine(tree)
    before = guard.look(str(tree))
    act(tree)  # type: ignore[operator]
    assert guard.since(str(tree), before).changed == ("bench/driver.py",)


def test_the_same_content_written_again_is_no_change(tree: Path) -> None:
    guard = pristine(tree)
    before = guard.look(str(tree))
    (tree / "run.sh").write_text("2\n")
    assert guard.since(str(tree), before).changed == ()


def test_new_names_are_told_and_bytecode_is_removed(tree: Path) -> None:
    guard = pristine(tree)
    before = guard.look(str(tree))
    (tree / "bench" / "random.py").write_text("")
    (tree / "bench" / "__pycache__").mkdir()
    (tree / "bench" / "__pycache__" / "driver.cpython-311.pyc").write_bytes(b"planted")
    found = guard.since(str(tree), before)
    assert (found.changed, found.added) == ((), {"bench/random.py"})
    assert not (tree / "bench" / "__pycache__").exists()


def evaluated(top: Path, build: str) -> Path:
    return make_tree(top, NOISY.replace("{value}", "1.0"), build__sh=build)


@pytest.mark.parametrize(
    ("build", "says"),
    [
        ("echo 'echo METRIC time_s=0.5' > autoresearch.sh", "changed autoresearch.sh"),
        ("touch json.py", "left json.py beside the evaluator"),
    ],
)
def test_a_candidate_whose_build_spoils_the_evaluator_is_invalid(tmp_path: Path, build: str, says: str) -> None:
    base, candidate = (evaluated(tmp_path / "a", "touch built"), evaluated(tmp_path / "b", f"touch built; {build}"))
    files = {"autoresearch.sh": _sha256(str(base / "autoresearch.sh"))}
    ran = run_trial(tmp_path / "t", spec(build="sh build.sh", evaluator=files), base, candidate)
    (decision,) = ran.of("decision")
    assert (decision["verdict"], decision["reason"]) == ("discard", "invalid")
    assert says in decision["reason_text"]
    assert ran.of("sample") == []


@pytest.mark.parametrize(
    "act",
    [
        "echo slow > bench/ref/tool",
        "rm bench/ref/tool",
        "mv bench/ref deps/r; echo slow > deps/r/tool; ln -s ../deps/r bench/ref",
    ],
)
@pytest.mark.parametrize("base_too", [False, True])
def test_a_build_may_not_change_what_the_setup_has_made_for_the_evaluator(
    tmp_path: Path, act: str, base_too: bool
) -> None:
    made = "mkdir -p bench/ref; echo quick > bench/ref/tool; mkdir deps; echo 1 > deps/lib"
    act += "; date > bench/source"  # which was there before: none of what the setup has made
    base, candidate = (
        make_tree(tmp_path / side, NOISY.replace("{value}", "1.0"), deps__sh=made, build__sh=build)
        for side, build in (("a", f"touch built; {act if base_too else ''}"), ("b", f"echo 2 > deps/lib; {act}"))
    )
    for tree in (base, candidate):
        (tree / "bench").mkdir()
        (tree / "bench/driver").write_text("1\n")
        (tree / "bench/source").write_text("1\n")
    files = {name: _sha256(str(base / name)) for name in ("autoresearch.sh", "bench/driver")}
    told = spec(build="sh build.sh", deps="sh deps.sh", evaluator=files, test={"seed": 1, "max_runs": 4})
    ran = run_trial(tmp_path / "t", told, base, candidate)
    (decision,) = ran.of("decision")
    if base_too:
        assert decision["reason"] != "invalid"
    else:
        assert (decision["reason"], "changed bench/ref/tool of the evaluator" in decision["reason_text"]) == (
            "invalid",
            True,
        )


def test_what_the_bases_build_leaves_too_is_no_harm(tmp_path: Path) -> None:
    tree = evaluated(tmp_path / "a", "touch json.py")
    files = {"autoresearch.sh": _sha256(str(tree / "autoresearch.sh"))}
    the_spec = spec(build="sh build.sh", evaluator=files, test={"seed": 1, "max_runs": 4})
    ran = run_trial(tmp_path / "t", the_spec, tree, tree)
    assert ran.of("decision")[0]["reason"] != "invalid"
    assert len(ran.counted) == 4


def test_a_large_tree_remembers_no_run_either(tmp_path: Path) -> None:
    once = "[ ! -e warm ] || exit 9; touch warm; echo METRIC time_s=$AUTORESEARCH_LAYOUT_SEED"
    tree = make_tree(tmp_path / "a", once)
    ran = run_trial(
        tmp_path / "t", spec("noise", build="head -c 53000000 /dev/zero > bulk", layout="fixed", runs=2), tree, None
    )
    assert (ran.end["error"], len(ran.counted)) == (None, 2)


def test_a_large_tree_that_stays_as_it_was_is_copied_once(tmp_path: Path) -> None:
    where = "stat -c 'METRIC time_s=%i' bulk"
    tree = make_tree(tmp_path / "a", where)
    ran = run_trial(
        tmp_path / "t", spec("noise", build="head -c 53000000 /dev/zero > bulk", layout="fixed", runs=3), tree, None
    )
    assert len({sample["value"] for sample in ran.of("sample")}) == 1
