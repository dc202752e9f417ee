"""Blocks of samples without noise, for the tests of the rule."""

from __future__ import annotations

import random

from autoresearch.verdict.eprocess import draw_order

Blocks = list[tuple[str, list[float]]]


def repeated(a: float, b: float, count: int = 15) -> Blocks:
    rng = random.Random(3)
    orders = [draw_order(rng) for _ in range(count)]
    return [(order, [a if s == "A" else b for s in order]) for order in orders]
