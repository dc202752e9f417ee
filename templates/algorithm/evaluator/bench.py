"""Prints time_s over all sizes, and time_s_SIZE for each: a gain on one size may hide a loss on another.

The inputs are new in every run, and what was timed is judged after the clock: remembered answers are worth nothing.
"""

from signed_metric import metric  # before the project: it takes the token away
from time import perf_counter

import importlib
import os
import sys

from cases import FUNCTION, JUDGED, MODULE, SIZES, make, reference

first = int(os.environ.get("AUTORESEARCH_LAYOUT_SEED", "1"))  # drawn anew for each run by the trial
sys.path.insert(0, "src")
solve = getattr(importlib.import_module(MODULE), FUNCTION)
total = 0.0
for name, (size, count) in SIZES.items():
    inputs = [make(size, first + number) for number in range(count)]
    solve(list(inputs[0]))  # warm-up
    begun = perf_counter()
    results = [solve(data) for data in inputs]
    seconds = perf_counter() - begun
    if not all(results):
        sys.exit(f"{name}: an empty result")
    for number in range(min(count, JUDGED // size)):
        if results[number] != reference(make(size, first + number)):
            sys.exit(f"{name}: another result than the reference")
    metric(f"time_s_{name}", round(seconds, 6))
    total += seconds
metric("time_s", round(total, 6))
