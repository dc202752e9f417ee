"""SkyPilot's task form, CPU plans and bundles."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from autoresearch.engines.bundle import build_bare_bundle, build_bundle, holds_trial
from autoresearch.engines.cpus import plan_cpus
from autoresearch.errors import BadInput
from autoresearch.task import parse_task
from trial_helpers import make_tree, spec


def test_values_become_text_as_skypilot_does() -> None:
    task = parse_task("run: x\nenvs: {N: 4, F: true, S: a, E: ''}\nsecrets: {K: null}\nresources: {cpus: 4+}\n")
    assert task.envs == {"N": "4", "F": "True", "S": "a", "E": ""}
    assert task.resolve({"K": "k"}) == {"N": "4", "F": "True", "S": "a", "E": "", "K": "k"}
    assert task.local_problems() == []


def test_required_values_must_be_given() -> None:
    task = parse_task("run: x\nenvs: {EXP_ID: null, N: 1}\n")
    with pytest.raises(BadInput, match="EXP_ID must be given"):
        task.resolve({})
    assert task.resolve({"EXP_ID": "e1", "MORE": "m"}) == {"EXP_ID": "e1", "N": "1", "MORE": "m"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("run: x\nenv: {A: 1}\n", "unknown key env. Did you mean envs"),
        ("runs: x\n", "unknown key runs. Did you mean run"),
        ("setup: x\n", "run is missing"),
        ("run: [a]\n", "run must be text"),
        ("run: x\nenvs: {a-b: 1}\n", "no name of an environment variable"),
        ("run: x\nenvs: [A]\n", "envs must be a mapping"),
        ("run: 'x\n", "not YAML"),
        ("- a\n", "empty or not a mapping"),
    ],
)
def test_bad_tasks_are_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(BadInput) as raised:
        parse_task(text)
    assert sentence in raised.value.sentence()


def test_what_this_machine_cannot_do_is_said() -> None:
    assert parse_task("run: x\nnum_nodes: 2\nfile_mounts: {/a: b}\n").local_problems() == [
        "file_mounts needs SkyPilot",
        "num_nodes above 1 needs SkyPilot",
    ]


@pytest.mark.parametrize(
    ("slots", "per", "cpus", "lists", "build", "warns"),
    [
        ("auto", 1, 1, [[0]], [], False),
        ("auto", 1, 2, [[1]], [0], False),
        ("auto", 1, 4, [[1], [2], [3]], [0], False),
        ("auto", 2, 8, [[1, 2], [3, 4], [5, 6]], [0, 7], False),
        ("auto", "all", 4, [[0, 1, 2, 3]], [], False),
        (2, 1, 4, [[1], [2]], [0, 3], False),
        (4, 1, 2, [[0], [1], [0], [1]], [], True),
    ],
)
def test_cpu_plans(
    slots: object, per: object, cpus: int, lists: list[list[int]], build: list[int], warns: bool
) -> None:
    plan = plan_cpus(slots, per, range(cpus))  # type: ignore[arg-type]  # parametrised
    assert (plan.slots, plan.build, bool(plan.warnings)) == (lists, build, warns)


def test_the_same_content_is_the_same_bundle(tmp_path: Path) -> None:
    one = make_tree(tmp_path / "one", "echo 1", a__txt="x")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "a.txt").write_text("x")
    two = make_tree(tmp_path / "two", "echo 1")
    os.utime(two / "a.txt", (1, 1))
    (two / ".git").write_text("gitdir: elsewhere")
    first = build_bundle(tmp_path / "out", spec(), base=one, candidate=one)
    again = build_bundle(tmp_path / "out2", spec(), base=two, candidate=two)
    assert first.sha256 == again.sha256
    assert first.path.read_bytes() == again.path.read_bytes()
    (two / "a.txt").write_text("y")
    assert build_bundle(tmp_path / "out", spec(), base=one, candidate=two).sha256 != first.sha256
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.suffix != ".gz") == []


def test_modes_and_links_travel(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree", "echo 1", tool="#!/bin/sh\n")
    (tree / "tool").chmod(0o700)
    (tree / "link").symlink_to("tool")
    (tree / "empty").mkdir()
    bundle = build_bare_bundle(tmp_path / "out", tree)
    with tarfile.open(bundle.path) as tar:
        members = {member.name: member for member in tar}
    assert members["tool"].mode == 0o755
    assert members["autoresearch.sh"].mode == 0o644
    assert members["link"].linkname == "tool"
    assert members["empty"].isdir()


def test_trials_are_told_from_plain_trees(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree", "echo 1")
    assert holds_trial(build_bundle(tmp_path, spec(), base=tree).path)
    assert not holds_trial(build_bare_bundle(tmp_path, tree).path)
    (tmp_path / "broken").write_bytes(b"\x1f\x8bnonsense")
    assert not holds_trial(tmp_path / "broken")
    assert not holds_trial(tmp_path / "absent")
