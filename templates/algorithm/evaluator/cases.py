"""ADAPT: the inputs by seed, and a slow function that is right. Sizes as in the real load, and odd ones."""

import random

SIZES = {"small": (10, 300), "medium": (1000, 6), "large": (20000, 1)}  # name: (size, inputs in a round of 1 to 20 ms)
PAIRS = 30  # rounds of each size, each paired with one of evaluator/reference
NOMINAL = 0.005  # seconds of the reference's rounds, one of each size: not yet measured, autoresearch doctor does
JUDGED = 1000  # numbers of each round that the benchmark has the slow function work through, too


def make(size, seed):
    return random.Random(seed).choices(range(size), k=size)


def reference(data):
    """Obviously right, however slow."""
    out = []
    for item in data:
        if item not in out:
            out.append(item)
    return sorted(out)


EDGES = [[], [0], [1, 1, 1], [3, -3, 0], list(range(50, 0, -1)), [10**30, -(10**30)]]
