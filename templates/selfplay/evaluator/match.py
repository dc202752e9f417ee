"""Prints score_pct over all pairs (a win is 1, a loss 0), and score_NAME for each opponent of the pool."""

from signed_metric import metric  # before the player: it takes the token away

import os
import sys

from arena import game, opponent
from game import PAIRS, POOL, start

sys.path.insert(0, "src")
from player import move

# Drawn for each run, alike for base and candidate: both meet the same starts, and no start is learned by heart.
seed = int(os.environ.get("AUTORESEARCH_LAYOUT_SEED", "1")) % 10**6
total = 0
for name in POOL:
    other, won = opponent(name), 0
    for pair in range(PAIRS):
        heap = start(seed + pair)
        won += game(move, other, heap, seed + pair)[0]
        won += 1 - game(other, move, heap, seed + pair)[0]
    metric(f"score_{name}", round(100 * won / (2 * PAIRS), 4))
    total += won
metric("score_pct", round(100 * total / (2 * PAIRS * len(POOL)), 4))
