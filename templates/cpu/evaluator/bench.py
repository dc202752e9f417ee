"""Times COMMAND over all of evaluator/cases/*.in, ROUNDS times; prints time_s and the largest memory_mb.

The order is another in every run, and what was timed is judged after the clock.
"""

from signed_metric import metric  # first: it takes the token away before the program starts

import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

from settings import COMMAND, ROUNDS

inputs = sorted((Path(__file__).parent / "cases").glob("*.in"))
random.Random(os.environ.get("AUTORESEARCH_LAYOUT_SEED", "1")).shuffle(inputs)
texts = [path.read_bytes() for path in inputs]
wanted = [path.with_suffix(".out").read_bytes() for path in inputs]
if not texts:
    sys.exit("evaluator/cases holds no *.in")


def once():
    return [subprocess.run(COMMAND, input=text, stdout=subprocess.PIPE, check=True).stdout for text in texts]


once()  # warm-up: caches and compiled files, outside the clock
begun = time.perf_counter()
rounds = [once() for _ in range(ROUNDS)]
seconds = time.perf_counter() - begun
if any(answers != wanted for answers in rounds):
    sys.exit("a timed answer is not what evaluator/cases holds")
metric("time_s", round(seconds, 6))
memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
metric("memory_mb", round(memory / (1024 * 1024 if sys.platform == "darwin" else 1024), 3))
