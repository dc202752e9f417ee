"""The rules that loop tools and benchmark harnesses decide by, restated from their descriptions, and their lab."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from noise_models import Machine
from scipy.special import stdtr


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
