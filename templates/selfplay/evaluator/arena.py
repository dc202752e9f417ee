"""Referees one game. An illegal move, an exception or too long a thought loses it."""

import time

import base_player
import worker
from game import MOVE_SECONDS, legal, over, play


class Player:
    """The candidate's player, in a process of its own: it sees a position, the legal moves and a seed, and no more."""

    def __init__(self):
        self._worker = worker.Worker("player", "src", name="player", limit=5 * MOVE_SECONDS)

    def __call__(self, heap, moves, draw):
        return self._worker.call("move", heap, moves, draw.randrange(10**6))

    def close(self):
        self._worker.kill()


def opponent(name):
    """Called as the player is; `draw` is a random.Random of the game's."""
    if name == "random":
        return lambda heap, moves, draw: draw.choice(moves)
    if name == "greedy":
        return lambda heap, moves, draw: max(moves)
    return lambda heap, moves, draw: base_player.move(heap, moves, draw.randrange(10**6))


def game(first, second, heap, draw):
    """1 when `first` wins, else 0; and why, when it ended early."""
    players = (first, second)
    turn = 0
    while True:
        begun = time.perf_counter()
        try:
            chosen = players[turn % 2](heap, legal(heap), draw)
        except worker.Failed as failed:
            return turn % 2, str(failed)
        if type(chosen) is not int or chosen not in legal(heap) or time.perf_counter() - begun > MOVE_SECONDS:
            return turn % 2, f"player {turn % 2}: illegal or late"
        heap = play(heap, chosen)
        if over(heap):
            return 1 - turn % 2, ""
        turn += 1
