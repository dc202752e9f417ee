"""ADAPT: the rules, seen from outside the players. Here: Nim. Take 1 to 3 from one heap; the last one wins."""

POOL = ["random", "greedy", "base"]  # base: a copy of the player at the start, in evaluator/base_player.py
PAIRS = 40  # pairs of games with each of them: the same start, sides swapped
MOVE_SECONDS = 0.2


def start(draw):
    """A first position; `draw` is a random.Random."""
    return draw.randrange(10, 40)


def legal(heap):
    return [n for n in (1, 2, 3) if n <= heap]


def play(heap, move):
    return heap - move


def over(heap):
    """Who made the last move has won."""
    return heap == 0
