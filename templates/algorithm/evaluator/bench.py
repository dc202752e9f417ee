"""Prints time_s over all sizes, and time_s_SIZE for each: a gain on one size may hide a loss on another."""

from signed_metric import metric  # before the project: it takes the token away
from time import perf_counter

import importlib
import sys

from cases import FUNCTION, MODULE, SIZES, make

sys.path.insert(0, "src")
solve = getattr(importlib.import_module(MODULE), FUNCTION)
total = 0.0
for name, (size, count) in SIZES.items():
    inputs = [make(size, seed) for seed in range(count)]
    solve(list(inputs[0]))  # warm-up
    begun = perf_counter()
    results = [solve(data) for data in inputs]
    seconds = perf_counter() - begun
    if not all(results):
        sys.exit(f"{name}: an empty result")
    metric(f"time_s_{name}", round(seconds, 6))
    total += seconds
metric("time_s", round(total, 6))
