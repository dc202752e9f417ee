"""Prints killed_pct (mutants that make a test fail) and mutants. A line that is run but not checked earns nothing.

Each mutant is met in a fresh tree, in an order of the run's own; between them is the right code in the same disguise.
"""

from signed_metric import metric

import os
import sys

from mutants import plan
from settings import CONTROLS
from suite import files, passes

tree = files()
if not passes(tree)[0]:
    sys.exit("the tests fail on the code as it is")
made = killed = 0
for right, changed in plan(tree, os.environ.get("AUTORESEARCH_LAYOUT_SEED", "1"), CONTROLS):
    passed, said = passes(changed)
    if right and not passed:
        sys.exit(f"the tests fail on code that does the same in other words: {said[-300:]}")
    made += not right
    killed += not right and not passed
metric("killed_pct", round(100 * killed / made, 4))
metric("mutants", made)
