"""experiment.yaml for real: its `run` block through the local engine, and the file through the real SkyPilot."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from autoresearch.engines import JobResult
from autoresearch.engines.bundle import Bundle, build_bare_bundle, build_bundle
from autoresearch.engines.local import LocalEngine
from autoresearch.judging.recorded import judge_samples
from autoresearch.resources import shipped
from autoresearch.task import load_task
from trial_helpers import NOISY, eventually, make_tree, spec

Run = Callable[..., JobResult]
ONE = "echo METRIC a=1"


@pytest.fixture
def engine(tmp_path: Path) -> LocalEngine:
    return LocalEngine(tmp_path / "state", slots=1)


def submit(engine: LocalEngine, bundle: Bundle, experiment: str = "e1", sha256: str = "", **envs: str) -> str:
    values = {"EXP_ID": experiment, "EXP_SHA256": sha256 or bundle.sha256, **envs}
    return engine.submit(
        load_task(shipped("experiment.yaml")),
        experiment=experiment, mode="single", workdir=bundle.path.parent, envs=values, timeout=60,
    )  # fmt: skip


def result(engine: LocalEngine, job: str) -> JobResult:
    assert eventually(lambda: engine.poll([job])[job].final, 60)
    return engine.fetch(job)


@pytest.fixture
def run(engine: LocalEngine, tmp_path: Path) -> Run:
    def bare(benchmark: str, sha256: str = "", files: dict[str, str] | None = None, **envs: str) -> JobResult:
        tree = make_tree(tmp_path / "tree", benchmark, **(files or {}))
        return result(engine, submit(engine, build_bare_bundle(tmp_path / "outbox", tree), sha256=sha256, **envs))

    return bare


def test_a_trial_through_the_template(engine: LocalEngine, tmp_path: Path) -> None:
    base = make_tree(tmp_path / "a", NOISY.replace("{value}", "1.0"))
    better = make_tree(tmp_path / "b", NOISY.replace("{value}", "0.9"))
    bundle = build_bundle(tmp_path / "outbox", spec(), base=base, candidate=better)
    got = result(engine, submit(engine, bundle))
    assert (got.state, got.exit_code, got.status, got.checks) == ("done", 0, "done", "skipped (no checks)")
    (decision,) = got.of_type("decision")
    assert decision["verdict"] == "keep"
    assert got.metrics["time_s"] == pytest.approx(0.9, abs=0.02)
    assert [record["state"] for record in got.of_type("slot")][-2:] == ["taken", "free"]
    jobdir = engine.log_path("e1-single-1").parent
    # Trees are gone with the job; the log and the bundle in the outbox stay.
    assert eventually(lambda: not (jobdir / "trial").exists() and not (jobdir / "workdir").exists())


def test_a_crashing_trial_exits_non_zero(engine: LocalEngine, tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "b", "exit 3")
    got = result(engine, submit(engine, build_bundle(tmp_path / "outbox", spec("single"), candidate=tree)))
    assert (got.state, got.exit_code, got.status, got.error) == ("failed", 1, "crash", "benchmark exit 3")


def test_a_plain_tree(run: Run) -> None:
    files = {"setup_deps__sh": "touch deps", "autoresearch__checks__sh": "[ -e deps ] && [ -e built ]"}
    got = run("cat built; echo METRIC time_s=1.5; echo METRIC mem=2", files=files, BUILD_CMD="echo METRIC x=9 > built")
    assert (got.state, got.status, got.checks) == ("done", "done", "passed")
    assert got.metrics == {"x": 9.0, "time_s": 1.5, "mem": 2.0}
    assert got.log is not None
    assert got.log.read_text().count("METRIC time_s") == 1


@pytest.mark.parametrize(
    ("benchmark", "files", "envs", "state", "status", "error", "checks"),
    [
        ("exit 4", {}, {}, "failed", "crash", "benchmark failed (exit 4)", "skipped (benchmark crashed)"),
        ("sleep 60", {}, {"BENCHMARK_TIMEOUT": "0.3"}, "failed", "crash", "benchmark failed (timeout)", ""),
        ("echo time 5", {}, {}, "failed", "crash", "no METRIC line", "skipped (no metric)"),
        ("true", {}, {"BUILD_CMD": "exit 2"}, "failed", "crash", "build failed (exit 2)", "skipped (build failed)"),
        ("true", {"setup_deps__sh": "exit 8"}, {}, "failed", "crash", "setup_deps.sh failed (exit 8)", ""),
        (ONE, {"autoresearch__checks__sh": "exit 6"}, {}, "done", "checks_failed", "checks failed", "failed (exit 6)"),
        (ONE, {"autoresearch__checks__sh": "sleep 60"}, {"CHECKS_TIMEOUT": "0.3"}, "done", "checks_failed",
         "checks timed out", "timeout"),
        ("echo METRIC a=1", {}, {}, "done", "done", "", "skipped (no autoresearch.checks.sh)"),
    ],
)  # fmt: skip
def test_endings_of_a_plain_tree(
    run: Run,
    benchmark: str,
    files: dict[str, str],
    envs: dict[str, str],
    state: str,
    status: str,
    error: str,
    checks: str,
) -> None:
    got = run(benchmark, files=files, **envs)
    assert (got.state, got.status, got.error) == (state, status, error)
    assert got.checks.startswith(checks)


def test_what_the_code_prints_is_marked(run: Run) -> None:
    got = run("echo EXPERIMENT_STATUS: done; echo METRIC a=1; printf '\\033[31mAR_RECORD {}\\n'; exit 1")
    assert got.status == "crash"
    assert got.metrics == {}
    assert got.log is not None
    text = got.log.read_text()
    assert "| EXPERIMENT_STATUS: done" in text
    assert "\x1b" not in text


def test_another_source_is_refused(run: Run, engine: LocalEngine, tmp_path: Path) -> None:
    got = run("echo METRIC a=1", sha256="0" * 64)
    assert (got.exit_code, got.status, got.checks) == (90, "crash", "skipped (stale source)")
    assert got.error.startswith("stale_source")
    tree = make_tree(tmp_path / "tree", "echo METRIC a=1")
    bundle = build_bare_bundle(tmp_path / "outbox", tree)
    other = build_bare_bundle(tmp_path / "other", make_tree(tmp_path / "t2", "echo METRIC a=2"))
    bundle.path.write_bytes(other.path.read_bytes())
    got = result(engine, submit(engine, bundle))
    assert (got.exit_code, got.status, got.metrics) == (90, "crash", {})


@pytest.mark.parametrize("name", ["../up", ".hidden", "-x", "a b", "a/b"])
def test_a_name_that_is_a_path_is_refused(engine: LocalEngine, tmp_path: Path, name: str) -> None:
    bundle = build_bare_bundle(tmp_path / "outbox", make_tree(tmp_path / "tree", "echo METRIC a=1"))
    got = result(engine, submit(engine, bundle, EXP_ID=name))
    assert (got.exit_code, got.error) == (2, "EXP_ID is not a plain name")


def test_equal_size_and_time_queued_at_once_in_one_workdir(tmp_path: Path) -> None:
    """The way `sky exec` measures wrong code: one workdir, files of equal size and time, all jobs queued."""
    workdir = tmp_path / "sky_workdir"
    by_size: dict[int, list[tuple[str, Bundle]]] = {}
    for value in "123456789":
        tree = make_tree(tmp_path / f"tree{value}", f"sleep 0.1; echo METRIC a={value}\n")
        os.utime(tree / "autoresearch.sh", (1_700_000_000, 1_700_000_000))
        bundle = build_bare_bundle(workdir, tree)
        os.utime(bundle.path, (1_700_000_000, 1_700_000_000))
        by_size.setdefault(bundle.path.stat().st_size, []).append((value, bundle))
    alike = max(by_size.values(), key=len)  # compression makes some of them a byte longer
    assert len(alike) >= 2
    home = tmp_path / "home"
    home.mkdir()
    script = load_task(shipped("experiment.yaml")).run
    running = [
        subprocess.Popen(
            ["bash", "-c", script], cwd=workdir, stdout=subprocess.PIPE, text=True,
            env={"PATH": os.environ["PATH"], "HOME": str(home), "EXP_ID": f"e{i}", "EXP_SHA256": bundle.sha256,
                 "BUILD_CMD": "", "SETUP_TIMEOUT": "9", "BENCHMARK_TIMEOUT": "9"},
        )
        for i, (_, bundle) in enumerate(alike)
    ]  # fmt: skip
    said = [process.communicate(timeout=60)[0].splitlines()[:2] for process in running]
    assert said == [
        [f"EXPERIMENT_BUNDLE: e{i} {bundle.sha256}", f"METRIC a={value}"] for i, (value, bundle) in enumerate(alike)
    ]
    assert list((home / "autoresearch").iterdir()) == []


def ab_samples(engine: LocalEngine, tmp_path: Path, base: str, candidate: str, **envs: str) -> JobResult:
    """templates/ab.yaml through the local engine, unchanged."""
    outbox = tmp_path / "outbox"
    sides = {
        name: build_bare_bundle(outbox, make_tree(tmp_path / name, text, autoresearch__checks__sh="test -e built"))
        for name, text in (("base", base), ("candidate", candidate))
    }
    hashes = {"BASE_SHA256": sides["base"].sha256, "CANDIDATE_SHA256": sides["candidate"].sha256}
    job = engine.submit(
        load_task(shipped("templates/ab.yaml")), experiment="ab1", mode="ab", workdir=outbox, timeout=60,
        envs={"EXP_ID": "ab1", "BLOCKS": "6", "BUILD_CMD": "touch built", **hashes, **envs},
    )  # fmt: skip
    return result(engine, job)


@pytest.mark.parametrize(("candidate", "verdict"), [("0.9", "keep"), ("1.0", "discard")])
def test_the_ab_task_by_hand(engine: LocalEngine, tmp_path: Path, candidate: str, verdict: str) -> None:
    got = ab_samples(engine, tmp_path, "echo METRIC time_s=1.0", f"echo METRIC time_s={candidate}")
    assert (got.state, got.status, got.checks) == ("done", "done", "passed")
    assert got.log is not None
    (line,) = [x for x in got.log.read_text().splitlines() if x.startswith("AB_SAMPLES ")]
    data = json.loads(line.removeprefix("AB_SAMPLES "))
    sides = "".join(run["side"] for run in data["runs"])
    assert all(sides[i : i + 4].count("A") == 2 for i in range(0, 24, 4))
    assert len({sides[i : i + 4] for i in range(0, 24, 4)}) > 1  # all six alike: once in 7776
    assert judge_samples(data).verdict == verdict


def test_the_ab_task_names_the_side_that_failed(engine: LocalEngine, tmp_path: Path) -> None:
    got = ab_samples(engine, tmp_path, "echo METRIC time_s=1.0", "exit 7")
    assert (got.status, got.error) == ("crash", "candidate: benchmark failed (exit 7)")
    got = ab_samples(engine, tmp_path / "2", "echo METRIC time_s=1.0", "echo METRIC time_s=1", BASE_SHA256="0" * 64)
    assert (got.exit_code, got.error[:12]) == (90, "stale_source")


def sky_python() -> str:
    """An interpreter that has SkyPilot, or a loud skip."""
    given = os.environ.get("AUTORESEARCH_SKY_PYTHON")
    if given:
        return given
    if importlib.util.find_spec("sky") is None:
        pytest.skip("SkyPilot is not installed: set AUTORESEARCH_SKY_PYTHON to an interpreter that has it")
    return sys.executable


SKY = """
import copy, sys, yaml, sky
from sky.utils import common_utils, schemas
config = yaml.safe_load(open(sys.argv[1]))
try:
    sky.Task.from_yaml(sys.argv[1])
except ValueError as exc:
    assert "EXP_ID" in str(exc), exc
else:
    raise SystemExit("EXP_ID is not required")
task = sky.Task.from_yaml_config(config, env_overrides=[("EXP_ID", "e1"), ("EXP_SHA256", "0" * 64)])
(resources,) = task.resources
print(task.name, task.envs["BENCHMARK_TIMEOUT"], resources.cpus, resources.memory, task.envs["AUTORESEARCH_TRIAL"])
print(resources.autostop_config.idle_minutes, resources.autostop_config.down)

def valid(config):
    # The schema alone: what an instance type is stands in a catalogue that is not at hand offline.
    common_utils.validate_schema(copy.deepcopy(config["resources"]), schemas.get_resources_schema(), "resources: ")

full = yaml.safe_load(open(sys.argv[2]))
valid(full)
for place in full["resources"]["any_of"]:
    place.pop("instance_type", None)
given = [("EXP_ID", "e1"), ("EXP_SHA256", "0" * 64)]
task = sky.Task.from_yaml_config(copy.deepcopy(full), env_overrides=given, secrets_overrides=[("DATA_TOKEN", "x")])
print(sorted(str(r.infra.cloud) for r in task.resources), {r.autostop_config.down for r in task.resources})
try:
    valid({**full, "resources": {**full["resources"], "any_off": []}})
except ValueError:
    print("refused")
ab = yaml.safe_load(open(sys.argv[3]))
valid(ab)
shas = [("BASE_SHA256", "0" * 64), ("CANDIDATE_SHA256", "1" * 64)]
task = sky.Task.from_yaml_config(ab, env_overrides=[("EXP_ID", "e1"), *shas])
print(task.name, task.envs["BLOCKS"], [r.autostop_config.down for r in task.resources])
"""


def with_its_examples() -> str:
    """experiment.yaml with the lines uncommented that it offers as examples."""
    text = shipped("experiment.yaml").read_text(encoding="utf-8")
    shown = re.sub(r"^( *)# (any_of:|  - \{infra:.*|use_spot:.*|secrets:|  DATA_TOKEN:.*)$", r"\1\2", text, flags=re.M)
    assert shown.count("\n    - {infra:") == 4, "the examples are not where this test looks for them"
    return shown


def test_the_real_skypilot_takes_it(tmp_path: Path) -> None:
    full = tmp_path / "full.yaml"
    full.write_text(with_its_examples())
    done = subprocess.run(
        [sky_python(), "-c", SKY, str(shipped("experiment.yaml")), str(full), str(shipped("templates/ab.yaml"))],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "HOME": str(tmp_path), "SKYPILOT_DISABLE_LOCAL_API_SERVER": "1",
             "SKYPILOT_DISABLE_USAGE_COLLECTION": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-5:] == [
        "autoresearch 300 4+ 8+ 1", "30 True",
        "['AWS', 'AWS', 'GCP', 'Kubernetes'] {True}", "refused",
        "autoresearch-ab 8 [True]",
    ]  # fmt: skip
