"""Prints score_pct over all pairs (a win is 1, a loss 0), and score_NAME for each opponent of the pool."""

from signed_metric import metric

import os
import random

from arena import Player, game, opponent
from game import PAIRS, POOL, start

# Drawn for each run: no start is learned by heart. The player has neither this seed nor what the opponents draw.
seed = os.environ.get("AUTORESEARCH_LAYOUT_SEED", "1")
total = 0
for name in POOL:
    move, other, won = Player(), opponent(name), 0
    for pair in range(PAIRS):
        draw = random.Random(f"{seed} {name} {pair}")
        heap = start(draw)
        won += game(move, other, heap, draw)[0]
        won += 1 - game(other, move, heap, draw)[0]
    move.close()
    metric(f"score_{name}", round(100 * won / (2 * PAIRS), 4))
    total += won
metric("score_pct", round(100 * total / (2 * PAIRS * len(POOL)), 4))
