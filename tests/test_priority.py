"""Benchmarks before other programs, on machines that are ours: where it is asked for, what it does, and who is told."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from autoresearch.config import Config, parse_config
from autoresearch.errors import BadInput
from autoresearch.project import Project
from autoresearch.session.trial_spec import spec_of
from autoresearch.trial import priority, procs
from autoresearch.trial.spec import parse_spec
from autoresearch.workspace.evaluator import Manifest, frozen_settings
from trial_helpers import make_tree, run_trial, spec

NICE = "sleep 0.3; echo METRIC nice=$(cut -d' ' -f3 /proc/self/autogroup)"
raises = pytest.mark.skipif(not priority.may_raise(), reason="no autogroups here, or no right to raise one")


def config(more: str = "") -> Config:
    return parse_config(f"name: t\nobjective: {{metric: m}}\nscope: [s]\n{more}\n")


@pytest.mark.parametrize(
    ("more", "asked"),
    [
        ("", False), ("engine: skypilot", True), ("measure: {priority: auto}", False),
        ("engine: skypilot\nmeasure: {priority: off}", False),
    ],
)  # fmt: skip
def test_it_is_asked_for_on_vms_of_ours_only_and_may_be_switched_off(project: Project, more: str, asked: bool) -> None:
    found = spec_of(project, config(more), Manifest({}, {}), "e1", "ab", 1)
    assert parse_spec(json.dumps(found)).priority is asked
    assert frozen_settings(config(more)) == frozen_settings(config("engine: skypilot" if asked else ""))


def test_an_unknown_key_is_answered_with_the_likely_one() -> None:
    with pytest.raises(BadInput, match="priorty") as raised:
        config("measure: {priorty: auto}")
    assert "Did you mean priority?" in raised.value.fix
    with pytest.raises(BadInput, match="mesure") as raised:
        config("mesure: {priority: auto}")
    assert "Did you mean measure?" in raised.value.fix
    with pytest.raises(BadInput) as raised:
        config("constraints: [{metrik: m, max: 1}]")
    assert "Did you mean metric?" in raised.value.fix
    with pytest.raises(BadInput, match="high"):
        config("measure: {priority: high}")


@raises
@pytest.mark.parametrize("mode", ["auto", "off"])
def test_both_sides_of_an_ab_are_raised_alike_and_nothing_else(tmp_path: Path, mode: str) -> None:
    tree = f"echo METRIC time_s=1; {NICE}"
    a, b = (make_tree(tmp_path / side, tree) for side in "ab")
    asked = spec(test={"seed": 1, "max_runs": 8}, contain={"mode": mode}, checks=f"{NICE} | grep =-10", priority=True)
    ran = run_trial(tmp_path / "t", asked, a, b)
    assert {sample["side"] for sample in ran.counted} == {"A", "B"}
    assert {sample["metrics"]["nice"] for sample in ran.counted} == {-10.0}
    assert [record["status"] for record in ran.of("checks")] == ["passed"]
    assert [record["priority"] for record in ran.of("environment")] == ["raised"]


def test_without_the_right_or_without_asking_all_is_as_usual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = make_tree(tmp_path / "b", f"echo METRIC time_s=1; {NICE} || true")
    ran = run_trial(tmp_path / "t", spec("single"), None, tree)
    assert [record["priority"] for record in ran.of("environment")] == ["usual"]
    assert ran.of("sample")[0]["metrics"].get("nice", 0.0) == 0.0
    monkeypatch.setattr(priority, "_NICE", -99)  # which nobody may have
    assert not priority.may_raise()
    done = procs.run("true", env=dict(os.environ), cwd="/", timeout=9, on_start=priority.raise_tree)
    assert done.ok
