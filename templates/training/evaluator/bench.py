"""train.train(data, seconds, seed) -> predict(context) -> 256 probabilities; scored in bits per byte of unseen text."""

from signed_metric import metric  # before the training code: it takes the token away
from math import log2
from time import perf_counter

import sys

from settings import BUDGET_SECONDS, SEED, TRAIN, VALID

sys.path.insert(0, ".")
import train

begun = perf_counter()
predict = train.train(TRAIN, BUDGET_SECONDS, SEED)
spent = perf_counter() - begun
if spent > 1.1 * BUDGET_SECONDS + 0.5:
    sys.exit(f"the budget is {BUDGET_SECONDS:g} s, and the training took {spent:.1f} s")
bits = 0.0
for at in range(1, len(VALID)):
    row = predict(VALID[max(0, at - 64) : at])
    if at % 97 == 1 and (len(row) != 256 or min(row) < 0 or abs(sum(row) - 1) > 1e-6):
        sys.exit("predict must return 256 probabilities that sum to 1")
    bits -= log2(max(row[VALID[at]], 1e-12))
metric("val_bpb", round(bits / (len(VALID) - 1), 6))
metric("train_s", round(spent, 3))
