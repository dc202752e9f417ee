"""What the doctor names before a first measurement, and in a session."""

from __future__ import annotations

import os
import re
import uuid
from pathlib import Path

import msgspec
import pytest

from autoresearch.config import Config, Objective
from autoresearch.prepare.rehearsal import cores_of
from driver import Driver, commit_all
from trial_helpers import processes_with


def test_doctor_says_what_a_build_would_do_to_the_evaluator_and_that_it_is_no_longer_the_frozen_one(
    fresh: Driver,
) -> None:
    root = fresh.project.root
    config = root / "autoresearch.yaml"
    plain = config.read_text()
    (root / ".gitignore").write_text("*.o\n")
    (root / "inputs").mkdir()
    (root / "inputs" / "case.txt").write_text("case")
    (root / "inputs" / "old.o").write_text("left by a build")
    config.write_text(f"{re.sub('(?m)^build:.*$', 'build: date > inputs/old.o', plain)}evaluator: [inputs/**]\n")
    commit_all(root, "a build beside the inputs")
    code, data = fresh("doctor")
    assert code == 3
    told = {f["level"]: f["found"] for f in data["findings"]}
    assert "inputs/old.o" in told["warn"]
    assert "git ignores" in told["warn"]
    assert "changed inputs/old.o" in told["fail"]
    (root / "inputs" / "old.o").unlink()
    code, data = fresh("doctor")
    assert (code, data["next"]) == (0, "autoresearch baseline --timeout 25"), data
    fresh.baseline()
    assert fresh("doctor", "--no-run")[1]["next"] == "autoresearch status"
    (root / "inputs" / "case.txt").write_text("another")
    code, data = fresh("new", "e1", "--hypothesis", "x")
    assert code == 5
    assert data["next"] == "autoresearch doctor"
    code, data = fresh("doctor", "--no-run")
    assert code == 0
    assert data["next"].startswith("autoresearch baseline --new-segment")
    assert any("inputs/case.txt" in f["found"] for f in data["findings"]), data


def test_the_doctors_runs_have_what_a_trials_runs_have(fresh: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AN_AGENTS_TOKEN", "secret")
    (fresh.project.root / "autoresearch.sh").write_text(
        "set -euo pipefail\n"
        'test -z "${AN_AGENTS_TOKEN:-}"\n'
        f'test "$HOME" != \'{os.environ["HOME"]}\' && test -w "$HOME" && test -z "$(ls -A "$HOME")"\n'
        'touch "$HOME/mine" here && test -n "$AUTORESEARCH_LAYOUT_SEED$AUTORESEARCH_PAD"\n'
        "test ! -e before && touch before\n"  # each run has a copy of its own
        "echo METRIC steps=1000\n"
    )
    code, data = fresh("doctor")
    assert code == 0, data
    assert list(fresh.project.state.glob("tmp/*")) == []


def test_a_rehearsal_that_is_ended_by_its_time_limit_leaves_no_process(fresh: Driver) -> None:
    pause = f"sleep 600.{uuid.uuid4().int}"
    (fresh.project.root / "autoresearch.sh").write_text(f"setsid {pause} &\n(setsid setsid {pause} &)\n{pause}\n")
    code, data = fresh("doctor", "--timeout", "5")
    assert code == 0, data
    assert any("when --timeout was over" in finding["found"] for finding in data["findings"]), data
    assert processes_with(pause.split()[1]) == []
    assert list(fresh.project.state.glob("tmp/*")) == []


@pytest.mark.parametrize("words", [("doctor",), ("init", "--plan", "--force")], ids=["doctor", "plan"])
def test_a_machine_that_cannot_copy_is_named_and_nothing_is_left(
    words: tuple[str, ...], fresh: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tar").write_text("#!/bin/sh\nexit 9\n")
    (tmp_path / "bin" / "tar").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    code, data = fresh(*words)
    assert (code, "machine" in data["error"], "tar" in data["error"]) == (3, True, True), data
    assert list(fresh.project.state.glob("tmp/*")) == []


def test_a_benchmark_that_keeps_more_cores_busy_than_it_has_is_given_more() -> None:
    config = Config("t", Objective("time_s", "lower"), cores_per_slot=1)
    for busy, cores in ((1.4, 2), (2.5, 2), (2.7, 3), (7.9, 7)):
        (found,) = cores_of(config, busy * 2.0, 2.0)
        assert f"cores_per_slot: {cores} " in found.fix
        assert not list(cores_of(msgspec.structs.replace(config, cores_per_slot=cores), busy * 2.0, 2.0))
    assert not list(cores_of(config, 2.4, 2.0))
