"""The contract of train.py on a small piece: probabilities, the budget, and no look at the held-out text."""

import sys
import time
from pathlib import Path

from settings import TRAIN

source = Path("train.py").read_text()
if "valid" in source or "evaluator" in source:
    sys.exit("train.py names the held-out data or the evaluator")
sys.path.insert(0, ".")
import train

begun = time.perf_counter()
predict = train.train(TRAIN[:2000], 0.5, 7)
if time.perf_counter() - begun > 2.0:
    sys.exit("a budget of 0.5 s was not kept")
for context in (b"", b"a", TRAIN[:64], bytes(range(64))):
    row = predict(context)
    if len(row) != 256 or min(row) < 0 or abs(sum(row) - 1) > 1e-6:
        sys.exit(f"no probabilities for {context[:8]!r}")
