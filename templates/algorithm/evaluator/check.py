"""Differential: equal to the reference on edge cases and on random inputs; the input is left as it was."""

import copy
import importlib
import sys

from cases import EDGES, FUNCTION, MODULE, make, reference

sys.path.insert(0, "src")
solve = getattr(importlib.import_module(MODULE), FUNCTION)
for data in [*EDGES, *(make(size, seed) for size in (1, 2, 3, 7, 64, 300) for seed in range(5))]:
    before = copy.deepcopy(data)
    if solve(data) != reference(before):
        sys.exit(f"another result than the reference for {str(before)[:80]}")
    if data != before:
        sys.exit("the input was changed")
