"""Five stages: smoke, all shapes, odd sizes, extreme values, and the same result twice."""

import os
import sys

import worker
from shapes import ODD, SHAPES, TOLERANCE, close, make, reference

seed = int(os.environ.get("AUTORESEARCH_LAYOUT_SEED", "1")) * 1009
kernel = worker.Worker("evaluator/adapter.py", ".", name="kernel")


def same(x, stage):
    got, after = kernel.call("checked", x)
    if not close(got, reference(x)):
        sys.exit(f"{stage}: differs from the reference by more than {TOLERANCE:g} at size {len(x)}")
    if list(after) != list(x):
        sys.exit(f"{stage}: the input was changed")


same(make(64, seed + 1), "smoke")
for size in SHAPES:
    same(make(size, seed + size), "shapes")
for size in ODD:
    same(make(size, seed + size), "odd sizes")
for scale in (1e-8, 1e3):
    same(make(257, seed + 5, scale), "extreme values")
x = make(1000, seed + 9)
if kernel.ask("call", x) != kernel.ask("call", x):
    sys.exit("the same input gave two results")
kernel.close()
