"""The contract of train.py on a small piece: probabilities, the budget, and no look at the held-out text."""

import sys
import time
from pathlib import Path

import worker
from settings import TRAIN, wrong

source = Path("train.py").read_text()
if "valid" in source or "evaluator" in source:
    sys.exit("train.py names the held-out data or the evaluator")
model = worker.Worker("evaluator/adapter.py", ".", name="training")
begun = time.perf_counter()
model.call("fit", TRAIN[:2000], 0.5, 7)
if time.perf_counter() - begun > 2.0:
    sys.exit("a budget of 0.5 s was not kept")
for context in (b"", b"a", TRAIN[:64], bytes(range(64))):
    if wrong(model.call("row", context)):
        sys.exit(f"no probabilities for {context[:8]!r}")
model.close()
