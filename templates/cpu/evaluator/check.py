"""The program prints what its reference prints: for EDGES, and for inputs drawn as those of the benchmark are.

It is started as there, so that nothing tells it which of the two it is in. Right is what the project did at the start.
"""

import signed_metric  # noqa: F401  as in the benchmark, before the program starts

import os
import random
import sys

import paired
from settings import COMMAND, EDGES, make

seed = "check" + os.environ.get("AUTORESEARCH_LAYOUT_SEED", "1")
rng = random.Random(seed)
inputs = [*EDGES, *(make(rng) for _ in range(5))]
rng.shuffle(inputs)
answers = set()
paired.commands(COMMAND, inputs, seed, check=lambda answer, given: answers.add(answer))
if len(answers) < 2:
    sys.exit("all inputs have one answer, which can be printed without work: let make() draw others")
