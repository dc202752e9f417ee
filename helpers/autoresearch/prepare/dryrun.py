"""Tries a plan in a throw-away copy of the last commit: build, benchmark, checks, and a few more runs for the noise.

All of it keeps to one time limit, so that an agent's shell is never outlasted; nothing in the project changes.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from autoresearch.config import Config, Objective, Timeouts
from autoresearch.judging.noise import NoiseReport, assess
from autoresearch.metrics import parse
from autoresearch.prepare import tracing
from autoresearch.prepare.drivers import SAID, said_in
from autoresearch.prepare.harnesses import COUNTED
from autoresearch.prepare.lint import Mistake, lint_unit
from autoresearch.prepare.planning import Plan
from autoresearch.prepare.planting import FACTOR, plant
from autoresearch.prepare.reference import lay
from autoresearch.prepare.rehearsal import TimedExecution, machine_faults, no_number, pack, trial_on
from autoresearch.project import Project
from autoresearch.safetext import clean, one_line, tail
from autoresearch.session.trial_spec import spec_of
from autoresearch.trial.failed import Failed
from autoresearch.trial.runner import Trial
from autoresearch.trial.stage import TrialStage
from autoresearch.verdict.stats import median
from autoresearch.verdict.units import is_count, is_rate, seconds_in
from autoresearch.workspace import evaluator, objects
from autoresearch.workspace.scope import inside

RUNS = 8
DryRunState = Literal["ok", "failed", "late", "not run"]


@dataclass
class DryRun:
    """What came of it. `said` is a failure's last words, `fix` how to mend it; `values` are the metric's, in order."""

    state: DryRunState = "not run"
    stage: str = ""
    said: str = ""
    fix: str = ""
    values: list[float] = field(default_factory=list)
    seconds: float = 0.0  # of one run
    checks: str = "none"
    noise: NoiseReport | None = None
    mistakes: list[Mistake] = field(default_factory=list)
    rounds: int = 1
    checked: set[str] | None = None  # what only the checks open, as `tracing.only_checked` says
    guard: str = ""  # what a slow-down planted in the scope did to the metric
    share: float | None = None  # of it that shows in the metric; None: not tried, or not shown
    steady: dict[str, float] = field(default_factory=dict)  # counts beside the metric, the same in each run


class OutOfTime(Failed):
    """A step is not begun, as the dry run's time is up."""


@dataclass
class Copy:
    """A throw-away copy of `commit` on `stage`, for one or more plans; set-up and build are done once.

    `scripts` are files of the project that are not committed, put into the copy; those a plan drafts replace them.
    `program` are the files that a paired plan has beside the benchmark once more.
    """

    stage: TrialStage
    project: Project
    commit: str
    scripts: dict[str, bytes]
    program: list[str]
    progress: Callable[[str], None]
    tree: str = ""  # built, and by which commands
    built: tuple[str | None, str] | None = None

    @machine_faults()
    def attempt(
        self, plan: Plan, better: Callable[[float, float, int, tuple[bytes, ...]], Iterable[Plan]], limit: float
    ) -> tuple[Plan, DryRun]:
        """Build, measure and check `plan` within `limit` seconds.

        Once it has run, what `better` makes of its value, the seconds that it took, the number of a harness's
        benchmarks and what the command printed is tried: the first plan that runs is measured and returned.
        """
        end = time.monotonic() + limit
        first = now = _Attempt(self, plan, limit, end)
        if not first.runs():
            return plan, first.done
        output = first.timed.ended[-1][1].output
        printed, said = parse(output).metrics, said_in(output)
        round_seconds, benchmarks = printed.get("time_wall_s", 0.0), int(printed.get(COUNTED, 0.0))
        first.check()
        if first.done.checks == "failed":
            return plan, first.done
        for wanted in better(first.done.values[0], first.done.seconds, benchmarks, said):
            # A pair takes two rounds, and two runs should fit in.
            if wanted.paired and first.left() < 2 * (first.done.seconds + 2 * wanted.rounds * round_seconds):
                continue
            if now is first and (_unsaid(wanted) == plan.files or (benchmarks and wanted.each == plan.each)):
                now.plan = wanted
                self._put(now.trial, wanted)
                now.trial.expected = None  # what it signs is seen anew
                break
            now = _Attempt(self, wanted, limit, end)
            if now.runs():
                break
        else:
            return plan, first.done
        now.done.checks, now.done.checked = first.done.checks, first.done.checked
        built = sum(one.seconds for stage, one in first.timed.ended if stage in ("setup", "build"))
        # Of a pair, one half is slowed.
        need = built + 1.2 * now.done.seconds * ((FACTOR + 1) / 2 if now.plan.paired else FACTOR)
        now.measure_more(reserve=need)
        if now.done.state == "ok":
            self._guard(now, _Attempt(self, now.plan, limit, end), need)
        return now.plan, now.done

    def _guard(self, now: _Attempt, slowed: _Attempt, need: float) -> None:
        """Measure once with the code in scope slowed: a metric of time that measures it moves in proportion."""
        done, plan = now.done, now.plan
        name, unit = plan.option.metric, plan.option.unit
        if plan.option.id in ("build", "size") or (seconds_in(name, unit) is None and not is_rate(name, unit)):
            return
        if now.left() < need:
            done.guard = "not tried, as there was no time for it: --timeout 110"
            return
        planted = 0

        def complete(tree: Path) -> None:
            nonlocal planted
            self._write(plan, tree)
            names = inside(self.program, plan.scope, plan.off_limits)
            planted = plant(tree / objects.prefix(self.project), names)

        def build() -> None:
            pack(Path(self.stage.job), self.project, self.commit, complete)
            if planted:
                slowed.trial.build_first("A")

        built = slowed.well(build)
        if not planted:
            done.guard = "not tried: no function of this language can be slowed here"
        elif not (built and slowed.well(slowed.measure)):
            done.guard = f"not shown, as the slowed code does not run: {one_line(slowed.done.said, 100)}"
        else:
            moved = slowed.done.values[0] / median(done.values)
            moved = 1 / moved if plan.option.direction == "higher" and moved > 0 else moved
            done.share = (moved - 1) / (FACTOR - 1)
            done.guard = f"{planted} functions in scope made {FACTOR} times slower move it {moved:.2f} times"

    def spec(self, plan: Plan, limit: float) -> dict[str, Any]:
        """The spec of a plan's trial."""
        digests = {name: hashlib.sha256(text).hexdigest() for name, text in self._files(plan).items()}
        config = Config(
            "plan", Objective(plan.option.metric), build=plan.build,
            timeouts=Timeouts(limit, limit, limit, limit),
        )  # fmt: skip
        return spec_of(self.project, config, evaluator.Manifest(digests, {}), "plan", "noise", None)

    def _files(self, plan: Plan) -> dict[str, bytes]:
        return self.scripts | {name: text.encode() for name, text in plan.files.items()}

    def build(self, trial: Trial, plan: Plan) -> None:
        """Give `trial` the tree of an earlier plan that needs the same steps, or build it."""
        made_by = trial.spec.deps, trial.spec.build
        if made_by != self.built:
            pack(Path(self.stage.job), self.project, self.commit, lambda tree: self._write(plan, tree))
            trial.build_first("A")
            self.tree, self.built = trial.trees["A"], made_by
        trial.trees["A"] = self.tree
        self._put(trial, plan)

    def _put(self, trial: Trial, plan: Plan) -> None:
        """Lay the plan's scripts into the built tree."""
        self._write(plan, Path(trial.stage.waiting(self.tree)))
        trial.seals.set(self.tree)
        trial.spares.clear()

    def _write(self, plan: Plan, tree: Path) -> None:
        prefix = objects.prefix(self.project)
        if plan.paired:
            lay(tree / prefix, self.program, tree / prefix / plan.home / "reference")
        for name, content in self._files(plan).items():
            path = tree / prefix / name
            path.unlink(missing_ok=True)  # a link would lead elsewhere
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def _unsaid(plan: Plan) -> dict[str, str]:
    """The plan's files without what the command has printed."""
    return {name: text for name, text in plan.files.items() if name != f"{plan.home}/{SAID}"}


class _Attempt:
    """One plan's trial in a copy, and what came of it so far. Nothing is begun once `end` (monotonic) is near."""

    def __init__(self, copy: Copy, plan: Plan, limit: float, end: float) -> None:
        self.plan = plan
        self.done = DryRun(rounds=plan.rounds)
        self._copy, self._end = copy, end
        self.trial, self.timed = trial_on(copy.stage, copy.spec(plan, limit), end, self._before)

    def left(self) -> float:
        """Seconds until the end."""
        return self._end - time.monotonic()

    def runs(self) -> bool:
        """Whether it is built and a run of it gives a number."""
        return self.well(lambda: self._copy.build(self.trial, self.plan)) and self.well(self.measure)

    def check(self) -> None:
        """Run the checks, if there are any."""
        if self.trial.spec.checks:
            checks = "passed" if self.well(lambda: self.trial.checks.own("A")) else "failed"
            if self.timed.late:
                # The number stands; only what guards it is not known yet.
                checks = f"not finished: {self.done.said}"
                self.done.state, self.done.stage, self.done.said = "ok", "", ""
            self.done.checks = checks
            self.done.checked = tracing.only_checked(self.timed.opened, objects.prefix(self._copy.project))

    def measure_more(self, reserve: float = 0.0) -> None:
        """Measure for the noise while there is time, and `reserve` seconds of it from the fourth run on."""
        done, wanted = self.done, RUNS if self.done.seconds < 1.0 else RUNS // 2
        while len(done.values) < wanted and done.state == "ok" and self._fits(reserve):
            if not self.well(self.measure):
                break
        outputs = [parse(one.output).metrics for stage, one in self.timed.ended if stage == "benchmark" and one.ok]
        if len(outputs) >= 3 and self.plan.option.body:
            names = set.intersection(*map(set, outputs)) - {COUNTED, self.plan.option.metric}
            steady = [name for name in names if is_count(name) and len({found[name] for found in outputs}) == 1]
            steady.sort(key=lambda name: (not name.startswith("geomean_"), name))
            done.steady = {name: outputs[-1][name] for name in steady if outputs[-1][name]}
        if len(done.values) >= 4:
            done.noise = assess(done.values, direction=self.plan.option.direction, min_effect_pct=1.0)

    def _fits(self, reserve: float) -> bool:
        return self.done.seconds + (reserve if len(self.done.values) >= 4 else 0.0) < self.left()

    def _before(self, stage: str) -> None:
        self._copy.progress(f"benchmark, run {len(self.done.values) + 1}" if stage == "benchmark" else stage)
        if self.left() < 0.2:
            raise OutOfTime("A", "the time for the dry run was up")

    def measure(self) -> None:
        """One run, whose value is noted; `Failed` where it gives none."""
        value, done, option = self.trial.measure("A", None, None), self.done, self.plan.option
        done.state, done.seconds = "ok", self.timed.ended[-1][1].seconds
        done.values.append(value)
        if len(done.values) == 1 and not (self.plan.paired or option.harness):
            # (A ratio to the reference has no part in the run's seconds.)
            mistake = lint_unit(option.metric, "", value, done.seconds)
            done.mistakes = [mistake] if mistake else []

    def well(self, step: Callable[[], None]) -> bool:
        """Whether `step` goes well; if not, it is noted how it failed."""
        try:
            step()
        except Failed as exc:
            _note(self.done, self.timed, self.plan.option.metric, exc)
            return False
        return True


def _note(done: DryRun, timed: TimedExecution, metric: str, failed: Failed) -> None:
    """Say in `done` how the last step failed. Time that is up after the first value only means fewer values."""
    if timed.late and timed.stage == "benchmark" and done.values:
        return
    done.state, done.stage, done.said = "late" if timed.late else "failed", timed.stage, failed.error
    if isinstance(failed, OutOfTime):
        return
    ended = timed.ended[-1][1]
    if timed.late:
        done.said = f"it takes longer than the {ended.seconds:.0f} s that were left"
    elif not ended.ok:
        done.said = f"{ended.failure()}: {_words(ended.output)}"
    elif timed.stage == "benchmark":
        done.said = no_number(metric, ended) or failed.error


def _words(output: str) -> str:
    """The last line that names an error, and what came last; a test runner's summary alone says too little."""
    last = one_line(tail(output, 3, 300), 160)
    named = [line for line in clean(output[-20_000:]).split("\n") if re.search(_NAMED, line)]
    error = one_line(named[-1], 160) if named else ""
    return last if not error or error in last else f"{error} … {last}"


_NAMED = r"\b\w*(?:Error|Exception)\b|\berror[:\[]|\bfatal\b|not found|No such file|[Cc]annot find"
