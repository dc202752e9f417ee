"""Times COMMAND over all of evaluator/cases/*.in, ROUNDS times; prints time_s and the largest memory_mb."""

from signed_metric import metric  # first: it takes the token away before the program starts

import resource
import subprocess
import sys
import time
from pathlib import Path

from settings import COMMAND, ROUNDS

inputs = sorted((Path(__file__).parent / "cases").glob("*.in"))
texts = [path.read_bytes() for path in inputs]
if not texts:
    sys.exit("evaluator/cases holds no *.in")


def once():
    for text in texts:
        subprocess.run(COMMAND, input=text, stdout=subprocess.DEVNULL, check=True)


once()  # warm-up: caches and compiled files, outside the clock
begun = time.perf_counter()
for _ in range(ROUNDS):
    once()
seconds = time.perf_counter() - begun
metric("time_s", round(seconds, 6))
memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
metric("memory_mb", round(memory / (1024 * 1024 if sys.platform == "darwin" else 1024), 3))
