"""Times COMMAND in PAIRS rounds, each paired with a round of evaluator/reference; prints time_s and what guards it.

evaluator/reference is the project as it was when the session was set up: the same kind of work on the same inputs, so
that other work on the machine and a core of two speeds decide nothing (see paired.py). Every round has an input of its
own, new in every run; the program has to answer it as the reference does.
"""

from signed_metric import metric  # first: it takes the token away before the program starts

import os
import random

import paired
from settings import COMMAND, NOMINAL, PAIRS, make

seed = os.environ.get("AUTORESEARCH_LAYOUT_SEED", "1")
rng = random.Random(seed)
paired.tell(metric, paired.commands(COMMAND, [make(rng) for _ in range(PAIRS)], seed), NOMINAL)
