"""The player keeps the rules in every position, answers in time, and gives the same move for the same seed."""

import sys
import time

import worker
from game import MOVE_SECONDS, legal

player = worker.Worker("player", "src", name="player", limit=5 * MOVE_SECONDS)


def ask(heap, seed):
    try:
        return player.call("move", heap, legal(heap), seed)
    except worker.Failed as failed:
        sys.exit(f"at {heap}: {failed}")


for heap in range(1, 60):
    for seed in range(5):
        begun = time.perf_counter()
        chosen = ask(heap, seed)
        if time.perf_counter() - begun > MOVE_SECONDS:
            sys.exit(f"too slow at {heap}")
        if type(chosen) is not int or chosen not in legal(heap):
            sys.exit(f"an illegal move at {heap}: {chosen!r}")
        if ask(heap, seed) != chosen:
            sys.exit(f"two answers to one position: {heap}")
player.close()
