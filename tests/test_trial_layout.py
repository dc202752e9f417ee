"""The trial's layout: a fresh build for every run where that is cheap and shakes something, else one for all."""

from __future__ import annotations

from pathlib import Path

import pytest

from trial_helpers import make_tree, noisy, run_trial, spec

BUILD = 'echo "$AUTORESEARCH_LAYOUT_SEED" > built; [ -e deps ] || exit 5'
READS_BUILD = 'cat built >> "$PROBE/builds"; sleep 0.2\n'


@pytest.mark.parametrize(("layout", "builds"), [("fresh", 6), ("auto", 6), ("fixed", 2)])
def test_layout_policy(tmp_path: Path, layout: str, builds: int) -> None:
    tree = make_tree(tmp_path / "a", READS_BUILD + noisy(1.0), deps__sh="touch deps")
    the_spec = spec(
        build=BUILD, deps="sh deps.sh", layout=layout, env={"PROBE": str(tmp_path)}, test={"seed": 3, "max_runs": 4}
    )
    ran = run_trial(tmp_path / "t", the_spec, tree, tree)
    (decision,) = ran.of("decision")
    assert decision["layout"] == ("fixed" if layout == "fixed" else "fresh")
    assert len(set((tmp_path / "builds").read_text().split())) == builds
    assert len([b for b in ran.of("build") if b["stage"] == "setup"]) == 2


@pytest.mark.parametrize(("linked", "layout"), [("constant", "fixed"), ("$AUTORESEARCH_LAYOUT_SEED", "fresh")])
def test_a_build_of_native_code_that_ignores_the_seed_has_a_fixed_layout(
    tmp_path: Path, linked: str, layout: str
) -> None:
    tree = make_tree(tmp_path / "a", noisy(1.0))
    build = f"printf '\\177ELF%s' {linked} > bench; date +%s%N > log.txt"
    ran = run_trial(tmp_path / "t", spec(build=build, layout="fresh", test={"seed": 3, "max_runs": 4}), tree, tree)
    (decision,) = ran.of("decision")
    assert decision["layout"] == layout
    assert bool(ran.of("layout")) == (layout == "fixed")
    assert len(ran.of("build")) == (3 if layout == "fixed" else 7)


def test_a_build_slower_than_the_benchmark_is_kept_fixed(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "a", "echo METRIC time_s=1")
    ran = run_trial(tmp_path / "t", spec(build="sleep 0.5", test={"seed": 3, "max_runs": 4}), tree, tree)
    assert ran.of("decision")[0]["layout"] == "fixed"
    assert len(ran.of("build")) == 2
