"""Tries a plan in a throw-away copy of the last commit: build, benchmark, checks, and a few more runs for the noise.

All of it keeps to one time limit, so that an agent's shell is never outlasted; nothing in the project changes.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from autoresearch.judging.noise import NoiseReport, assess
from autoresearch.metrics import parse
from autoresearch.prepare.lint import Mistake, lint_unit
from autoresearch.prepare.planning import AIM_SECONDS, Plan
from autoresearch.project import Project
from autoresearch.safetext import clean, one_line, tail
from autoresearch.trial import environment, signing
from autoresearch.trial.procs import run
from autoresearch.workspace import objects
from autoresearch.workspace.candidate import export

RUNS = 8
State = Literal["ok", "failed", "late", "not run"]


@dataclass
class DryRun:
    """What came of it. `said` is a failure's last words, `fix` how to mend it; `values` are the metric's, in order."""

    state: State = "not run"
    stage: str = ""
    said: str = ""
    fix: str = ""
    values: list[float] = field(default_factory=list)
    seconds: float = 0.0  # of one run
    checks: str = "none"
    noise: NoiseReport | None = None
    mistakes: list[Mistake] = field(default_factory=list)
    rounds: int = 1


class Copy:
    """A throw-away copy of `commit`, for one or more plans; set-up and build are done once.

    `scripts` are files of the project that are not committed, put into the copy; those a plan drafts replace them.
    """

    def __init__(
        self,
        project: Project,
        commit: str,
        scripts: dict[str, bytes],
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.project, self.commit, self.scripts, self.progress = project, commit, scripts, progress
        self.done_once: set[str] = set()
        self.place = tempfile.TemporaryDirectory(prefix="autoresearch-plan-")
        self._export()

    def __enter__(self) -> Copy:
        return self

    def __exit__(self, *_: object) -> None:
        self.place.cleanup()

    def attempt(self, plan: Plan, redraft: Callable[[int], Plan], limit: float) -> tuple[Plan, DryRun]:
        """Build, measure and check `plan` within `limit` seconds.

        A run that is too short is drafted anew with more rounds (`redraft`); the plan that was measured is returned.
        """
        end = time.monotonic() + limit
        if not plan.build and any(step.startswith("build") for step in self.done_once):
            self._export()  # what measures the build must not find it built
        done = DryRun(rounds=plan.rounds)
        self._write(plan)
        tried = _Stages(Path(self.place.name), self.here, done, end, self.progress)
        steps = [("build", plan.build)] if plan.build else []
        if (self.here / "setup_deps.sh").exists():
            steps.insert(0, ("setup", "bash setup_deps.sh"))
        for stage, command in steps:
            if f"{stage} {command}" not in self.done_once and not tried.step(stage, command):
                return plan, done
            self.done_once.add(f"{stage} {command}")
        if not tried.measure(plan.option.metric):
            return plan, done
        if plan.option.repeats and done.seconds < AIM_SECONDS:
            plan = redraft(min(200, max(2, round(AIM_SECONDS / max(done.seconds, 0.005)))))
            done.rounds, done.values = plan.rounds, []
            self._write(plan)
            if not tried.measure(plan.option.metric):
                return plan, done
        if (self.here / "autoresearch.checks.sh").exists():
            tried.check()
        while len(done.values) < RUNS and done.state == "ok" and time.monotonic() + done.seconds < end:
            if not tried.measure(plan.option.metric):
                break
        if len(done.values) >= 4:
            done.noise = assess(done.values, direction=plan.option.direction, min_effect_pct=1.0)
        return plan, done

    def _export(self) -> None:
        tree = Path(tempfile.mkdtemp(dir=self.place.name)) / "work"
        export(self.project, self.commit, tree)
        self.here = tree / objects.prefix(self.project)
        self.done_once.clear()

    def _write(self, plan: Plan) -> None:
        for name, content in {**self.scripts, **{k: v.encode() for k, v in plan.files.items()}}.items():
            path = self.here / name
            path.unlink(missing_ok=True)  # a link would lead elsewhere
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


class _Stages:
    """Runs one stage after the other in the copy, against the one deadline."""

    def __init__(
        self, place: Path, here: Path, done: DryRun, end: float, progress: Callable[[str], None]
    ) -> None:
        self.place, self.here, self.done, self.end, self.progress = place, here, done, end, progress

    def step(self, stage: str, command: str) -> bool:
        """Run it; False (and why, in `done`) when it failed or time was up."""
        return self._run(stage, command) is not None

    def measure(self, metric: str) -> bool:
        ended = self._run(f"benchmark, run {len(self.done.values) + 1}", "bash autoresearch.sh")
        if ended is None:
            # Time that is up after the first value only means fewer values.
            if self.done.state == "late" and self.done.values:
                self.done.state = "ok"
            return False
        output, seconds = ended
        parsed = parse(output)
        value = parsed.metrics.get(metric)
        if value is None:
            hint = "; ".join(parsed.warnings[:2]) or f"it printed {sorted(parsed.metrics)[:5]}"
            self._fail("failed", "benchmark", f"no line 'METRIC {metric}=…': {hint}")
            return False
        self.done.state, self.done.seconds = "ok", seconds
        self.done.values.append(value)
        if len(self.done.values) == 1:
            mistake = lint_unit(metric, "", value, seconds)
            self.done.mistakes = [mistake] if mistake else []
        return True

    def check(self) -> None:
        kept = self.done.state, self.done.stage, self.done.said
        if self._run("checks", "bash autoresearch.checks.sh") is not None:
            self.done.checks = "passed"
        elif self.done.state == "late":
            # The number stands; only what guards it is not known yet.
            self.done.checks = f"not finished: {self.done.said}"
            self.done.state, self.done.stage, self.done.said = kept
        else:
            self.done.checks = "failed"

    def _run(self, stage: str, command: str) -> tuple[str, float] | None:
        left = self.end - time.monotonic()
        self.progress(stage)
        if left < 0.2:
            self._fail("late", stage, "the time for the dry run was up")
            return None
        # The environment that a trial gives, with a token for the script to sign with.
        (self.place / signing.FILE).unlink(missing_ok=True)
        signing.issue(str(self.place))
        env = environment.allowed(os.environ) | {signing.VARIABLE: str(self.place / signing.FILE)}
        ended = run(
            command, env=env, cwd=str(self.here), timeout=left, output_limit=8 * 1024 * 1024,
            streams=stage.startswith("benchmark"),
        )  # fmt: skip
        if ended.timed_out:
            self._fail("late", stage, f"it takes longer than the {ended.seconds:.0f} s that were left")
            return None
        if not ended.ok:
            self._fail("failed", stage, f"{ended.failure()}: {_words(ended.output)}")
            return None
        return ended.output, ended.seconds

    def _fail(self, state: State, stage: str, said: str) -> None:
        self.done.state, self.done.stage, self.done.said = state, stage.partition(",")[0], said


def _words(output: str) -> str:
    """The last line that names an error, and what came last; a test runner's summary alone says too little."""
    last = one_line(tail(output, 3, 300), 160)
    named = [line for line in clean(output[-20_000:]).split("\n") if re.search(_NAMED, line)]
    error = one_line(named[-1], 160) if named else ""
    return last if not error or error in last else f"{error} … {last}"


_NAMED = r"\b\w*(?:Error|Exception)\b|\berror[:\[]|\bfatal\b|not found|No such file|[Cc]annot find"
