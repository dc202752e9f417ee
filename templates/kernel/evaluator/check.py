"""Five stages: smoke, all shapes, odd sizes, extreme values, and the same result twice."""

import sys

from shapes import ODD, SHAPES, TOLERANCE, make, reference, sync

sys.path.insert(0, ".")
from kernel import kernel


def same(x, stage):
    before = list(x)
    got, want = kernel(x), reference(before)
    sync()
    limit = TOLERANCE * max(abs(v) for v in want)
    if len(got) != len(want) or not all(abs(a - b) <= limit for a, b in zip(got, want)):
        sys.exit(f"{stage}: differs from the reference by more than {TOLERANCE:g} at size {len(before)}")
    if list(x) != before:
        sys.exit(f"{stage}: the input was changed")


same(make(64, 1), "smoke")
for size in SHAPES:
    same(make(size, size), "shapes")
for size in ODD:
    same(make(size, size), "odd sizes")
for scale in (1e-8, 1e3):
    same(make(257, 5, scale), "extreme values")
x = make(1000, 9)
if list(kernel(list(x))) != list(kernel(list(x))):
    sys.exit("the same input gave two results")
