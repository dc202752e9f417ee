"""Times the function in rounds, each paired with one of evaluator/reference; all sizes count alike in time_s.

evaluator/reference is the project as it was when the session was set up (see paired.py). ratio_SIZE is each size's
time, 1.0 = as at the start: a gain on one may hide a loss on another. The inputs are new in every run, and what was
timed is judged after the clock: remembered answers are worth nothing.
"""

from signed_metric import metric  # first: it takes the token away
import paired

import importlib
import os
import sys
from functools import partial

from cases import FUNCTION, JUDGED, MODULE, NOMINAL, PAIRS, SIZES, make, reference

seed = int(os.environ.get("AUTORESEARCH_LAYOUT_SEED", "1"))  # drawn anew for each run by the trial


def load(top):
    """The function of a round; runs in a process of its own."""
    if not os.path.isdir(top):
        sys.exit(f"no {top}: copy src/ as it is now there")
    sys.path.insert(0, top)
    function = getattr(importlib.import_module(MODULE), FUNCTION)
    return lambda batch: [function(data) for _, data in batch]


def judge(size, answers, batch):
    """What the program gave for a round, untimed; an input is made anew, as it may have been changed."""
    if len(answers) != len(batch) or not all(answers):
        sys.exit("an empty result")
    for answer, (number, _) in list(zip(answers, batch))[: JUDGED // size]:
        if answer != reference(make(size, number)):
            sys.exit(f"size {size}: another result than the slow function's")


results = []
for name, (size, count) in SIZES.items():
    first = seed * 1000003
    numbers = [range(first + count * k, first + count * (k + 1)) for k in range(PAIRS)]
    inputs = [[(number, make(size, number)) for number in batch] for batch in numbers]
    program, twin = partial(load, "src"), partial(load, "evaluator/reference/src")
    results.append(paired.rounds(program, twin, inputs, seed, partial(judge, size), launches=5))
    metric(f"ratio_{name}", results[-1].ratio)
paired.tell(metric, paired.together(results), NOMINAL)
