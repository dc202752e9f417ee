"""Times the function in rounds, each paired with one of evaluator/reference; all sizes count alike in time_s.

evaluator/reference is the project as it was when the session was set up (see paired.py). ratio_SIZE is each size's
time, 1.0 = as at the start: a gain on one may hide a loss on another. The inputs are new in every run, the program runs
in a process of its own, and every answer is judged after the clock: by the reference's, and by a slow function's.
"""

from signed_metric import metric  # first: it takes the token away
import paired

import os
import sys
from functools import partial

from cases import JUDGED, NOMINAL, PAIRS, SIZES, make, reference

seed = int(os.environ.get("AUTORESEARCH_LAYOUT_SEED", "1"))  # drawn anew for each run by the trial


def side(top):
    if not os.path.isdir(top):
        sys.exit(f"no {top}: copy src/ as it is now there")
    return paired.Function("evaluator/adapter.py", top, "batch")


def judge(size, answers, batch):
    """What the program gave for a round, untimed."""
    if type(answers) is not list or len(answers) != len(batch) or not all(type(answer) is list for answer in answers):
        sys.exit("no answer to each input")
    for answer, data in list(zip(answers, batch))[: JUDGED // size]:
        if answer != reference(data):
            sys.exit(f"size {size}: another result than the slow function's")


results = []
for name, (size, count) in SIZES.items():
    first = seed * 1000003
    numbers = [range(first + count * k, first + count * (k + 1)) for k in range(PAIRS)]
    inputs = [[make(size, number) for number in batch] for batch in numbers]
    check = partial(judge, size)
    results.append(paired.rounds(side("src"), side("evaluator/reference/src"), inputs, seed, check, 5, same=True))
    metric(f"ratio_{name}", results[-1].ratio)
paired.tell(metric, paired.together(results), NOMINAL)
