"""Blocks of samples without noise, and what the rule says of blocks, for its tests."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from autoresearch.verdict.eprocess import draw_order
from autoresearch.verdict.rule import Rule
from autoresearch.verdict.sequential import SequentialTest
from autoresearch.verdict.verdict import Verdict

Blocks = list[tuple[str, list[float]]]


def repeated(a: float, b: float, count: int = 15) -> Blocks:
    rng = random.Random(3)
    orders = [draw_order(rng) for _ in range(count)]
    return [(order, [a if s == "A" else b for s in order]) for order in orders]


def judge(rule: Rule, blocks: Iterable[tuple[str, Sequence[float | None]]]) -> Verdict:
    """Replay recorded blocks, (order, values in time order), up to the first decision."""
    test = SequentialTest(rule)
    for order, values in blocks:
        found = test.add_block(order, values)
        if found is not None:
            return found
    return test.verdict()
