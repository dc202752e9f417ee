"""Simulated machines: log-noise series for the noise models that the keep rules are judged on.

log(time) = -gain + layout(build) + vm + environment(slot) + white noise. `cv` is the sd of the quiet part.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
MODELS = ("iid", "heavy", "drift", "neighbour", "layout", "vm", "cloud", "burst12", "burst25", "regime")
# The share of the runs that other work holds up.
BURSTS = {"burst12": 0.12, "burst25": 0.25}
# The bias of one build's memory layout, as an sd in log units.
LAYOUT_SD = {"layout": 0.0075, "cloud": 0.005}
# The offset of a virtual machine among four.
VM_SD = {"vm": 0.03, "cloud": 0.02}


def _autoregressive(rng: np.random.Generator, n: int, sd: float, phi: float = 0.98) -> Array:
    """A stationary AR(1) series with the given sd."""
    steps = rng.normal(0.0, sd * np.sqrt(1.0 - phi * phi), n)
    out = np.empty(n)
    level = rng.normal(0.0, sd)
    for i in range(n):
        level = phi * level + steps[i]
        out[i] = level
    return out


def _stretches(rng: np.random.Generator, n: int, share: float, stretch: float, slower: tuple[float, float]) -> Array:
    """A two-state regime: `share` of the time in stretches of about `stretch` runs, slower by a share in that range."""
    out = np.zeros(n)
    busy = bool(rng.random() < share)
    i = 0
    while i < n:
        length = int(rng.geometric(1.0 / (stretch if busy else stretch * (1.0 - share) / share)))
        if busy:
            out[i : i + length] = np.log1p(rng.uniform(*slower))
        i += length
        busy = not busy
    return out


def _neighbour(rng: np.random.Generator, n: int, share: float) -> Array:
    return _stretches(rng, n, share, 15.0, (0.05, 0.30))


def _heavy(rng: np.random.Generator, n: int, cv: float) -> Array:
    """Core 0.5 cv plus 8 % one-sided exponential outliers; total sd = cv."""
    share = 0.08
    # Var of an exponential of mean m that is there with probability p: p (2 - p) m^2.
    size = cv * np.sqrt(0.75 / (share * (2.0 - share)))
    return rng.normal(0.0, 0.5 * cv, n) + (rng.random(n) < share) * rng.exponential(size, n)


def series(model: str, cv: float, n: int, rng: np.random.Generator) -> Array:
    """Log noise of `n` runs in time order on one machine, without layout and VM offsets."""
    if model == "heavy":
        return _heavy(rng, n, cv)
    if model == "drift":
        return _autoregressive(rng, n, 0.8 * cv) + rng.normal(0.0, 0.6 * cv, n)
    if model == "neighbour":
        return rng.normal(0.0, cv, n) + _neighbour(rng, n, 0.20)
    if model == "cloud":
        return _heavy(rng, n, cv) + _autoregressive(rng, n, 0.3 * cv) + _neighbour(rng, n, 0.10)
    if model in BURSTS:
        held_up = rng.random(n) < BURSTS[model]
        return rng.normal(0.0, cv, n) + held_up * np.log(rng.uniform(1.2, 2.0, n))
    if model == "regime":  # the two speeds of a core whose sibling thread another guest uses
        return _stretches(rng, n, 0.30, 6.0, (0.70, 0.70)) + rng.normal(0.0, cv, n)
    if model in ("iid", "layout", "vm"):
        return rng.normal(0.0, cv, n)
    raise ValueError(f"no noise model {model!r}")


@dataclass
class Machine:
    """One simulated machine; every reading takes the next slot of its weather."""

    model: str
    cv: float
    rng: np.random.Generator
    fresh: bool = True  # a new layout for every run; else `build` decides

    def __post_init__(self) -> None:
        self._series = series(self.model, self.cv, 256, self.rng)
        self._slot = 0
        self._vms = self.rng.normal(0.0, VM_SD.get(self.model, 0.0), 4)

    def build(self) -> float:
        """The layout bias of a new build."""
        return float(self.rng.normal(0.0, LAYOUT_SD.get(self.model, 0.0)))

    def pick_vm(self) -> float:
        """The offset of a virtual machine drawn among four."""
        return float(self._vms[self.rng.integers(4)])

    def read(self, gain: float = 0.0, layout: float = 0.0, vm: float = 0.0) -> float:
        """One log reading of a program that is `gain` better."""
        if self._slot == len(self._series):
            self._series = series(self.model, self.cv, 256, self.rng)
            self._slot = 0
        bias = self.build() if self.fresh else layout
        self._slot += 1
        return float(self._series[self._slot - 1]) - gain + bias + vm


# Readings of coarse clocks and small counts of successes, none of which knows a side: direction, and how one is drawn.
CLOCKS: dict[str, tuple[str, Callable[[np.random.Generator], float]]] = {
    "1e6 / whole ms of 33.5 ms, cv 1 %": ("higher", lambda g: 1e6 / max(1, round(33.5 + g.normal(0, 0.335)))),
    "100 / ticks of 10 ms of 0.255 s, cv 1 %": (
        "higher", lambda g: 100 / (round((0.255 + g.normal(0, 0.00255)) * 100) / 100),
    ),
    "ticks of 1/64 s of 0.508 s, cv 0.5 %": ("lower", lambda g: round((0.5078125 + g.normal(0, 0.0025)) * 64) / 64),
    "ticks of 1/60 s of 1 s, any phase": (
        "lower", lambda g: math.floor((1 + g.normal(0, 0.005)) * 60 + g.random()) / 60,
    ),
    "frames a second, 1 or 2 ticks each": ("higher", lambda g: 60 / (1 + (g.random() < 0.5))),
    "mean of 3 readings in whole ms": (
        "lower", lambda g: float(np.mean([round(10.5 + g.normal(0, 0.105)) for _ in range(3)])),
    ),
    "k / 7, p 0.5": ("higher", lambda g: g.binomial(7, 0.5) / 7),
    "1 + k / 3 tests passed, p 0.9": ("higher", lambda g: 1 + g.binomial(3, 0.9) / 3),
}  # fmt: skip
