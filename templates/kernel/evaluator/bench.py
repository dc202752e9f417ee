"""Prints time_us of one pass over all shapes, and gb_per_s: hold that against what the memory can do (the roofline)."""

from signed_metric import metric  # before the kernel: it takes the token away
from time import perf_counter

import sys

from shapes import REPEATS, SHAPES, make, sync

sys.path.insert(0, ".")
from kernel import kernel

inputs = [make(size, seed) for seed, size in enumerate(SHAPES)]
for x in inputs:  # warm-up: compilation and autotuning, outside the clock
    kernel(list(x))
sync()
# Fresh inputs for every pass, made before the clock starts: an answer that is remembered is of no use.
passes = [[make(size, 1000 * n + k) for k, size in enumerate(SHAPES)] for n in range(REPEATS)]
begun = perf_counter()
for batch in passes:
    for x in batch:
        kernel(x)
sync()
seconds = (perf_counter() - begun) / REPEATS
metric("time_us", round(1e6 * seconds, 3))
metric("gb_per_s", round(2 * 8 * sum(SHAPES) / seconds / 1e9, 6))
