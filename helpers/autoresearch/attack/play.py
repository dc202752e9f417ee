"""Plays mutants as candidates: each built, checked and measured by the trial that measures candidates, in a tree of
its own, beside the base that it was made from.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field, replace
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any, Literal

from autoresearch.attack.edits import Mutant
from autoresearch.config import Config
from autoresearch.engines.cpus import plan_cpus
from autoresearch.errors import EnvironmentMissing
from autoresearch.files import remove
from autoresearch.judging.outcome import read_outcome
from autoresearch.judging.units import counted
from autoresearch.judging.weighing import weigh
from autoresearch.prepare.rehearsal import on_core, trial_on
from autoresearch.project import Project
from autoresearch.safetext import one_line, tail
from autoresearch.session.trial_spec import rule_for
from autoresearch.trial import processes, said, seal
from autoresearch.trial.differential import DifferentialPlan
from autoresearch.trial.emit import PREFIX
from autoresearch.trial.failed import Failed
from autoresearch.trial.stage import STORE, TrialStage
from autoresearch.verdict.verdict import Verdict

# A step may take so many times the base's seconds, and so many more: what takes longer hangs, or is no gain.
PATIENCE, SLACK = 3.0, 2.0
# A build of more seconds than this goes on from the base's own.
SLOW_BUILD = 5.0
# So many runs of the base at most, begun within so many seconds.
RUNS, QUICK = 5, 1.5
# Percent that a time has to fall to be called faster, on the quietest machine.
LEAST_PCT = 3.0
Record = dict[str, Any]
Result = Literal["refused", "unbuilt", "same", "passed", "faster"]


@dataclass(frozen=True)
class Ground:
    """A project's evaluator, and the sources that a candidate may change: all that a mutant is played on.

    `texts` by path from the project's directory, the most important first; `inside` is that directory in the tree.
    """

    project: Project
    config: Config
    spec: Mapping[str, Any]
    texts: Mapping[str, str]
    inside: str = ""


@dataclass(frozen=True)
class Played:
    """What came of a mutant. `by` is the stage that refused it, `said` its words, `gain_pct` of one that is faster."""

    mutant: Mutant
    result: Result
    by: str = ""
    said: str = ""
    gain_pct: float = 0.0


@dataclass
class Player:
    """A ground's base, built and measured on `stage`, whose job has `a.tar`, and mutants beside it, until `end`."""

    ground: Ground
    stage: TrialStage
    end: float  # of time.monotonic()
    runs: list[Record] = field(default_factory=list)  # of the base, after its warm-up
    took: dict[str, float] = field(default_factory=dict)  # stage -> seconds of the base
    said: str = ""
    printed: float = 0.0  # by the cheat that prints a METRIC line
    clean: str = ""  # the tree that a mutant is built from

    def __post_init__(self) -> None:
        self.out = io.StringIO()
        self.trial, self.timed = trial_on(self.stage, self.ground.spec, self.end, out=self.out)

    def base(self, progress: Callable[[str], None]) -> None:
        """Build, check and measure the base; `EnvironmentMissing` where that fails."""
        trial = self.trial
        self.timed.before = progress
        try:
            trial.build_first("A")
            if trial.spec.checks:
                trial.checks.own("A")
                heard = trial.checks.heard
                if heard is not None and self.timed.ended[-1][1].seconds < QUICK:
                    trial.checks.own("A")
                    if trial.checks.heard is not None and trial.checks.heard.digest() == heard.digest():
                        # What says the same as the base did needs no run of it beside it.
                        trial.checks.spec = trial.spec._replace(said=heard.digest())
            first, begun = self._measure("A"), time.monotonic()
            self.runs = [first] if first["seconds"] > QUICK else []  # else it was a warm-up
            while len(self.runs) < 2 or (len(self.runs) < RUNS and time.monotonic() - begun < QUICK):
                self.runs.append(self._measure("A"))
        except Failed as exc:
            late = " when the budget was over" if self.timed.late else ""
            fix = "Give more: --budget 300" if late else "Let doctor find out why"
            raise EnvironmentMissing(
                f"the base's {self.timed.stage} failed{late}: {one_line(exc.error, 300)}", fix=fix,
                next="autoresearch doctor",
            ) from None  # fmt: skip
        self.timed.before = lambda _: None
        for stage, done in self.timed.ended:
            self.took[stage] = max(self.took.get(stage, 0.0), done.seconds)
        self.said = self._said()
        if "A" in trial.prepared:
            self.clean = trial.prepared["A"]
        else:
            trial.stage.unpack(str(Path(self.stage.job, "a.tar")))
            self.timed.withheld.take(trial.stage.work)
            seal.level(trial.stage.work, trial.stamp)
            self.clean = trial.stage.put_away()
        if self.took.get("build", 0.0) > SLOW_BUILD:
            self.clean = trial.trees["A"]

    @property
    def values(self) -> list[float]:
        return [float(run["value"]) for run in self.runs]

    @property
    def noise_pct(self) -> float:
        """How much better than the base's best run a gain has to be: twice the step from that to its second best.

        Other programs make runs slow, and none quick: what the slow ones took says nothing of a gain.
        """
        objective = self.ground.config.objective
        best, second = sorted(self.values, reverse=objective.direction == "higher")[:2]
        apart = 200.0 * abs(second - best) / abs(best) if best else 0.0
        least = objective.min_effect_pct if counted(objective) else max(LEAST_PCT, 2.0 * objective.min_effect_pct)
        return max(apart, least)

    def twin(self, stage: TrialStage) -> Player:
        """Another player of the same base, with copies of its trees, for another process."""
        twin = Player(self.ground, stage, self.end, self.runs, self.took, self.said)
        for tree in {self.trial.trees["A"], self.clean}:
            subprocess.run(["cp", "-a", tree, f"{stage.root}/{STORE}"], check=True)
        moved = f"{stage.root}/{STORE}/{Path(self.trial.trees['A']).name}"
        twin.trial.trees["A"], twin.clean = moved, f"{stage.root}/{STORE}/{Path(self.clean).name}"
        twin.printed, twin.timed.withheld = self.printed, self.timed.withheld
        twin.trial.expected, twin.trial.values_per_run = self.trial.expected, self.trial.values_per_run
        twin.trial.pristine.added = dict(self.trial.pristine.added)
        return twin

    def _measure(self, side: str) -> Record:
        """The record of one run on a core of its own, as far as one is free."""
        with on_core(self.ground.project, self.ground.config, self.timed):
            self.trial.measure(side, None, None)
        return self._last()

    def _last(self) -> Record:
        """The last record of the trial."""
        record: Record = json.loads(self.out.getvalue().rstrip().rpartition("\n")[2][len(PREFIX) :])
        return record

    def _said(self) -> str:
        """What benchmark and checks said, as it is compared for a candidate."""
        last = {stage: done.output for stage, done in self.timed.ended if stage in ("benchmark", "checks")}
        return " ".join(said.read(last[stage]).digest() for stage in sorted(last))

    def play(self, mutant: Mutant) -> Played | None:
        """Play one mutant; None when the time was up before anything is known."""
        trial = self.trial
        self.timed.ended.clear()
        self.out.seek(0)
        self.out.truncate()
        try:
            return self._play(mutant)
        except Failed as exc:
            over = self.timed.late and time.monotonic() >= self.end - 0.1
            if over or exc.side == "A":  # the base, too: the machine, or a check that fails now and then
                return None
            stage = self.timed.stage
            built = stage in ("setup", "build") and not exc.conflict
            done = self.timed.ended[-1][1] if self.timed.ended else None
            words = tail(done.output, 2, 200) if done is not None and not done.ok else exc.error
            return Played(mutant, "unbuilt" if built else "refused", stage, one_line(words or exc.error, 160))
        finally:
            waiting = {trial.trees.pop("B", ""), trial.prepared.pop("B", ""), trial.spares.pop("B", "")}
            for tree in waiting - {""}:
                remove(Path(tree))
            trial.pristine.added.pop("B", None)
            trial.heard["B"].clear()

    def stops(self, draft: str, mutant: Mutant, seconds: float) -> str:
        """What a drafted differential script makes of a mutant: "stopped", "passed", or why it does not run."""
        trial = self.trial
        for tree in {trial.trees["A"], self.clean}:
            path = Path(trial.stage.waiting(tree), self.ground.inside, "autoresearch.diff.sh")
            path.write_text(draft)
            trial.seals.set(tree)
        self.end = self.timed.end = time.monotonic() + seconds
        trial.checks.spec = trial.spec._replace(differential=DifferentialPlan("bash autoresearch.diff.sh", 5, 5.0, 5.0))
        try:
            self._build(mutant)
            trial.checks.inputs()
        except Failed as exc:
            return "stopped" if exc.side == "B" else one_line(exc.error, 160)
        return "passed"

    def _build(self, mutant: Mutant) -> None:
        trial = self.trial
        trial.stage.place_copy(self.clean)
        path = Path(trial.stage.work, self.ground.inside, mutant.path)
        path.write_bytes(mutant.text(self.ground.texts[mutant.path]).encode("utf-8", "surrogateescape"))
        tree = trial.stage.put_away()
        trial.seals.set(tree)
        if not trial.spec.build:
            trial.trees["B"] = tree
            return
        trial.prepared["B"] = tree
        self._limit("build")
        trial.build_first("B")
        trial.pristine.alike()

    def _play(self, mutant: Mutant) -> Played | None:
        trial = self.trial
        self._build(mutant)
        run: Record = {}
        for stage in sorted(("benchmark", "checks"), key=lambda name: self.took.get(name, 0.0)):
            self._limit(stage)
            if stage == "benchmark":
                run = self._measure("B")
            else:
                trial.checks.own("B")
        alike = self._said() == self.said
        if trial.spec.differential is not None:
            self.timed.end = self.end
            trial.checks.inputs()
        found = self._confirmed(mutant, run) if self._gain([run], self.runs) > self.noise_pct else None
        return found or Played(mutant, "same" if alike else "passed")

    def _limit(self, stage: str) -> None:
        # (What checks say differently is asked of the base, too.)
        times = PATIENCE * (3 if stage == "checks" else 1)
        self.timed.end = min(self.end, time.monotonic() + times * self.took.get(stage, 0.0) + SLACK)

    def _gain(self, mutant: list[Record], base: list[Record]) -> float:
        """Percent by which the mutant's worst run is better than the base's best."""
        sign = 1.0 if self.ground.config.objective.direction == "higher" else -1.0
        worst, best = min(sign * run["value"] for run in mutant), max(sign * run["value"] for run in base)
        return float(100.0 * (worst - best) / max(abs(best), 1e-12))

    def _confirmed(self, mutant: Mutant, run: Record) -> Played | None:
        """Once more, and the base beside it: None without a gain, refused where an A/B of the four would doubt it."""
        self._limit("benchmark")
        again, control = self._measure("B"), self._measure("A")
        self.trial.unsaid()
        gain, config = self._gain([run, again], [*self.runs, control]), self.ground.config
        if gain <= self.noise_pct:
            return None
        block = enumerate((self.runs[-1], run, again, control))
        records = [{**each, "slot": slot, "block": 0, "warmup": False} for slot, each in block]
        proven = Verdict("keep", "proven", "", effect_pct=gain, layout="fresh")
        records += [last] if (last := self._last())["type"] == "unsaid" else []
        outcome = replace(read_outcome([*records, {"type": "end", "status": "done"}]), verdict=proven)
        found = weigh(config, outcome, rule_for(config, config.test.preset, 0.02, None, "fresh"), 0).verdict or proven
        # One block proves no limit, either way.
        if found.verdict != "keep" and found.reason != "constraint_unclear":
            return Played(mutant, "refused", found.reason, one_line(found.reason_text, 160))
        if mutant.cheat == "metric" and run["value"] != self.printed:  # nobody took its word
            mutant = replace(mutant, cheat="exit")
        return Played(mutant, "faster", gain_pct=round(gain, 1))


def workers(config: Config) -> int:
    """How many mutants are played at a time: one on each slot."""
    return len(plan_cpus(config.slots, config.cores_per_slot).slots) if config.engine == "local" else 1


def plays(player: Player, mutants: Iterator[Mutant], count: int) -> Iterator[Played]:
    """Play `mutants` one after the other, or `count` at a time in processes of their own, until the time is up."""
    if count == 1 or not processes.LINUX:
        for mutant in mutants:
            found = player.play(mutant)
            if found is not None:
                yield found
        return
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(count, fork, _begin, (player,)) as pool:
        running: set[Future[Played | None]] = set()
        for mutant in mutants:
            running.add(pool.submit(_play, mutant))
            if len(running) >= count:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from filter(None, (each.result() for each in done))
        yield from filter(None, (each.result() for each in wait(running).done))


_twin: list[Player] = []


def _begin(player: Player) -> None:
    processes.die_with_parent()
    stage = TrialStage(tempfile.mkdtemp(dir=player.stage.job))
    Finalize(stage, stage.close, exitpriority=10)  # such a process calls nothing else at its end
    _twin.append(player.twin(stage))


def _play(mutant: Mutant) -> Played | None:
    return _twin[0].play(mutant)
