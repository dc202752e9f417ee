"""The steps of a trial on a throw-away copy, until a time limit; and what the doctor says of the base commit's.

The trial is the one that measures (`autoresearch.trial`), so what holds for its commands holds here: container,
environment, HOME, limits, a fresh copy of the built tree for each run, and no process left behind.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

from autoresearch.config import Config
from autoresearch.engines import containment
from autoresearch.engines.bundle import tree_tar
from autoresearch.errors import EnvironmentMissing
from autoresearch.files import remove, scratch
from autoresearch.judging.met import is_paired
from autoresearch.metrics import parse
from autoresearch.prepare import conditions, tracing
from autoresearch.prepare.diagnosis import Diagnosis
from autoresearch.prepare.lint import lint_unit
from autoresearch.prepare.reference import set_nominal
from autoresearch.prepare.survey import is_source
from autoresearch.project import Project
from autoresearch.safetext import one_line, tail
from autoresearch.session.trial_spec import differential, spec_of
from autoresearch.trial.conditions import own_seconds
from autoresearch.trial.emit import Recorder
from autoresearch.trial.execution import Execution
from autoresearch.trial.failed import Failed
from autoresearch.trial.procs import Finished
from autoresearch.trial.reading import CPU, MEASURED, measured
from autoresearch.trial.runner import Trial
from autoresearch.trial.spec import Spec, parse_spec
from autoresearch.trial.stage import TrialStage
from autoresearch.verdict.stats import median
from autoresearch.verdict.units import seconds_in
from autoresearch.workspace import evaluator
from autoresearch.workspace.candidate import export
from autoresearch.workspace.customs import off_limits_line
from autoresearch.workspace.git import GitError, git, resolve
from autoresearch.workspace.objects import prefix
from autoresearch.workspace.scope import changeable

# A run of which this much is neither work nor the wait for a core sleeps; but on a busy machine, making and clearing
# away a container takes some time, mostly up to so many seconds, which is no sleep of the program's: it is tried again.
_IDLE_SHARE, _START, _TRIES = 0.1, 0.15, 3


class TimedExecution(Execution):
    """Runs a trial's commands until `end` (monotonic seconds) at the latest.

    `before` is called with the stage of each. `ended` is how they ended, in order; `late` says that the last one, of
    `stage`, was ended by `end` and not by its own limit, or not begun at all.
    """

    def __init__(self, spec: Spec, stage: TrialStage, end: float, before: Callable[[str], None]) -> None:
        super().__init__(spec, stage)
        self.end, self.before = end, before
        self.ended: list[tuple[str, Finished]] = []
        self.opened: dict[str, tracing.Opened] = {}  # by the first command of each stage
        self.stage, self.late = "", False

    def run(self, stage: str, command: str, timeout: float | None = None) -> Finished:
        self.stage, self.late = stage, True
        self.before(stage)
        limit = self._spec.timeouts[stage] if timeout is None else timeout
        if stage not in self.opened:
            tracing.mark(self._stage.work)
        left = max(0.1, self.left())
        done = super().run(stage, command, min(limit, left))
        if stage not in self.opened:
            self.opened[stage] = tracing.opened(self._stage.work)
        self.late = done.timed_out and left < limit
        self.ended.append((stage, done))
        return done

    def left(self) -> float:
        """Seconds until `end`."""
        return self.end - time.monotonic()


def pack(root: Path, project: Project, commit: str, complete: Callable[[Path], None]) -> None:
    """Lay the files of `commit` down as the base of a trial in `root`; `complete` adds the evaluator's to the tree."""
    tree = root / "tree"
    export(project, commit, tree)
    complete(tree)
    (root / "a.tar").write_bytes(tree_tar(tree))
    remove(tree)


def trial_on(
    stage: TrialStage, spec: Mapping[str, Any], end: float, before: Callable[[str], None] = lambda _: None,
    out: TextIO | None = None,
) -> tuple[Trial, TimedExecution]:  # fmt: skip
    """A trial of the base that is packed for `stage`, to be taken through its steps; `Failed` ends one.

    `out` gets its records.
    """
    parsed = parse_spec(json.dumps(spec))
    trial = Trial(parsed, stage, Recorder(out or io.StringIO(), stage.job))
    with containment.required():
        trial.execution = timed = TimedExecution(parsed, trial.stage, end, before)
    return trial, timed


@contextlib.contextmanager
def machine_faults() -> Iterator[None]:
    """A full disk or a missing tool says nothing about the project, and is `EnvironmentMissing`."""
    try:
        yield
    except (OSError, subprocess.CalledProcessError) as exc:
        raise EnvironmentMissing(f"machine: {one_line(str(exc))}") from None


def no_number(metric: str, done: Finished) -> str:
    """What to say of a run that went well and printed no `metric`; empty when it did."""
    parsed = parse(done.output)
    if metric in parsed.metrics or metric in measured(done):
        return ""
    hint = "; ".join(parsed.warnings[:2]) or f"it printed {sorted(parsed.metrics)[:5]}"
    return f"no line 'METRIC {metric}=…': {one_line(hint, 200)}"


def rehearse(project: Project, config: Config, end: float) -> Iterator[Diagnosis]:
    """Build, check and benchmark the base commit in a throw-away copy until `end`; the benchmark twice or, where the
    two differ, once more: the first is its warm-up.
    """
    manifest = evaluator.survey(project, config)
    spec = spec_of(project, config, manifest, "rehearsal", "noise", None)
    with machine_faults(), scratch(project.state, "rehearsal-") as root:
        try:
            pack(
                root, project, resolve(project.root, "HEAD") or "",
                lambda tree: evaluator.overlay(project.root, manifest, tree, prefix(project)),
            )  # fmt: skip
            with TrialStage(str(root)) as stage:
                trial, timed = trial_on(stage, spec, end)
                yield from _steps(project, trial, timed, config, differential(config, manifest))
            yield from _reference(project, manifest, timed)
        except GitError as exc:
            yield Diagnosis("fail", "checkout", one_line(str(exc), 200))


def _steps(
    project: Project, trial: Trial, timed: TimedExecution, config: Config, inputs: Mapping[str, Any] | None
) -> Iterator[Diagnosis]:
    values: list[float] = []
    runs: list[Finished] = []
    failed = None
    try:
        trial.build_first("A")
        values.append(trial.measure("A", None, None))  # on all cores, to see how many it keeps busy
        with on_core(project, config, timed):
            values.append(trial.measure("A", None, None))
            if conditions.apart_pct(values) > conditions.FAR_PCT and timed.left() > 2 * timed.ended[-1][1].seconds:
                values.append(trial.measure("A", None, None))
            trial.checks.own("A")
    except Failed as exc:
        failed = exc
    ended = list(timed.ended)
    for number, (stage, done) in enumerate(ended, 1):
        if failed is not None and number == len(ended):
            yield _failure(trial, timed, failed)
            return
        if stage != "benchmark":
            yield Diagnosis("ok", stage, f"passed in {done.seconds:.1f} s")
            continue
        runs.append(done)
        yield from cores_of(config, done.cpu_seconds, done.seconds) if len(runs) == 1 else ()
    if trial.checks.heard is not None and trial.checks.heard.silent:
        yield Diagnosis(
            "warn", "checks", "they say nothing: exit 0 is all there is, and a program that ends them early gives it",
            "Let them print what they compare, or run the project's tests with a runner that names them",
        )  # fmt: skip
    if timed.withheld.left:
        yield Diagnosis(
            "warn", "secrets", "the evaluator leaves its secrets where the program can read them",
            'Read them from "$AUTORESEARCH_SECRETS" and rm -rf that before the program starts (templates/worker.py)',
        )  # fmt: skip
    yield from _checked(project, config, timed)
    if inputs is not None:
        with on_core(project, config, timed):
            told = _inputs(trial, timed, inputs)
        yield told
    yield from _cross_check(config, values, runs[-1])
    yield from _met(project, timed, config, values, runs[1:])
    if trial.expected is None:
        return
    if config.objective.metric == CPU and CPU in trial.expected.measured:
        yield from _slept(project, trial, timed, config)
    if trial.spec.metric not in trial.expected.signed | trial.expected.measured:
        yield Diagnosis(
            "warn", "signature", f"{trial.spec.metric} is not signed: the measured program could print it instead",
            "Print it with metric from templates/autoresearch.sh, or templates/signed_metric.py in Python",
        )  # fmt: skip


@contextlib.contextmanager
def on_core(project: Project, config: Config, timed: TimedExecution) -> Iterator[None]:
    """What is run meanwhile runs on the core that a trial would be given, as far as it is free."""
    with conditions.core(project, config) as timed.slot:
        try:
            yield
        finally:
            timed.slot = None


def _checked(project: Project, config: Config, timed: TimedExecution) -> Iterator[Diagnosis]:
    """What only the checks read is none of a candidate's business; a source may be tested and not timed, though."""
    names = tracing.only_checked(timed.opened, prefix(project))
    if not names:
        return
    tracked = changeable(filter(None, git(project.root, "ls-files", "-z").split("\0")), config)
    held = tracing.among(names, tracked)
    certain = [name for name in held if f"/{PurePosixPath(name).name}" in names or not is_source(name)]
    if held:
        shown = one_line(", ".join((certain or held)[:3]), 120)
        yield Diagnosis(
            "fail" if certain else "warn", "scope",
            f"{len(certain or held)} files in it are read by the checks and by neither build nor benchmark ({shown})",
            f"Write into autoresearch.yaml: {off_limits_line(config.off_limits, certain or held)}",
        )  # fmt: skip


def _reference(project: Project, manifest: evaluator.Manifest, timed: TimedExecution) -> Iterator[Diagnosis]:
    """Before the baseline, a paired benchmark that does not know yet what its reference takes here is told."""
    took = [parse(done.output).metrics.get("ref_s", 0.0) for stage, done in timed.ended if stage == "benchmark"]
    if project.ledger.exists() or not took or min(took) <= 0:
        return
    name = set_nominal(project.root, manifest.files, median(took))
    if name:
        yield Diagnosis("ok", "reference", f"a round takes {median(took):.3g} s: {name} says so now")


def _met(
    project: Project, timed: TimedExecution, config: Config, values: list[float], runs: list[Finished]
) -> Iterator[Diagnosis]:
    """Nothing is measured any more, so that the core can be looked at."""
    metrics, speeds = parse(runs[-1].output).metrics, None
    with conditions.core(project, config) as slot:
        if slot is not None and conditions.wants_probe(config, metrics) and timed.left() > 2 * conditions.PROBE:
            timed.before("the core's speed")
            speeds = conditions.probe(slot.cpus)
    yield from conditions.told(config, values, runs, metrics, speeds)


def _failure(trial: Trial, timed: TimedExecution, failed: Failed) -> Diagnosis:
    """What ended the last command, or what the trial holds against it; the baseline would end with the same."""
    stage, done = timed.ended[-1]
    if timed.late:
        return Diagnosis(
            "warn", stage, f"ended after {done.seconds:.0f} s, when --timeout was over: not tried to its end",
            "Give doctor more time in a shell that lasts; the baseline runs detached, however long it takes",
        )  # fmt: skip
    if not done.ok:
        spec = trial.spec
        text = {"setup": spec.deps, "build": spec.build, "checks": spec.checks}.get(stage, spec.benchmark)
        said = one_line(tail(done.output, 5, 300), 300)
        fix = f"Run it by hand: {text}{containment.hint(timed.box, stage)}"
        return Diagnosis("fail", stage, f"{done.failure()}: {said}", fix)
    if stage != "benchmark":
        fix = "Take that file out of evaluator: in autoresearch.yaml, or delete it where a build has left it"
        return Diagnosis("fail", stage, one_line(failed.error, 300), fix)
    found = no_number(trial.spec.metric, done)
    fix = "Print it, at a line's start" if found else "Print each result once, in the same way in each run"
    return Diagnosis("fail", stage, found or one_line(failed.error, 300), fix)


def _inputs(trial: Trial, timed: TimedExecution, asked: Mapping[str, Any]) -> Diagnosis:
    """Twice the same seed, and another one: a generator that ignores its seed tests one input twenty times."""
    command = asked["command"]
    answers = []
    for seed in (1, 1, 2):
        trial.stage.place_copy(trial.trees["A"])
        done = timed.run("checks", f"{command} {seed}", asked["timeout"])
        if timed.late:
            return Diagnosis("warn", "inputs", "not tried to their end, as --timeout was over", "Give doctor more time")
        answers.append((done.failure(), done.apart))
    first, again, other = answers
    if first[0]:
        return Diagnosis("fail", "inputs", f"{command} 1: {first[0]}", f"Run it by hand: {command} 1")
    if first != again:
        return Diagnosis("fail", "inputs", "one seed twice gives two outputs", "Print no times, paths or addresses")
    if first == other:
        return Diagnosis("warn", "inputs", "seeds 1 and 2 give the same output", "Use the seed, and print the result")
    return Diagnosis("ok", "inputs", f"{command} answers seeds alike each time")


def cores_of(config: Config, cpu: float | None, seconds: float) -> Iterator[Diagnosis]:
    """A warning when `seconds` of a run took more seconds of cores than a slot has."""
    busy = (cpu or 0.0) / seconds if seconds > 0.05 else 0.0
    if config.cores_per_slot != "all" and busy > 1.3 * config.cores_per_slot:
        yield Diagnosis(
            "warn", "cores", f"the benchmark keeps {busy:.1f} cores busy, but a slot has {config.cores_per_slot}",
            f"Set cores_per_slot: {math.ceil(busy / 1.3)} (or all) in autoresearch.yaml",
        )  # fmt: skip


def _slept(project: Project, trial: Trial, timed: TimedExecution, config: Config) -> Iterator[Diagnosis]:
    """`idle` of more runs on the measuring core: what they wait for is exact on one core only."""
    found: list[Diagnosis] = []
    with on_core(project, config, timed):
        pinned = timed.slot is not None and len(timed.slot.cpus) == 1 and hasattr(os, "sched_setaffinity")
        for _ in range(_TRIES):
            with contextlib.suppress(Failed):  # it took what it took
                trial.measure("A", None, None)
            done = timed.ended[-1][1]
            found = list(idle(done, exact=pinned)) if done.ok else []
            if not found:
                break
    yield from found


def idle(done: Finished, *, exact: bool) -> Iterator[Diagnosis]:
    """Why processor time is no objective where a run sleeps or waits: nothing of that is in it."""
    own = own_seconds(done.seconds, done.cpu_seconds, done.met.waited or 0.0)
    slept = own - done.cpu_seconds
    share = slept / own if own > 0 else 0.0
    if share > _IDLE_SHARE and slept > _START:
        known = exact and done.met.waited is not None
        yield Diagnosis(
            "fail" if known else "warn", "objective",
            f"a run sleeps or waits for {100 * share:.0f} % of its time, and {CPU} counts none of that"
            + ("" if known else ", unless other programs had its core"),
            f"Make a time the objective, and {CPU} a constraint or a rescue metric",
        )  # fmt: skip


def _cross_check(config: Config, values: list[float], run: Finished) -> Iterator[Diagnosis]:
    """Compare the printed number with the clock on the wall."""
    seconds = run.seconds
    unit, name = config.objective.unit, config.objective.metric
    shown, gap = ", ".join(f"{value:.6g}" for value in values), conditions.apart_pct(values)
    last = "the last two " if len(values) > 2 else ""
    yield Diagnosis(
        "ok", "benchmark", f"{name} = {shown} {unit} ({last}{gap:.1f} % apart), {seconds:.1f} s a run",
    )  # fmt: skip
    # A ratio to a reference, say, is no part of the run's seconds.
    elsewhere = config.objective.timed_share == 0 or name in MEASURED or is_paired(parse(run.output).metrics)
    mistake = None if elsewhere else lint_unit(name, unit, values[-1], seconds)
    if mistake is not None:
        yield Diagnosis("warn", mistake.rule, mistake.found, mistake.fix)
    if len(set(values)) == 1 and seconds_in(name, unit) is not None:
        yield Diagnosis("warn", "timer", "two timings are identical to the last digit", "Is the result cached?")
    if seconds < 0.05 and seconds_in(name, unit) is None:  # of a short time, the section is told
        yield Diagnosis(
            "warn", "length", f"a run takes {1000 * seconds:.0f} ms", "Repeat the work inside: aim at 0.2-5 s"
        )
