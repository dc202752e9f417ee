"""Differential: equal to the reference on edge cases and on random inputs; the input is left as it was."""

import os
import sys

import worker
from cases import EDGES, make, reference

seed = int(os.environ.get("AUTORESEARCH_LAYOUT_SEED", "1"))
program = worker.Worker("evaluator/adapter.py", "src")
for data in [*EDGES, *(make(size, seed + n) for size in (1, 2, 3, 7, 64, 300, 2000) for n in range(5))]:
    answer, after = program.call("checked", data)
    if answer != reference(data):
        sys.exit(f"another result than the reference for {str(data)[:80]}")
    if after != data:
        sys.exit("the input was changed")
program.close()
