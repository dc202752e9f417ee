"""experiment.yaml for real: its `run` block through the local engine, and the file through the real SkyPilot."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from autoresearch.engines import JobResult
from autoresearch.engines.bundle import Bundle, build_bare_bundle, build_bundle
from autoresearch.engines.local import LocalEngine
from autoresearch.engines.task import load_task
from autoresearch.resources import shipped
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
        return result(
            engine, submit(engine, build_bare_bundle(tmp_path / "outbox", tree), sha256=sha256, **envs)
        )

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
    got = run(
        "cat built; echo METRIC time_s=1.5; echo METRIC mem=2",
        files=files,
        BUILD_CMD="echo METRIC x=9 > built",
    )
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
    said = [process.communicate(timeout=60)[0].splitlines()[0] for process in running]
    assert said == [f"METRIC a={value}" for value, _ in alike]
    assert list((home / "autoresearch").iterdir()) == []


def sky_python() -> str:
    """An interpreter that has SkyPilot, or a loud skip."""
    given = os.environ.get("AUTORESEARCH_SKY_PYTHON")
    if given:
        return given
    if importlib.util.find_spec("sky") is None:
        pytest.skip("SkyPilot is not installed: set AUTORESEARCH_SKY_PYTHON to an interpreter that has it")
    return sys.executable


SKY = """
import sys, yaml, sky
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
"""


def test_the_real_skypilot_takes_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sky_python(), "-c", SKY, str(shipped("experiment.yaml"))],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "HOME": str(tmp_path), "SKYPILOT_DISABLE_LOCAL_API_SERVER": "1",
             "SKYPILOT_DISABLE_USAGE_COLLECTION": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["autoresearch 300 4+ 8+ 1", "30 True"]
