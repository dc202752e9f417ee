"""train.train(data, seconds, seed) -> predict(context) -> 256 probabilities; scored in bits per byte of unseen text.

train.py runs in a process of its own, which never holds the byte that it is asked for.
"""

from signed_metric import metric
from math import log2
from time import perf_counter

import sys

import worker
from settings import BUDGET_SECONDS, CONTEXT, SCORING_SECONDS, SEED, TRAIN, VALID, wrong
from stopwatch import cpu_seconds_of

model = worker.Worker("evaluator/adapter.py", ".", name="training")
begun = perf_counter()
model.call("fit", TRAIN, BUDGET_SECONDS, SEED)
spent = perf_counter() - begun
if spent > 1.1 * BUDGET_SECONDS + 0.5:
    sys.exit(f"the budget is {BUDGET_SECONDS:g} s, and the training took {spent:.1f} s")
bits, used = 0.0, cpu_seconds_of(model.pid)
for at in range(1, len(VALID)):
    row = model.call("row", VALID[max(0, at - CONTEXT) : at])
    if wrong(row):
        sys.exit("predict must return 256 probabilities that sum to 1")
    bits -= log2(max(row[VALID[at]], 1e-12))
used = cpu_seconds_of(model.pid) - used
if used > SCORING_SECONDS:
    sys.exit(f"the answers took {used:.1f} s of the processor: more than {SCORING_SECONDS:g}")
metric("val_bpb", round(bits / (len(VALID) - 1), 6))
metric("train_s", round(spent, 3))
