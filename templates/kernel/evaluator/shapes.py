"""ADAPT: shapes, reference and tolerance: the evaluator's side. Arrays instead of lists: return numpy's from both."""

import math
import random

SHAPES = [256, 4096, 50000]  # those of the real model; the last one dominates
ODD = [1, 2, 3, 31, 33, 255, 257, 1023]
TOLERANCE = 1e-6  # of the largest reference value; state the precision that is promised
REPEATS = 5


def make(size, seed, scale=1.0):
    source = random.Random(seed)
    return [scale * source.gauss(0, 1) for _ in range(size)]


def reference(x):
    """softmax, in the plainest form that is right"""
    top = max(x)
    e = [math.exp(v - top) for v in x]
    total = math.fsum(e)
    return [v / total for v in e]


def close(got, want):
    """Whether an answer is the reference's, within the tolerance."""
    limit = TOLERANCE * max(abs(v) for v in want)
    # Not the other way round: NaN is less than nothing and more than nothing.
    return type(got) is type(want) and len(got) == len(want) and all(abs(a - b) <= limit for a, b in zip(got, want))
