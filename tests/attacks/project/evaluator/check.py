"""Compares the program's answers with an independent way on edge cases and random lists."""

import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from drive import ask, judge

rng = random.Random(os.environ["AUTORESEARCH_LAYOUT_SEED"])
lists = [[], [1], [2, 1], [1, 1, 1], [3, 2, 1], [-1, -2, 10**30, 0], list(range(50)), list(range(50, 0, -1))]
lists += [[rng.randrange(-9, 9) for _ in range(rng.randrange(40))] for _ in range(40)]
out, _ = ask(lists)
judge(lists, out)
