"""ADAPT: the budget, the data and how a model is asked. Everything else belongs to train.py."""

import os
from pathlib import Path

BUDGET_SECONDS = 2.0  # Karpathy's nanochat runs take 300 s; every experiment gets the same
HERE = Path(__file__).parent
TRAIN = (HERE / "data" / "train.txt").read_bytes()
VALID = (HERE / "data" / "valid.txt").read_bytes()
# Drawn anew for every run, alike for base and candidate: a lucky seed is no improvement.
SEED = int(os.environ.get("AUTORESEARCH_LAYOUT_SEED", "1"))
