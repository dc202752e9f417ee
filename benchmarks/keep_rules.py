"""How often does a keep rule keep noise? Ours and the field's, on simulated machines: one command, one answer.

    python benchmarks/keep_rules.py --quick     # under a minute
    python benchmarks/keep_rules.py             # the figures in results/keep_rules.txt

Part 1 decides single candidates: false keeps when there is no effect, power at 2 % and 5 %, runs used.
Part 2 plays sessions of 100 ideas (15 good, exponential with mean 3 %; 25 harmful; 60 without effect) and
counts runs, the false among the keeps, and the true gain against the claimed one. The rules see readings only.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from noise_models import Machine
from scipy.special import stdtr

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "helpers"))

from autoresearch.verdict import Rule, SequentialTest, draw_order, next_alpha

IDEAS = 100


@dataclass
class Lab:
    """A machine with two builds on it. `runs` counts every reading; all values are logs, smaller is better."""

    machine: Machine
    rng: random.Random
    gain: float = 0.0
    layout_a: float = 0.0
    layout_b: float = 0.0
    base_gain: float = 0.0  # what the session has gained so far
    runs: int = 0
    stored: list[float] = field(default_factory=list)  # readings of the best, kept from earlier
    history: list[float] = field(default_factory=list)  # metrics of earlier experiments
    tests: int = 0
    keeps: int = 0

    def a(self, vm: float) -> float:
        """One reading of the base."""
        self.runs += 1
        return self.machine.read(self.base_gain, self.layout_a, vm)

    def b(self, vm: float) -> float:
        """One reading of the candidate."""
        self.runs += 1
        return self.machine.read(self.base_gain + self.gain, self.layout_b, vm)

    def batch(self, side: str, count: int, vm: float | None = None) -> list[float]:
        """Readings of one side in a row, on one VM."""
        where = self.machine.pick_vm() if vm is None else vm
        return [self.a(where) if side == "A" else self.b(where) for _ in range(count)]


# A rule answers keep and the gain (log) that it would write into its log.
Answer = tuple[bool, float]
Decide = Callable[[Lab], Answer]


def stored_median(count: int, threshold: float = 0.0) -> Decide:
    """Median of `count` runs below the stored best by at least `threshold`: what most loops do (count 1 or 5)."""

    def decide(lab: Lab) -> Answer:
        values = lab.batch("B", count)
        gain = float(np.median(lab.stored) - np.median(values))
        if gain > threshold:
            lab.stored = values
        return gain > threshold, gain

    return decide


def clean_ab(gates: bool) -> Decide:
    """Median of 5 below the stored best, then both sides measured again, five and five, medians compared.

    With gates: a spread above 5 % in any block of five refuses; above 2 % asks for one more A/B.
    """

    def decide(lab: Lab) -> Answer:
        first = lab.batch("B", 5)
        if not np.median(first) < np.median(lab.stored):
            return False, 0.0
        repeats = 1
        spread = float(np.std(first, ddof=1))
        gain = 0.0
        done = 0
        while done < repeats:
            vm = lab.machine.pick_vm()
            base, candidate = lab.batch("A", 5, vm), lab.batch("B", 5, vm)
            gain = float(np.median(base) - np.median(candidate))
            if gain <= 0.0:
                return False, 0.0
            if gates:
                spread = max(spread, float(np.std(base, ddof=1)), float(np.std(candidate, ddof=1)))
                if spread > 0.05:
                    return False, 0.0
                repeats = 2 if spread > 0.02 else 1
            done += 1
            lab.stored = candidate if done == repeats else lab.stored
        return True, gain

    return decide


def mad_confidence(lab: Lab) -> Answer:
    """pi-autoresearch's confidence taken literally: |median of 5 - best| / MAD of the session's metrics >= 2."""
    values = lab.batch("B", 5)
    metric, best = float(np.median(values)), float(np.median(lab.stored))
    lab.history.append(metric)
    centre = np.median(lab.history)
    mad = float(np.median(np.abs(np.array(lab.history) - centre)))
    keep = metric < best and (best - metric) >= 2.0 * mad and len(lab.history) >= 3
    if keep:
        lab.stored = values
    return keep, best - metric


def _mann_whitney(base: list[float], candidate: list[float]) -> Answer:
    """10 + 10, two-sided 5 %: U >= 77 is the exact critical value."""
    below = int((np.array(candidate)[None, :] < np.array(base)[:, None]).sum())
    return below >= 77, float(np.median(base) - np.median(candidate))


def mann_whitney_blocks(lab: Lab) -> Answer:
    """benchstat habit: ten runs of the old binary, then ten of the new, Mann-Whitney at 5 %."""
    vm = lab.machine.pick_vm()
    base = lab.batch("A", 10, vm)
    return _mann_whitney(base, lab.batch("B", 10, vm))


def _interleaved(lab: Lab, count: int) -> tuple[list[float], list[float]]:
    vm = lab.machine.pick_vm()
    pairs = [(lab.a(vm), lab.b(vm)) for _ in range(count)]
    return [p[0] for p in pairs], [p[1] for p in pairs]


def mann_whitney_interleaved(lab: Lab) -> Answer:
    """The same, alternating."""
    return _mann_whitney(*_interleaved(lab, 10))


def welch_interleaved(lab: Lab) -> Answer:
    """Welch's t-test on 10 + 10 alternating runs, two-sided 5 %."""
    base, candidate = _interleaved(lab, 10)
    va, vb = np.var(base, ddof=1) / 10, np.var(candidate, ddof=1) / 10
    gain = float(np.mean(base) - np.mean(candidate))
    df = (va + vb) ** 2 / ((va**2 + vb**2) / 9)
    return bool(stdtr(df, -gain / math.sqrt(va + vb)) < 0.025), gain


def bootstrap(lab: Lab) -> Answer:
    """Criterion-like: 20 runs against 20 stored ones, bootstrap 95 % interval of the ratio of means below -1 %."""
    values = lab.batch("B", 20)
    old, new = np.exp(lab.stored), np.exp(values)
    numbers = lab.machine.rng
    means = [side[numbers.integers(len(side), size=(400, len(side)))].mean(axis=1) for side in (old, new)]
    change = means[1] / means[0] - 1.0
    keep = bool(np.quantile(change, 0.975) < -0.01)
    gain = float(math.log(old.mean() / new.mean()))
    if keep:
        lab.stored = values
    return keep, gain


def ours(session: bool = False) -> Decide:
    """The block e-process of `autoresearch.verdict`, alpha 0.02, or by the session's e-LOND account."""

    def decide(lab: Lab) -> Answer:
        lab.tests += 1
        rule = Rule(alpha=next_alpha(lab.tests, lab.keeps)) if session else Rule()
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
    Entry("ours + fresh layouts", ours, fresh=True),
    Entry("ours + fresh layouts + e-LOND", lambda: ours(session=True), fresh=True, single=False),
)


def new_lab(entry: Entry, model: str, cv: float, numbers: np.random.Generator, rng: random.Random) -> Lab:
    """A machine on which the base has been measured once, as the rule wants it."""
    machine = Machine(model, cv, numbers, fresh=entry.fresh)
    lab = Lab(machine, rng, layout_a=machine.build())
    if entry.stored:
        lab.stored = lab.batch("A", entry.stored)
        lab.history.append(float(np.median(lab.stored)))
    return lab


def single(
    entry: Entry, model: str, cv: float, gain_pct: float, count: int, seed: int
) -> tuple[float, float]:
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
        total.verified += _verify(lab, original)
    return total


def _verify(lab: Lab, original: float) -> float:
    gaps = []
    for _ in range(10):
        vm = lab.machine.pick_vm()
        order = draw_order(lab.rng)
        y = [
            lab.machine.read(lab.base_gain, lab.layout_a, vm)
            if s == "B"
            else lab.machine.read(0.0, original, vm)
            for s in order
        ]
        gaps.append(sum(v if s == "A" else -v for s, v in zip(order, y, strict=True)) / 2)
    return float(np.mean(gaps))


NULLS = (
    ("iid", 0.02),
    ("heavy", 0.02),
    ("drift", 0.02),
    ("neighbour", 0.02),
    ("vm", 0.005),
    ("layout", 0.005),
    ("cloud", 0.02),
)
SESSIONS = (("iid", 0.02), ("neighbour", 0.02), ("cloud", 0.02), ("cloud", 0.05))


def percent(log_gain: float) -> float:
    return 100.0 * (1.0 - math.exp(-log_gain))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a twentieth of the replicates, under a minute")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    count, sessions = (400, 10) if options.quick else (10_000, 300)
    begun = time.monotonic()
    width = max(len(entry.name) for entry in RULES)
    print(f"1. Single decisions, {count} each. False keeps % when nothing changed, by machine (cv %);")
    print("   power % at a gain of 2 % and 5 % (iid, cv 2 %); mean runs without effect and at 5 %.\n")
    heads = [f"{model[:9]} {100 * cv:g}" for model, cv in NULLS]
    print(" ".join([" " * width, *(f"{h:>11}" for h in heads), "|  2 %   5 %  | runs  at 5 %"]))
    for entry in RULES:
        if not entry.single:
            continue
        cells = [single(entry, model, cv, 0.0, count, options.seed) for model, cv in NULLS]
        two, five = (single(entry, "iid", 0.02, g, count, options.seed) for g in (2.0, 5.0))
        row = "".join(f"{100 * kept:>12.1f}" for kept, _ in cells)
        tail = f" | {100 * two[0]:>4.0f}  {100 * five[0]:>4.0f}  | {cells[0][1]:>4.1f}  {five[1]:>5.1f}"
        print(f"{entry.name:<{width}}{row}{tail}", flush=True)
    print(
        f"\n2. Sessions of {IDEAS} ideas, {sessions} each: runs; false among the keeps; true -> claimed gain,"
    )
    print("   (verified: one fresh comparison of the tip with the original, 40 runs more).\n")
    for model, cv in SESSIONS:
        print(f"{model}, cv {100 * cv:g} %")
        for entry in RULES:
            p = play(entry, model, cv, sessions, options.seed)
            true, claimed, verified = (percent(x / sessions) for x in (p.true, p.claimed, p.verified))
            junk = 100 * p.junk / max(1, p.keeps)
            print(
                f"  {entry.name:<{width}} {p.runs / sessions:>6.0f} runs  {junk:>3.0f} % false of "
                f"{p.keeps / sessions:>4.1f} keeps  {true:>5.1f} -> {claimed:>5.1f} % ({verified:.1f} %)",
                flush=True,
            )
    print(f"\n{time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
