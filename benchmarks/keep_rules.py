"""How often does a keep rule keep noise? Ours and the field's, on simulated machines: one command, one answer.

    python benchmarks/keep_rules.py --quick     # about a minute
    python benchmarks/keep_rules.py             # the figures in results/keep_rules.txt
    python benchmarks/keep_rules.py 5           # one part of it

Part 1 decides single candidates: false keeps when there is no effect, power at 2 % and 5 %, runs used.
Part 2 is our rule alone on every machine: false keeps and runs without effect, power, coverage of the intervals.
Part 3 is our rule beside other work: the machines without layouts and VMs, at the alphas of one test and of a session.
Part 4 plays sessions of 100 ideas (15 good, exponential with mean 3 %; 25 harmful; 60 without effect) and
counts runs, the false among the keeps, and the true gain against the claimed one. The rules see readings only.
Part 5 is our rule on readings of coarse clocks that have many digits but few values, without any effect.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from noise_models import CLOCKS, MODELS, Machine
from peer_rules import (
    Answer,
    Decide,
    Lab,
    bootstrap,
    clean_ab,
    mad_confidence,
    mann_whitney_blocks,
    mann_whitney_interleaved,
    stored_median,
    welch_interleaved,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "helpers"))

from autoresearch.verdict.eprocess import draw_order
from autoresearch.verdict.rule import FIXED_LAYOUT_MARGIN_PCT, Rule, next_alpha
from autoresearch.verdict.sequential import SequentialTest

IDEAS = 100


def ours(session: bool = False, margin_pct: float = 0.0) -> Decide:
    """The block e-process of `autoresearch.verdict`, alpha 0.02, or by the session's e-LOND account."""

    def decide(lab: Lab) -> Answer:
        lab.tests += 1
        alpha = next_alpha(lab.tests, lab.keeps) if session else 0.02
        rule = Rule(alpha=alpha, margin_pct=margin_pct)
        test = SequentialTest(rule)
        reason = "undecided"
        while reason == "undecided":
            order, vm = draw_order(lab.rng), lab.machine.pick_vm()
            reason = test.step(order, [math.exp(lab.a(vm) if s == "A" else lab.b(vm)) for s in order])
        lab.keeps += reason == "proven"
        return reason == "proven", float(
            np.mean(np.log(test.side("A"))) - np.mean(np.log(test.side("B"))) if reason == "proven" else 0.0
        )

    return decide


@dataclass(frozen=True)
class Entry:
    """A row of the tables: `stored` readings of the base before the first decision; fresh layouts or not."""

    name: str
    make: Callable[[], Decide]
    stored: int = 0
    fresh: bool = False
    single: bool = True


RULES = (
    Entry("single run below best", lambda: stored_median(1), stored=1),
    Entry("median of 5 below best", lambda: stored_median(5), stored=5),
    Entry("median of 5, 1 % threshold", lambda: stored_median(5, 0.01), stored=5),
    Entry("... + clean A/B, medians", lambda: clean_ab(gates=False), stored=5),
    Entry("... + sd gates 5 % / 2 %", lambda: clean_ab(gates=True), stored=5),
    Entry("MAD confidence >= 2", lambda: mad_confidence, stored=5),
    Entry("Mann-Whitney 10+10, blocks", lambda: mann_whitney_blocks),
    Entry("Mann-Whitney 10+10, alternating", lambda: mann_whitney_interleaved),
    Entry("Welch 10+10, alternating", lambda: welch_interleaved),
    Entry("bootstrap 20+20, 1 % threshold", lambda: bootstrap, stored=20),
    Entry("ours: block e-process", ours),
    Entry("ours, one build, margin", lambda: ours(margin_pct=FIXED_LAYOUT_MARGIN_PCT)),
    Entry("ours + fresh layouts", ours, fresh=True),
    Entry("ours + fresh layouts + e-LOND", lambda: ours(session=True), fresh=True, single=False),
)
FRESH = next(i for i, entry in enumerate(RULES) if entry.fresh)


def new_lab(entry: Entry, model: str, cv: float, numbers: np.random.Generator, rng: random.Random) -> Lab:
    """A machine on which the base has been measured once, as the rule wants it."""
    machine = Machine(model, cv, numbers, fresh=entry.fresh)
    lab = Lab(machine, rng, layout_a=machine.build())
    if entry.stored:
        lab.stored = lab.batch("A", entry.stored)
        lab.history.append(float(np.median(lab.stored)))
    return lab


def single(entry: Entry, model: str, cv: float, gain_pct: float, count: int, seed: int) -> tuple[float, float]:
    """Share of candidates kept, and mean runs for each."""
    numbers, rng = np.random.default_rng(seed), random.Random(seed)
    kept = runs = 0
    for _ in range(count):
        lab = new_lab(entry, model, cv, numbers, rng)
        if entry.make().__name__ == "mad_confidence":
            # Its scale is the session's spread: ten earlier experiments without effect.
            lab.history += [float(np.median(lab.batch("A", 5))) for _ in range(10)]
        lab.layout_b = lab.machine.build()
        lab.gain = -math.log1p(-gain_pct / 100.0)
        lab.runs = 0
        kept += entry.make()(lab)[0]
        runs += lab.runs
    return kept / count, runs / count


@dataclass
class Played:
    """Sums over sessions; gains in log units."""

    runs: int = 0
    keeps: int = 0
    junk: int = 0
    true: float = 0.0
    claimed: float = 0.0
    verified: float = 0.0
    squared_error: float = 0.0


def play(entry: Entry, model: str, cv: float, count: int, seed: int) -> Played:
    """`count` sessions of 100 ideas; `verified` is one fresh comparison of tip and original, 40 runs."""
    numbers, rng = np.random.default_rng(seed), random.Random(seed)
    total = Played()
    for session in range(count):
        luck = random.Random(1000 * seed + session)  # the same ideas for every rule
        ideas = [luck.expovariate(1 / 0.03) for _ in range(15)]
        ideas += [-luck.expovariate(1 / 0.03) for _ in range(25)] + [0.0] * 60
        luck.shuffle(ideas)
        lab = new_lab(entry, model, cv, numbers, rng)
        original = lab.layout_a
        decide = entry.make()
        for gain in ideas:
            lab.gain, lab.layout_b = gain, lab.machine.build()
            keep, claimed = decide(lab)
            if keep:
                total.keeps += 1
                total.junk += gain <= 0.0
                total.claimed += claimed
                lab.base_gain += gain
                lab.layout_a = lab.layout_b
        total.runs += lab.runs
        total.true += lab.base_gain
        verified = _verify(lab, original)
        total.verified += verified
        total.squared_error += (verified - lab.base_gain) ** 2
    return total


def _verify(lab: Lab, original: float) -> float:
    gaps = []
    for _ in range(10):
        vm = lab.machine.pick_vm()
        order = draw_order(lab.rng)
        y = [
            lab.machine.read(lab.base_gain, lab.layout_a, vm) if s == "B" else lab.machine.read(0.0, original, vm)
            for s in order
        ]
        gaps.append(sum(v if s == "A" else -v for s, v in zip(order, y, strict=True)) / 2)
    return float(np.mean(gaps))


@dataclass
class Covered:
    """Intervals at the stop of tests with a true gain: how many held it, among all and among the keeps."""

    bounded: int = 0
    held: int = 0
    keeps: int = 0
    keeps_held: int = 0
    width: float = 0.0


def coverage(model: str, cv: float, gain_pct: float, count: int, seed: int) -> Covered:
    """Intervals (percent) of our rule when it stops by itself; one that is unbounded does not count."""
    numbers, rng = np.random.default_rng(seed), random.Random(seed)
    total = Covered()
    for _ in range(count):
        lab = new_lab(RULES[FRESH], model, cv, numbers, rng)
        lab.gain = -math.log1p(-gain_pct / 100.0)
        test = SequentialTest(Rule())
        found = None
        while found is None:
            order, vm = draw_order(rng), lab.machine.pick_vm()
            found = test.add_block(order, [math.exp(lab.a(vm) if s == "A" else lab.b(vm)) for s in order])
        if found.ci_low_pct is None or found.ci_high_pct is None:
            continue
        held = found.ci_low_pct <= gain_pct <= found.ci_high_pct
        total.bounded += 1
        total.held += held
        if found.verdict == "keep":
            total.keeps += 1
            total.keeps_held += held
            total.width += found.ci_high_pct - found.ci_low_pct
    return total


def beside(model: str, alpha: float, gain_pct: float, count: int, seed: int) -> tuple[float, float]:
    """Share of the tests kept and mean runs at cv 2 %: the machine's weather alone."""
    numbers, rng = np.random.default_rng(seed), random.Random(seed)
    gain = -math.log1p(-gain_pct / 100.0)
    kept = runs = 0
    for _ in range(count):
        machine, test = Machine(model, 0.02, numbers, fresh=False), SequentialTest(Rule(alpha=alpha))
        reason = "undecided"
        while reason == "undecided":
            order = draw_order(rng)
            reason = test.step(order, [math.exp(machine.read(gain if s == "B" else 0.0)) for s in order])
        kept += reason == "proven"
        runs += 4 * test.blocks
    return kept / count, runs / count


NULLS = (
    ("iid", 0.02),
    ("heavy", 0.02),
    ("drift", 0.02),
    ("neighbour", 0.02),
    ("vm", 0.005),
    ("layout", 0.005),
    ("cloud", 0.02),
)
CVS = (0.005, 0.02, 0.05, 0.10)
WEATHER = ("iid", "heavy", "drift", "neighbour", "cloud", "burst12", "burst25", "regime")
ALPHAS, GAINS = (0.02, 0.002), (0.0, 2.0, 5.0, 7.7)
SESSIONS = (("iid", 0.02), ("neighbour", 0.02), ("cloud", 0.02), ("cloud", 0.05))


def percent(log_gain: float) -> float:
    return 100.0 * (1.0 - math.exp(-log_gain))


# What a worker process does: an entry's number instead of the entry, which holds functions.
Cell = tuple[int, str, float, float, int, int]


def single_cell(cell: Cell) -> tuple[float, float]:
    number, *rest = cell
    return single(RULES[number], *rest)


def play_cell(cell: tuple[int, str, float, int, int]) -> Played:
    number, *rest = cell
    return play(RULES[number], *rest)


def coverage_cell(cell: tuple[str, float, float, int, int]) -> Covered:
    return coverage(*cell)


def part_1(pool: ProcessPoolExecutor, count: int, seed: int) -> None:
    width = max(len(entry.name) for entry in RULES)
    print(f"1. Single decisions, {count} each. False keeps % when nothing changed, by machine (cv %);")
    print("   power % at a gain of 2 % and 5 % (iid, cv 2 %); mean runs without effect and at 5 %.\n")
    heads = [f"{model[:9]} {100 * cv:g}" for model, cv in NULLS]
    print(" ".join([" " * width, *(f"{h:>11}" for h in heads), "|  2 %   5 %  | runs  at 5 %"]))
    for number, entry in enumerate(RULES):
        if not entry.single:
            continue
        cells: list[Cell] = [(number, model, cv, 0.0, count, seed) for model, cv in NULLS]
        cells += [(number, "iid", 0.02, gain, count, seed) for gain in (2.0, 5.0)]
        *nulls, two, five = pool.map(single_cell, cells)
        row = "".join(f"{100 * kept:>12.1f}" for kept, _ in nulls)
        tail = f" | {100 * two[0]:>4.0f}  {100 * five[0]:>4.0f}  | {nulls[0][1]:>4.1f}  {five[1]:>5.1f}"
        print(f"{entry.name:<{width}}{row}{tail}", flush=True)


def part_2(pool: ProcessPoolExecutor, count: int, seed: int) -> None:
    print(f"\n2. {RULES[FRESH].name}, {count} each: false keeps % / mean runs when nothing changed, by cv;")
    print("   power % / mean runs at cv 2 %; intervals at the stop for a true gain of 5 % at cv 2 %: how many")
    print("   hold it, among all and among the keeps, and their mean width for keeps.\n")
    heads = [*(f"cv {100 * cv:g} %" for cv in CVS), "2 %", "5 %"]
    print(" " * 10 + "".join(f"{h:>13}" for h in heads) + "   hold: all  keeps  width")
    for model in MODELS:
        asked: list[Cell] = [(FRESH, model, cv, 0.0, count, seed) for cv in CVS]
        asked += [(FRESH, model, 0.02, gain, count, seed) for gain in (2.0, 5.0)]
        told = pool.submit(coverage_cell, (model, 0.02, 5.0, count // 4, seed))
        row = "".join(f"{100 * kept:>6.1f} /{runs:>5.1f}" for kept, runs in pool.map(single_cell, asked))
        c = told.result()
        print(
            f"{model:<10}{row}   {100 * c.held / c.bounded:>9.1f} {100 * c.keeps_held / c.keeps:>6.1f} "
            f"{c.width / c.keeps:>6.1f}",
            flush=True,
        )


def beside_cell(cell: tuple[str, float, float, int, int]) -> tuple[float, float]:
    return beside(*cell)


def part_3(pool: ProcessPoolExecutor, count: int, seed: int) -> None:
    print(
        f"\n3. Ours beside other work, {count} each, cv 2 %, without layouts and VMs: keep % / mean runs by gain, at an"
    )
    print("   alpha of 0.02 and of 0.002. burst12, burst25: 12 or 25 % of the runs take x1.2 to x2; regime: x1.7 for")
    print("   30 % of the time, in stretches of about 6 runs.\n")
    print(" " * 10 + "   |".join("".join(f"{'null' if g == 0 else f'{g:g} %':>13}" for g in GAINS) for _ in ALPHAS))
    for model in WEATHER:
        cells = [(model, alpha, gain, count, seed) for alpha in ALPHAS for gain in GAINS]
        told = [f"{100 * kept:>6.1f} /{runs:>5.1f}" for kept, runs in pool.map(beside_cell, cells)]
        rows = ["".join(told[i : i + len(GAINS)]) for i in range(0, len(told), len(GAINS))]
        print(f"{model:<10}" + "   |".join(rows), flush=True)


def part_4(pool: ProcessPoolExecutor, sessions: int, seed: int) -> None:
    width = max(len(entry.name) for entry in RULES)
    print(f"\n4. Sessions of {IDEAS} ideas, {sessions} each: runs; false among the keeps; true -> claimed gain,")
    print("   (verified: one fresh comparison of the tip with the original, 40 runs more; +- its root mean square")
    print("   error in points); true gain per 1,000 runs.\n")
    for model, cv in SESSIONS:
        print(f"{model}, cv {100 * cv:g} %")
        cells = [(number, model, cv, sessions, seed) for number in range(len(RULES))]
        for entry, p in zip(RULES, pool.map(play_cell, cells), strict=True):
            true, claimed, verified = (percent(x / sessions) for x in (p.true, p.claimed, p.verified))
            error = 100.0 * math.sqrt(p.squared_error / sessions) * math.exp(-p.true / sessions)
            print(
                f"  {entry.name:<{width}} {p.runs / sessions:>6.0f} runs  {100 * p.junk / max(1, p.keeps):>4.1f} % "
                f"false of {p.keeps / sessions:>4.1f} keeps  {true:>5.1f} -> {claimed:>5.1f} % "
                f"({verified:.1f} +- {error:.1f} %)  {1000 * true * sessions / p.runs:>5.1f}",
                flush=True,
            )


def clock_cell(cell: tuple[str, float, int, int]) -> tuple[float, float, float]:
    """Shares of the tests kept, and kept as exact, and mean runs, with one clock on both sides."""
    name, alpha, count, seed = cell
    direction, read = CLOCKS[name]
    numbers, rng, reasons, runs = np.random.default_rng(seed), random.Random(seed), [], 0
    for _ in range(count):
        test, reason = SequentialTest(Rule(alpha=alpha, direction=direction)), "undecided"
        while reason == "undecided":
            order = draw_order(rng)
            reason = test.step(order, [read(numbers) for _ in order])
        reasons.append(reason)
        runs += 4 * test.blocks
    exact = reasons.count("deterministic")
    return (reasons.count("proven") + exact) / count, exact / count, runs / count


def part_5(pool: ProcessPoolExecutor, count: int, seed: int) -> None:
    print(
        f"\n5. Ours on coarse readings without any effect, {count} each: keep % (as exact) / mean runs, at an alpha of"
    )
    print("   0.02 and of 0.001.\n")
    cells = [(name, alpha, count, seed) for name in CLOCKS for alpha in (0.02, 0.001)]
    told = [f"{100 * k:>7.2f} ({100 * e:.2f}) /{runs:>5.1f}" for k, e, runs in pool.map(clock_cell, cells)]
    for number, name in enumerate(CLOCKS):
        print(f"{name:<42}{told[2 * number]}   |{told[2 * number + 1]}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", type=int, metavar="PART", help="1 to 5 (default: all)")
    parser.add_argument("--quick", action="store_true", help="a twentieth of the replicates, about a minute")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    count, sessions = (400, 10) if options.quick else (10_000, 300)
    begun = time.monotonic()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for number, (part, size) in enumerate(
            ((part_1, count), (part_2, count), (part_3, count // 2), (part_4, sessions), (part_5, count)), 1
        ):
            if not options.parts or number in options.parts:
                part(pool, size, options.seed)
    print(f"\n{time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
