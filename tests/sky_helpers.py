"""A small cloud of our own (`fake_sky.py`) and the engine skypilot on it: no SkyPilot is needed."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autoresearch.engines import JobState
from autoresearch.engines.bundle import build_bundle
from autoresearch.engines.local import LocalEngine
from autoresearch.engines.skypilot import model as m
from autoresearch.engines.skypilot.engine import SkyPilotEngine
from autoresearch.task import parse_task
from trial_helpers import eventually

FAKE = Path(__file__).with_name("fake_sky.py")
# Times that suit a test: looked for at once, tried again at once.
QUICK = {"look_every": 0.1, "backoff": 0.1, "teardown_every": 1.0}


class Cloud:
    """The fake cloud, from outside."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()

    def knobs(self, **values: Any) -> None:
        (self.root / "knobs.json").write_text(json.dumps(values))

    def ops(self, *names: str) -> list[dict[str, Any]]:
        path = self.root / "ops.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [op for op in map(json.loads, lines) if op["op"] in names]

    def clusters(self) -> list[str]:
        return sorted(path.parent.name for path in self.root.glob("clusters/*/cluster.json"))

    def lose(self, name: str) -> None:
        """As a preemption does it."""
        subprocess.run(
            ["python3", "-c", f"import fake_sky; fake_sky.lose({name!r})"],
            cwd=FAKE.parent, env={**os.environ, "FAKE_SKY": str(self.root)}, check=True,
        )  # fmt: skip

    def home(self, name: str) -> Path:
        return self.root / "clusters" / name / "home"


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    made = Cloud(tmp_path / "cloud")
    monkeypatch.setenv("FAKE_SKY", str(made.root))
    monkeypatch.setenv("AUTORESEARCH_SKY_PYTHON", str(FAKE))
    return made


Make = Callable[..., SkyPilotEngine]


@pytest.fixture
def make(tmp_path: Path, cloud: Cloud, request: pytest.FixtureRequest) -> Make:
    def build(name: str = "t", **policy: Any) -> SkyPilotEngine:
        state = tmp_path / "state"
        state.mkdir(exist_ok=True)
        engine = SkyPilotEngine(state, name, infra="slurm/lab", policy=m.Policy(**{**QUICK, **policy}))

        def end() -> None:
            for job, found in engine.poll().items():
                if not found.final:
                    engine.cancel(job)
            for name in cloud.clusters():
                cloud.lose(name)

        request.addfinalizer(end)
        return engine

    return build


def submit(engine: SkyPilotEngine, run: str, *, experiment: str = "e1", timeout: float = 60.0, more: str = "") -> str:
    """A plain task, as a user's own may be."""
    workdir = engine.state.parent / f"work-{experiment}"
    workdir.mkdir(exist_ok=True)
    (workdir / "name").write_text(experiment)
    task = parse_task("run: |\n" + "".join(f"  {line}\n" for line in run.splitlines()) + more)
    return engine.submit(task, experiment=experiment, mode="single", workdir=workdir, envs={}, timeout=timeout)


def wait(engine: SkyPilotEngine, *jobs: str, seconds: float = 40.0) -> list[JobState]:
    ended = eventually(lambda: all(state.final for state in engine.poll(jobs).values()), seconds)
    log = engine.store.sky / "dispatcher.log"
    assert ended, (engine.poll(jobs), engine.blocked(), log.read_text() if log.exists() else "")
    return list(engine.poll(jobs).values())


def dispatcher(engine: SkyPilotEngine) -> int:
    """The dispatcher's process id, from the lock's holder."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"autoresearch.engines.skypilot.dispatcher" in words and str(engine.state).encode() in words:
            return int(path.parent.name)
    raise AssertionError("no dispatcher lives")


def trial_bundle(
    engine: SkyPilotEngine | LocalEngine, mode: str, *, benchmark: str, name: str = "e1"
) -> dict[str, Any]:
    """A trial of two equal trees, packed; the arguments for `submit`."""
    where = engine.state.parent / f"{name}-{mode}-{time.monotonic_ns()}"
    sides = {side: where / side for side in ("a", "b")}
    for tree in sides.values():
        tree.mkdir(parents=True)
        (tree / "autoresearch.sh").write_text(benchmark)
    spec = {
        "protocol": 1, "experiment": name, "mode": mode, "runs": 4 if mode == "noise" else 1,
        "metric": {"name": "steps", "direction": "lower", "values_per_run": 1},
        "benchmark": "bash autoresearch.sh", "checks": "true",
        # A VM that is marked as noisy is told from a quiet one from inside the run.
        "contain": {"mode": "off"},
    }  # fmt: skip
    bundle = build_bundle(where / "outbox", spec, base=sides["a"], candidate=sides["b"])
    envs = {"EXP_ID": name, "EXP_SHA256": bundle.sha256}
    return {"workdir": where / "outbox", "envs": envs, "timeout": 60.0}
