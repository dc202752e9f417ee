"""ADAPT: the budget and the data. Everything else belongs to train.py. The data are listed under evaluator_secret."""

import os

import worker

BUDGET_SECONDS = 2.0  # Karpathy's nanochat runs take 300 s; every experiment gets the same
# Of the processor, for all that is asked afterwards: a model that trains on there has had a larger budget.
SCORING_SECONDS = 0.5
CONTEXT = 64  # bytes before the one that is asked for
# Drawn anew for every run, alike for base and candidate: a lucky seed is no improvement.
SEED = int(os.environ.get("AUTORESEARCH_LAYOUT_SEED", "1"))


def data(name):
    with open(worker.secret(f"evaluator/data/{name}.txt"), "rb") as file:
        return file.read()


TRAIN, VALID = data("train"), data("valid")


def wrong(row):
    """Whether what a model says is not 256 probabilities."""
    kinds = {type(p) for p in row} if type(row) is list else set()
    return not (kinds <= {int, float} and len(row) == 256 and min(row) >= 0 and abs(sum(row) - 1) <= 1e-6)
