"""Compares two plain commands on this machine: the A/B of `autoresearch ab --a CMD --b CMD`."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from typing import Callable, Mapping, NamedTuple

from autoresearch import metrics, safetext
from autoresearch.trial import environment, procs, reading
from autoresearch.verdict.eprocess import draw_order
from autoresearch.verdict.rule import FIXED_LAYOUT_MARGIN_PCT, Rule
from autoresearch.verdict.sequential import SequentialTest
from autoresearch.verdict.units import is_count
from autoresearch.verdict.verdict import Verdict

USUAL = "time_s"


class Sample(NamedTuple):
    """One counted run: its place in time, its block, its side and the metric's value."""

    slot: int
    block: int
    side: str
    value: float
    seconds: float


class Comparison(NamedTuple):
    """What was found, from which runs, and by which metric."""

    verdict: Verdict
    samples: list[Sample]
    metric: str


class CommandFailed(Exception):
    """A build or a run without a value. `side` is "A" or "B"; `tail` is the cleaned end of its output."""

    def __init__(self, side: str, step: str, problem: str, tail: str, conflict: bool = False) -> None:
        super().__init__("%s of %s: %s" % (step, side, problem))
        self.side = side
        self.step = step
        self.problem = problem
        self.tail = tail
        self.conflict = conflict


def compare_commands(
    a: str,
    b: str,
    build_a: str | None = None,
    build_b: str | None = None,
    *,
    metric: str | None = None,
    direction: str,
    rule: Rule,
    seed: int | str,
    timeout: float = 300.0,
    build_timeout: float = 600.0,
    cwd: str = ".",
    layout: str = "auto",
    values_per_run: int | None = 1,
    on_sample: Callable[[Sample], None] | None = None,
) -> Comparison:
    """Run base `a` and candidate `b` interleaved in `cwd`, in the caller's environment, until it is decided.

    One uncounted warm-up a side, then blocks of four in drawn orders; exactly one call of a command per run.
    Without a `metric`, the base's warm-up chooses it: `time_s`, or the only METRIC that it prints; where neither
    command prints one, the whole command is timed (`wall_s`).
    With builds given, "auto" and "fresh" rebuild before every run; "fixed" builds once and asks for a margin.
    A contradicting metric of `b` gives verdict discard, reason invalid. `CommandFailed` for any other run
    without a value.
    """
    commands = {"A": a, "B": b}
    builds = {"A": build_a, "B": build_b}
    fresh = layout != "fixed" or not (build_a or build_b)
    margin = rule.margin_pct if fresh else max(rule.margin_pct, FIXED_LAYOUT_MARGIN_PCT)
    rule = replace(rule, direction=direction, margin_pct=margin, layout="fresh" if fresh else "fixed")
    order_rng = random.Random(seed)
    layout_rng = random.Random("layout/%s" % seed)
    samples: list[Sample] = []

    def execute(command: str, limit: float) -> procs.Finished:
        env = {**environment.layout(layout_rng), **_without_layout(os.environ)}
        return procs.run(command, env=env, cwd=cwd, timeout=limit)

    def measure(side: str, build: bool) -> procs.Finished:
        step = builds[side]
        if build and step:
            built = execute(step, build_timeout)
            if not built.ok:
                raise CommandFailed(side, "build", built.failure(), safetext.tail(built.output))
        return execute(commands[side], timeout)

    def value_of(side: str, done: procs.Finished) -> float:
        timed = metric is None and chosen == reading.WALL
        got = reading.wall(done) if timed else reading.read(done, chosen, values_per_run)
        if got.value is None:
            raise CommandFailed(side, "run", got.problem or "no value", safetext.tail(done.output), got.conflict)
        return got.value

    test = SequentialTest(rule)
    chosen = metric or reading.WALL
    try:
        warm_up = measure("A", True)
        if metric is None:
            chosen = _chosen(warm_up)
        test = SequentialTest(replace(rule, counted=is_count(chosen)))
        value_of("A", warm_up)
        value_of("B", measure("B", True))
        decided = None
        while decided is None and 4 * (test.blocks + 1) <= rule.max_runs:
            order = draw_order(order_rng)
            block = test.blocks
            values = []
            for i, side in enumerate(order):
                done = measure(side, fresh)
                values.append(value_of(side, done))
                samples.append(Sample(4 * block + i, block, side, values[-1], done.seconds))
                if on_sample is not None:
                    on_sample(samples[-1])
            decided = test.add_block(order, values)
    except CommandFailed as exc:
        if not (exc.conflict and exc.side == "B"):
            raise
        decided = replace(test.verdict(), verdict="discard", reason="invalid", reason_text=exc.problem)
    return Comparison(decided or test.verdict(), samples, chosen)


def _chosen(warm_up: procs.Finished) -> str:
    """The metric that the base's output speaks of; `wall_s` if it speaks of none."""
    names = list(metrics.parse(warm_up.output).samples) if warm_up.ok else []
    if len(names) > 1 and USUAL not in names:
        problem = "it prints several METRICs, choose one with --metric: " + ", ".join(names[:8])
        raise CommandFailed("A", "run", problem, "")
    return reading.WALL if not names else USUAL if USUAL in names else names[0]


def _without_layout(env: Mapping[str, str]) -> dict[str, str]:
    # A hash seed that the caller has set is the caller's choice; our own variables are always fresh.
    return {key: value for key, value in env.items() if not key.startswith(("AUTORESEARCH_LAYOUT", "AUTORESEARCH_PAD"))}
