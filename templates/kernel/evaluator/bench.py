"""Prints time_us of one pass over all shapes, and gb_per_s: hold that against what the memory can do (the roofline).

The kernel runs in a process of its own. Its answers are complete when the clock stops, and judged after it.
"""

from signed_metric import metric

import os
import sys

import worker
from shapes import REPEATS, SHAPES, close, make, reference
from stopwatch import Stopwatch

# Fresh inputs for every pass and every run: an answer that is remembered is of no use.
seed = int(os.environ.get("AUTORESEARCH_LAYOUT_SEED", "1")) * 1000003
kernel = worker.Worker("evaluator/adapter.py", ".", name="kernel")
for size in SHAPES:  # warm-up: compilation and autotuning, outside the clock
    kernel.call("call", make(size, seed - size))
inputs = [make(size, seed + k) for k, size in enumerate(SHAPES * REPEATS)]
answers, seconds, watch = [], 0.0, Stopwatch(kernel.pid)  # without the turns of other programs
for x in inputs:
    watch.start()
    said = kernel.ask("call", x)
    seconds += watch.stop().own
    answers.append(said)
kernel.close()
for x, said in zip(inputs, answers):
    if not close(worker.plain(said), reference(x)):
        sys.exit(f"size {len(x)}: a timed answer is not the reference's")
metric("time_us", round(1e6 * seconds / REPEATS, 3))
metric("gb_per_s", round(2 * 8 * sum(SHAPES) * REPEATS / seconds / 1e9, 6))
