"""Referees one game. An illegal move, an exception or too long a thought loses it."""

import random
import time

import base_player
from game import MOVE_SECONDS, legal, over, play


def opponent(name):
    if name == "random":
        return lambda heap, moves, seed: random.Random(seed * 1009 + heap).choice(moves)
    if name == "greedy":
        return lambda heap, moves, seed: max(moves)
    return base_player.move


def game(first, second, heap, seed):
    """1 when `first` wins, else 0; and why, when it ended early."""
    players = (first, second)
    turn = 0
    while True:
        begun = time.perf_counter()
        try:
            chosen = players[turn % 2](heap, list(legal(heap)), seed + turn)
        except Exception as error:
            return turn % 2, f"player {turn % 2}: {type(error).__name__}"
        if chosen not in legal(heap) or time.perf_counter() - begun > MOVE_SECONDS:
            return turn % 2, f"player {turn % 2}: illegal or late"
        heap = play(heap, chosen)
        if over(heap):
            return 1 - turn % 2, ""
        turn += 1
