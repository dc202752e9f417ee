"""ADAPT: shapes, reference and tolerance. On a GPU make() returns tensors on it, and sync() waits for it."""

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


def sync():
    """torch.cuda.synchronize() on a GPU: without it the clock stops before the work does."""
