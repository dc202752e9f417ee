"""Compares two plain commands on this machine: the A/B of `autoresearch ab --a CMD --b CMD`."""

from __future__ import annotations

import contextlib
import math
import os
import random
import re
import shutil
from dataclasses import replace
from typing import Callable, ContextManager, Mapping, NamedTuple, Sequence

from autoresearch import metrics, safetext
from autoresearch.trial import environment, procs, reading, relink
from autoresearch.trial.conditions import Met, Meter, own_seconds
from autoresearch.verdict.eprocess import draw_order
from autoresearch.verdict.rule import FIXED_LAYOUT_MARGIN_PCT, Rule
from autoresearch.verdict.sequential import SequentialTest
from autoresearch.verdict.units import is_count, is_rate
from autoresearch.verdict.verdict import Verdict

USUAL, MEAN = "time_s", "geomean_"
_QUOTED = re.compile(r"'[^']*'|\"(?:[^\"\\]|\\.)*\"|\\.|[<>]&[0-9-]", re.DOTALL)
_FIRST_WORD = re.compile(r"\s*(?:\"([^\"$`\\]+)\"|([\w@%+:,./-]+))(?=\s|$)")

Pin = Callable[[int], ContextManager[Sequence[int]]]


class Sample(NamedTuple):
    """One counted run: its place in time, its block, its side and the metric's value, and what it took and met."""

    slot: int
    block: int
    side: str
    value: float
    seconds: float
    cpu_seconds: float
    met: Met


class Comparison(NamedTuple):
    """What was found, from which runs, by which metric, and on which CPUs (none: on any)."""

    verdict: Verdict
    samples: list[Sample]
    metric: str
    cpus: Sequence[int]


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
    direction: str | None,
    rule: Rule,
    seed: int | str,
    timeout: float = 300.0,
    build_timeout: float = 600.0,
    cwd: str = ".",
    layout: str = "auto",
    values_per_run: int | None = 1,
    on_sample: Callable[[Sample], None] | None = None,
    pin: Pin | None = None,
    through: Callable[[Callable[[], procs.Finished]], procs.Finished] | None = None,
) -> Comparison:
    """Run base `a` and candidate `b` interleaved in `cwd`, in the caller's environment, until it is decided.

    One uncounted warm-up a side, then blocks of four in drawn orders; exactly one call of a command per run.
    Without a `metric`, the base's warm-up chooses it: `time_s`, a mean, or the only METRIC that it prints; where
    neither command prints one, the whole command is timed, without its wait for a core (`own_s`), or where that is not
    known of a side, with it (`wall_s`). Without a `direction` a rate is to rise, all else to fall.
    `through` is given each run of a command to carry it out; what it returns is read.
    With both builds given, "auto" and "fresh" rebuild before every run, where that gives other native code. Else, and
    with "fixed", the layout is fixed: a margin is asked for, unless the metric is a count.
    The warm-ups run anywhere, and tell how many cores a run keeps busy; the others on the CPUs that `pin` gives for it.
    A contradicting metric of `b` gives verdict discard, reason invalid. `CommandFailed` for any other run
    without a value.
    """
    commands = {"A": direct(a), "B": direct(b)}
    builds = {"A": build_a, "B": build_b}
    fresh = layout != "fixed" and bool(build_a and build_b)
    order_rng = random.Random(seed)
    layout_rng = random.Random("layout/%s" % seed)
    samples: list[Sample] = []
    cpus: Sequence[int] = ()

    def execute(command: str, limit: float, meter: Meter | None = None) -> procs.Finished:
        env = {**environment.layout(layout_rng), **_without_layout(os.environ)}
        pinned = cpus if meter is not None else ()
        return procs.run(command, env=env, cwd=cwd, timeout=limit, cpus=pinned, meter=meter)

    def measure(side: str, build: bool) -> procs.Finished:
        step = builds[side]
        if build and step:
            built = execute(step, build_timeout)
            if not built.ok:
                raise CommandFailed(side, "build", built.failure(), safetext.tail(built.output))
        if through is None:
            return execute(commands[side], timeout, Meter(cpus))
        return through(lambda: execute(commands[side], timeout, Meter(cpus)))

    def value_of(side: str, done: procs.Finished) -> float:
        timed = metric is None and chosen in (reading.WALL, reading.OWN)
        got = reading.wall(done) if timed else reading.read(done, chosen, values_per_run, expected=expected)
        if got.value is None:
            raise CommandFailed(side, "run", got.problem or "no value", safetext.tail(done.output), got.conflict)
        return _own(done, largest=(side == "A") == (direction == "higher")) if chosen == reading.OWN else got.value

    test = SequentialTest(rule)
    chosen = metric or reading.WALL
    expected = None
    with contextlib.ExitStack() as stack:
        try:
            warm_up = measure("A", True)
            if fresh:
                before = relink.native_code(cwd)
                warm_up = measure("A", True)
                fresh = relink.native_code(cwd) != before
            if metric is None:
                chosen = _chosen(warm_up)
            way, counted = direction or ("higher" if is_rate(chosen) else "lower"), is_count(chosen)
            margin = rule.margin_pct if fresh or counted else max(rule.margin_pct, FIXED_LAYOUT_MARGIN_PCT)
            layout = "fresh" if fresh else "fixed"
            test = SequentialTest(replace(rule, direction=way, counted=counted, margin_pct=margin, layout=layout))
            value_of("A", warm_up)
            measured = reading.read(warm_up, chosen, None).measured
            expected = reading.Expected(frozenset(), None, measured)
            other = measure("B", True)
            value_of("B", other)
            if chosen == reading.WALL and metric is None and None not in (warm_up.met.waited, other.met.waited):
                chosen = reading.OWN
            if pin is not None:
                cpus = stack.enter_context(pin(max(map(_cores, (warm_up, other)))))
            decided = None
            while decided is None and 4 * (test.blocks + 1) <= rule.max_runs:
                order = draw_order(order_rng)
                block = test.blocks
                values = []
                for i, side in enumerate(order):
                    done = measure(side, fresh)
                    values.append(value_of(side, done))
                    place = 4 * block + i
                    samples.append(Sample(place, block, side, values[-1], done.seconds, done.cpu_seconds, done.met))
                    if on_sample is not None:
                        on_sample(samples[-1])
                decided = test.add_block(order, values)
        except CommandFailed as exc:
            if not (exc.conflict and exc.side == "B"):
                raise
            decided = replace(test.verdict(), verdict="discard", reason="invalid", reason_text=exc.problem)
    return Comparison(decided or test.verdict(), samples, chosen, cpus)


def direct(line: str) -> str:
    """A shell line of one program as one that becomes that program, so that its wait for a core is the work's."""
    first = _FIRST_WORD.match(line)
    several = re.search(r"[;|&()`\n]", _QUOTED.sub("", line))
    return "exec " + line if first and not several and shutil.which(first[1] or first[2]) else line


def _own(done: procs.Finished, largest: bool) -> float:
    """Own time of a run; where its wait is not known for once, the most or the least that it may be."""
    if done.met.waited is None:
        return done.seconds if largest else min(done.seconds, done.cpu_seconds)
    return own_seconds(done.seconds, done.cpu_seconds, done.met.waited)


def _cores(done: procs.Finished) -> int:
    """Cores that a run keeps busy: by half a core too few, another would be idle most of the time."""
    spent = own_seconds(done.seconds, done.cpu_seconds, done.met.waited or 0.0)
    return max(1, math.ceil(done.cpu_seconds / spent / 1.3)) if spent > 0.05 else 1


def _chosen(warm_up: procs.Finished) -> str:
    """The metric that the base's output speaks of; `wall_s` if it speaks of none."""
    names = list(metrics.parse(warm_up.output).samples) if warm_up.ok else []
    usual = next((name for name in names if name == USUAL or name.startswith(MEAN)), None)
    if len(names) > 1 and usual is None:
        problem = "it prints several METRICs, choose one with --metric: " + ", ".join(names[:8])
        raise CommandFailed("A", "run", problem, "")
    return reading.WALL if not names else usual or names[0]


def _without_layout(env: Mapping[str, str]) -> dict[str, str]:
    # A hash seed that the caller has set is the caller's choice; our own variables are always fresh.
    return {key: value for key, value in env.items() if not key.startswith(("AUTORESEARCH_LAYOUT", "AUTORESEARCH_PAD"))}
