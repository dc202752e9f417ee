"""One trial from spec to end record: build, check, measure, decide."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import time
from dataclasses import replace
from typing import Iterator

from autoresearch import safetext
from autoresearch.trial import clock, counting, environment, pace, reading, relink, said, seal, signing, slots
from autoresearch.trial.checking import Checks
from autoresearch.trial.contain import Unavailable
from autoresearch.trial.emit import Recorder
from autoresearch.trial.execution import Execution
from autoresearch.trial.failed import Failed
from autoresearch.trial.pristine import Pristine
from autoresearch.trial.procs import Finished
from autoresearch.trial.reading import RunValue
from autoresearch.trial.spec import Spec
from autoresearch.trial.stage import COPY_LIMIT, TrialStage, tree_bytes
from autoresearch.verdict import TrialStatus
from autoresearch.verdict.eprocess import draw_order
from autoresearch.verdict.rule import Rule
from autoresearch.verdict.sequential import MAX_TIMED_OUT, TIMED_OUT, SequentialTest
from autoresearch.verdict.units import is_count
from autoresearch.verdict.verdict import Verdict


class Trial:
    """Runs a spec on `stage`, whose job has `a.tar` and `b.tar`, and reports to `out`."""

    def __init__(self, spec: Spec, stage: TrialStage, out: Recorder) -> None:
        self.spec = spec
        self.out = out
        self.stage = stage
        # Two streams from one seed, so that the orders can be replayed from the seed alone.
        self.order_rng = random.Random(spec.seed)
        self.sides_rng = random.Random("sides/%s" % spec.seed)
        self.seals = seal.Seals()
        self.stamp = time.time_ns()
        self.token: str | None = None  # of the last benchmark run
        self.signs = True  # whether the evaluator speaks of it
        self.expected: reading.Expected | None = None  # what the evaluator signs, seen at the base
        self.trees: dict[str, str] = {}  # side -> built tree
        self.spares: dict[str, str] = {}  # side -> a copy of its large tree, unchanged by the run that used it
        self.prepared: dict[str, str] = {}  # side -> tree with its dependencies, not built
        self.build_seconds: dict[str, float] = {}
        self.pristine = Pristine({p: digest for p, digest in spec.evaluator.items() if p not in spec.secret})
        self.samples: list[tuple[str, RunValue]] = []
        self.heard: dict[str, list[said.Facts]] = {"A": [], "B": []}  # what the benchmark's runs said
        self.timed_out = {"A": 0, "B": 0}
        self.values_per_run = spec.values_per_run
        self.fresh = False
        self.last_seconds = 0.0
        self.checks = Checks(spec, self.stage, self.trees, self._check, out)
        self.rule = Rule.preset(
            spec.preset,
            alpha=spec.alpha,
            max_runs=spec.max_runs,
            min_effect_pct=spec.min_effect_pct,
            direction=spec.direction,
            counted=spec.counted,
        )

    def run(self) -> int:
        """The whole trial; returns the exit code: 0 measured or checks failed, 1 crash."""
        runs = self.rule.max_runs if self.spec.mode == "ab" else self.spec.runs
        try:
            self.execution = Execution(self.spec, self.stage)
        except Unavailable as exc:
            return self._machine(exc)
        self.out.record(
            "environment", experiment=self.spec.experiment, mode=self.spec.mode, max_runs=runs,
            seed=self.spec.seed, contain=self.execution.box.describe(),
            priority="raised" if self.execution.raised else "usual", **environment.describe(),
            **({"fixed": self.spec.fixed} if self.spec.fixed else {}),
        )  # fmt: skip
        for side in "AB":
            if os.path.exists(self._tar(side)):
                self.seals.set(self._tar(side))
        try:
            {"single": self._single, "noise": self._noise, "ab": self._ab}[self.spec.mode]()
        except Failed as exc:
            if exc.conflict and exc.side == "B" and self.spec.mode != "noise":
                return self._invalid(exc)
            return self._failed(exc)
        except (OSError, subprocess.CalledProcessError) as exc:
            return self._machine(exc)
        finally:
            self.stage.clear()
        self._end("done", None, None)
        return 0

    # --- modes

    def _single(self) -> None:
        side = "B" if os.path.exists(self._tar("B")) else "A"
        self.build_first(side)
        with self._slot():
            if self.spec.runs > 1:
                self.measure(side, None, None)
            self._decide_layout()
            for slot in range(self.spec.runs):
                self.measure(side, slot, None)
            self.checks.own(side)

    def _noise(self) -> None:
        self.build_first("A")
        with self._slot():
            self.checks.own("A", twice=True)
            self.measure("A", None, None)
            self._decide_layout()
            for slot in range(self.spec.runs):
                self.measure("A", slot, None)
            if self.spec.paced:
                self._pace()
            self.checks.hidden("A")

    def _ab(self) -> None:
        # Which side comes first is drawn here too, so that nothing can be learnt from being the first.
        for side in self._shuffled():
            self.build_first(side)
        self.pristine.alike()
        with self._slot():
            self.checks.own("B")
            self.checks.inputs()
            for side in self._shuffled():
                self.measure(side, None, None)
            layout = self._decide_layout()
            margin = self.spec.layout_margin_pct if layout == "fixed" else 0.0
            rule = replace(self.rule, layout=layout, margin_pct=margin)
            test = SequentialTest(rule)
            decided = None
            most, whole = self.spec.fixed_blocks or rule.max_runs // 4, self.spec.fixed_blocks is not None
            # A size or a count that repeats exactly is known after one block, in an estimate too.
            while test.blocks < most and (
                decided is None
                or (whole and not test.exact())
                or test.blocks < self._least_blocks(decided, test.exact())
            ):
                order = draw_order(self.order_rng)
                begin = 4 * test.blocks
                values = [self.measure(side, begin + i, test.blocks) for i, side in enumerate(order)]
                found = test.add_block(order, values)
                decided = found if whole else decided or found
            decided = decided or test.verdict()
            self.unsaid()
            if decided.verdict == "keep" and not test.repeats():
                self._second_opinion(layout)
            if decided.verdict == "keep" or self.spec.min_blocks_discard > 1:
                # Not before, so that nothing of the candidate's runs beside them but what they start themselves.
                self.checks.hidden("B")
        self._decision(decided)

    def _least_blocks(self, decided: Verdict, exact: bool) -> int:
        """Blocks that this decision waits for; none when all that is judged are counts that repeat exactly."""
        if exact and self.spec.guarded and all(is_count(n) and self._repeats(n) for n in self.spec.guarded):
            return 0
        return self.spec.min_blocks if decided.verdict == "keep" else self.spec.min_blocks_discard

    def _repeats(self, name: str) -> bool:
        return all(len({got.metrics.get(name) for s, got in self.samples if s == side}) == 1 for side in "AB")

    def _pace(self) -> None:
        """One more run beside a busy program, to tell what a run does at its rate; one that fails tells nothing."""
        cpus = pace.cores(self.execution.slot.cpus if self.execution.slot is not None else None)
        if not cpus:
            return
        with pace.busy(cpus):
            done = self._benchmark("A", warmup=True)
        got = reading.read(done, self.spec.metric, self.values_per_run, (), self.token, self.expected)
        usual = self.samples[-1][1].value
        if got.value is not None and usual is not None:
            found = pace.fixed(usual, self.last_seconds, got.value, done.seconds)
            self.out.record("pace", fixed=found, rate=got.value, seconds=round(done.seconds, 4))

    def unsaid(self) -> None:
        """Record what the base's benchmark said in every run, and the candidate's did not in most of them."""
        base, runs = self.heard["A"], self.heard["B"]
        if len(base) < 2 or not runs:
            return
        floor = base[0]
        for heard in base[1:]:
            floor = floor.least(heard)
        lost = [found for found in (said.missing(floor, heard) for heard in runs) if found]
        if 2 * len(lost) > len(runs):
            self.out.record("unsaid", runs=len(lost), of=len(runs), missing=[one[:200] for one in lost[0][:20]])

    def _second_opinion(self, layout: str) -> None:
        """Count the instructions of a run of each side, where that is cheap or where the layout's luck may decide."""
        limit, tool = self.spec.timeouts["benchmark"], counting.tool()
        if tool is None or (
            tool == "valgrind" and (layout != "fixed" or self.last_seconds * counting.SLOWDOWN > limit)
        ):
            return
        where = os.path.join(self.stage.tmp, "instructions")
        found = {}
        for side in "AB":
            self.stage.place_copy(self.trees[side])
            with self.execution.drawn_again():  # variables, which a shell reads by the byte
                self._run(side, "benchmark", counting.wrap(tool, self.spec.benchmark, where))
            found[side] = counting.read(tool, where)
        self.out.record("instructions", tool=tool, **found)

    # --- steps

    def _shuffled(self) -> str:
        return self.sides_rng.choice(("AB", "BA"))

    def _intact(self, path: str) -> None:
        if self.seals.broken(path):
            problem = "tampered: what waits beside the stage was changed from outside"
            raise Failed("B", problem, conflict=True)

    def _tar(self, side: str) -> str:
        return os.path.join(self.stage.job, side.lower() + ".tar")

    def _run(self, side: str, stage: str, command: str, *, timeout: float | None = None) -> Finished:
        try:
            return self.execution.run(stage, command, timeout)
        except NotADirectoryError as exc:
            raise Failed(side, str(exc)) from None

    def _check(self, side: str, command: str, timeout: float) -> Finished:
        return self._run(side, "checks", command, timeout=timeout)

    def _prepare(self, side: str) -> None:
        """Put a clean tree on the stage, with its dependencies."""
        if side in self.prepared:
            self._intact(self.prepared[side])
            self.stage.place_copy(self.prepared[side])
            return
        if not os.path.exists(self._tar(side)):
            raise Failed(side, "the bundle holds no %s" % os.path.basename(self._tar(side)))
        self._intact(self._tar(side))
        self.stage.unpack(self._tar(side))
        self.execution.withheld.take(self.stage.work)
        seal.level(self.stage.work, self.stamp)
        if self.spec.deps:
            before, there = self.pristine.look(self.stage.work), self.pristine.below(self.stage.work)
            done = self._run(side, "setup", self.spec.deps)
            self._build_record(side, done, stage="setup")
            if not done.ok:
                raise Failed(side, "setup failed (%s)" % done.failure())
            self.pristine.unspoilt(self.stage.work, side, before, "setup")
            self.pristine.prepared(self.stage.work, side, there)
            self.prepared[side] = self.stage.put_away()
            self.seals.set(self.prepared[side])
            self.stage.place_copy(self.prepared[side])

    def _build(self, side: str) -> None:
        """A clean build of one side, left on the stage."""
        self._prepare(side)
        if not self.spec.build:
            return
        before = self.pristine.look(self.stage.work)
        done = self._run(side, "build", self.spec.build)
        self._build_record(side, done, stage="build")
        if not done.ok:
            raise Failed(side, "build failed (%s)" % done.failure())
        self.pristine.unspoilt(self.stage.work, side, before, "build")
        self.build_seconds.setdefault(side, done.seconds)

    def _build_record(self, side: str, done: Finished, stage: str) -> None:
        tail = "" if done.ok and side in self.build_seconds else safetext.tail(done.output, limit=1000)
        self.out.record(
            "build", side=side, stage=stage, ok=done.ok, seconds=round(done.seconds, 3), exit=done.exit_code, tail=tail
        )

    def build_first(self, side: str) -> None:
        """Build one side, with its dependencies, and put it away: what it is measured and checked on is a copy."""
        self._build(side)
        self._level()
        self.signs = self.pristine.mention(self.stage.work, signing.VARIABLE)
        self.trees[side] = self.stage.put_away()
        self.seals.set(self.trees[side])

    def _level(self) -> None:
        for path in self.stage.parts:
            seal.level(path, self.stamp)

    def measure(self, side: str, slot: int | None, block: int | None) -> float:
        """One run of the benchmark, recorded; a warm-up when it has no slot. `Failed` without a value.

        A counted run of an A/B that overran its limit is a censored reading, `TIMED_OUT`, as long as it is rare.
        """
        done = self._benchmark(side, warmup=slot is None)
        # Whether this evaluator signs is seen at the base; until then a candidate's signature counts for nothing.
        token = self.token if side == "A" or self.expected is not None else None
        got = reading.read(done, self.spec.metric, self.values_per_run, self.spec.guarded, token, self.expected)
        held = self.execution.slot if hasattr(os, "sched_setaffinity") else None
        got = reading.within_slot(got, done, len(held.cpus) if held is not None else 0)
        censored = done.timed_out and slot is not None and self.spec.mode == "ab"
        if censored:
            got = got._replace(value=None, problem=None)
        self.out.record(
            "sample", slot=slot, block=block, side=side, value=got.value, metrics=dict(got.metrics),
            timed_out=done.timed_out,
            values=got.values, seconds=round(done.seconds, 4), cpu_seconds=round(done.cpu_seconds, 4),
            warmup=slot is None, problem=got.problem, signed=self.spec.metric in got.signed | got.measured,
            **done.met.known(), **({"tail": safetext.tail(done.output)} if got.problem else {}),
        )  # fmt: skip
        if censored:
            self.timed_out[side] += 1
            if self.timed_out["A"] > MAX_TIMED_OUT:
                raise Failed("A", "%d runs overran their limit" % self.timed_out["A"])
            return TIMED_OUT
        if got.value is None:
            raise Failed(side, got.problem or "no value", conflict=got.conflict)
        if "benchmark" in self.spec.compare:
            self.heard[side].append(said.read(done.output))
        if self.values_per_run is None:
            self.values_per_run = got.values
        self.last_seconds = done.seconds
        if side == "A" and self.expected is None:
            self.expected = reading.Expected(got.signed, got.begins, got.measured)
        if slot is not None:
            self.samples.append((side, got))
        return got.value

    def _benchmark(self, side: str, *, warmup: bool) -> Finished:
        tree, before = self.trees[side], ""
        if self.fresh and self.spec.build and not warmup:
            self._build(side)
            self.pristine.alike()
            # As a copy is: no age, and nothing beside the tree, tells that it was built just now.
            self._level()
            self.stage.clear_scratch()
        else:
            spare = self.spares.pop(side, None)
            self._intact(spare or tree)
            if spare is not None:
                self.stage.place(spare)
            else:
                self.stage.place_copy(tree)
            before = self._parts_now() if tree_bytes(tree) > COPY_LIMIT else ""
        # Where nobody takes it, its file would tell the benchmark from the checks.
        self.token = signing.issue(self.stage.tmp) if self.signs else None
        watch = clock.Watch()
        try:
            done = self._run(side, "benchmark", self.spec.benchmark)
            watch.check()
            return done
        finally:
            # A large tree that a run has left as it was is as good as another copy.
            if before and self._parts_now() == before:
                self.spares[side] = self.stage.put_away()
                self.seals.set(self.spares[side])

    def _parts_now(self) -> str:
        return " ".join(seal.fingerprint(part) for part in self.stage.parts)

    def _decide_layout(self) -> str:
        """Fresh layout for every run where that is free (no build: a new process) or cheap next to a run."""
        if not self.spec.build:
            return "fresh"
        if self.spec.layout == "auto":
            self.fresh = self.spec.runs > 1 or self.spec.mode == "ab"
            self.fresh = self.fresh and max(self.build_seconds.values()) <= self.last_seconds
        else:
            self.fresh = self.spec.layout == "fresh" and (self.spec.runs > 1 or self.spec.mode == "ab")
        if self.fresh and not self._shakes():
            self.fresh = False
            self.out.record("layout", layout="fixed", reason="a rebuild with another seed gives the same native code")
        return "fresh" if self.fresh else "fixed"

    def _shakes(self) -> bool:
        """Whether another build of the same side, with another seed, gives other native code (or has none)."""
        side = "A" if "A" in self.trees else "B"
        before = relink.native_code(self.stage.waiting(self.trees[side]))
        if not before:
            return True
        self._build(side)
        return relink.native_code(self.stage.work) != before

    @contextlib.contextmanager
    def _slot(self) -> Iterator[None]:
        with slots.recorded(self.out.record) as self.execution.slot:
            try:
                yield
            finally:
                self.execution.slot = None

    # --- ends

    def _decision(self, decided: Verdict) -> None:
        self.out.record("decision", **{**decided.to_json(), "seed": self.spec.seed})

    def _invalid(self, failure: Failed) -> int:
        """A metric that contradicts itself: measured, decided, and never kept."""
        used = len(self.samples)
        self._decision(
            Verdict("discard", "invalid", failure.error, runs_used=used, blocks=used // 4, alpha=self.rule.alpha)
        )
        self._end("done", None, failure.error)
        return 0

    def _machine(self, exc: Exception) -> int:
        """A full disk, a missing tool: says nothing about either side, and the session may try again."""
        full = "; free the disk of " + os.path.dirname(self.stage.root) if "No space left" in str(exc) else ""
        self._end("crash", "machine: %s%s" % (exc, full), "machine", base_failed=True)
        return 1

    def _failed(self, failure: Failed) -> int:
        # In an A/B the base is not the candidate's fault: the session must be able to tell.
        base = failure.side == "A" and self.spec.mode == "ab"
        error = "base: " + failure.error if base else failure.error
        self._end(failure.status, error, failure.error, base_failed=base, flaky=failure.flaky)
        return 0 if failure.status == "checks_failed" else 1

    def _end(
        self, status: TrialStatus, error: str | None, reason: str | None, base_failed: bool = False, flaky: bool = False
    ) -> None:
        more = {"flaky": True} if flaky else {}
        self.out.record("end", status=status, error=error, reason=reason, base_failed=base_failed, **more)
        self.out.result(status, error, self.checks.status, self._medians() if status == "done" else {})

    def _medians(self) -> dict[str, float]:
        side = "A" if self.spec.mode == "noise" or "B" not in self.trees else "B"
        found = reading.medians([got for where, got in self.samples if where == side])
        return {n: v for n, v in found.items() if n == self.spec.metric or n not in reading.MEASURED}
