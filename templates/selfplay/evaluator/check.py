"""The player keeps the rules in every position, answers in time, and gives the same move for the same seed."""

import sys
import time

from game import MOVE_SECONDS, legal

sys.path.insert(0, "src")
from player import move

for heap in range(1, 60):
    for seed in range(5):
        moves = legal(heap)
        begun = time.perf_counter()
        chosen = move(heap, list(moves), seed)
        if time.perf_counter() - begun > MOVE_SECONDS:
            sys.exit(f"too slow at {heap}")
        if chosen not in moves:
            sys.exit(f"an illegal move at {heap}: {chosen!r}")
        if move(heap, list(moves), seed) != chosen:
            sys.exit(f"two answers to one position: {heap}")
