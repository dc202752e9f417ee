"""ADAPT: the function, its inputs by seed, and its reference. Sizes as in the real load, and odd ones."""

import random

MODULE, FUNCTION = "solve", "solve"  # src/solve.py: solve(list of int) -> sorted list without duplicates
SIZES = {"small": (10, 2000), "medium": (1000, 40), "large": (30000, 1)}  # name: (size, how many inputs)
JUDGED = 2000  # numbers that the benchmark has the slow reference work through, for each size


def make(size, seed):
    source = random.Random(seed)
    return [source.randrange(size) for _ in range(size)]


def reference(data):
    """Obviously right, however slow."""
    out = []
    for item in data:
        if item not in out:
            out.append(item)
    return sorted(out)


EDGES = [[], [0], [1, 1, 1], [3, -3, 0], list(range(50, 0, -1)), [10**30, -(10**30)]]
