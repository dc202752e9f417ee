"""What the doctor names before a first measurement, and in a session."""

from __future__ import annotations

import re

import msgspec

from autoresearch.config import Config, Objective
from autoresearch.prepare.rehearsal import cores_of
from conftest import commit_all
from test_session import Session
from test_session import session as session


def test_doctor_says_what_a_build_would_do_to_the_evaluator_and_that_it_is_no_longer_the_frozen_one(
    session: Session,
) -> None:
    root = session.project.root
    config = root / "autoresearch.yaml"
    plain = config.read_text()
    (root / ".gitignore").write_text("*.o\n")
    (root / "inputs").mkdir()
    (root / "inputs" / "case.txt").write_text("case")
    (root / "inputs" / "old.o").write_text("left by a build")
    config.write_text(
        f"{re.sub('(?m)^build:.*$', 'build: date > inputs/old.o', plain)}evaluator: [inputs/**]\n"
    )
    commit_all(root, "a build beside the inputs")
    code, data = session("doctor")
    assert code == 3
    told = {f["level"]: f["found"] for f in data["findings"]}
    assert "inputs/old.o" in told["warn"]
    assert "git ignores" in told["warn"]
    assert "changed inputs/old.o" in told["fail"]
    (root / "inputs" / "old.o").unlink()
    code, data = session("doctor")
    assert (code, data["next"]) == (0, "autoresearch baseline --timeout 25"), data
    session.baseline()
    assert session("doctor", "--no-run")[1]["next"] == "autoresearch status"
    (root / "inputs" / "case.txt").write_text("another")
    code, data = session("new", "e1", "--hypothesis", "x")
    assert code == 5
    assert data["next"] == "autoresearch doctor"
    code, data = session("doctor", "--no-run")
    assert code == 0
    assert data["next"].startswith("autoresearch baseline --new-segment")
    assert any("inputs/case.txt" in f["found"] for f in data["findings"]), data


def test_a_benchmark_that_keeps_more_cores_busy_than_it_has_is_given_more() -> None:
    config = Config("t", Objective("time_s", "lower"), cores_per_slot=1)
    for busy, cores in ((1.4, 2), (2.5, 2), (2.7, 3), (7.9, 7)):
        (found,) = cores_of(config, busy * 2.0, 2.0)
        assert f"cores_per_slot: {cores} " in found.fix
        assert not list(cores_of(msgspec.structs.replace(config, cores_per_slot=cores), busy * 2.0, 2.0))
    assert not list(cores_of(config, 2.4, 2.0))
