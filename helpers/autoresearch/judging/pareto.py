"""Which candidates no other candidate beats in everything. Pure.

Pareto dominance: a dominates b when a is at least as good in every coordinate and better in one. The front is what
nothing dominates (Kung, Luccio & Preparata 1975, "On Finding the Maxima of a Set of Vectors").
"""

from __future__ import annotations

from collections.abc import Sequence


def dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether `a` is nowhere worse than `b` and somewhere better; more is better."""
    return all(x >= y for x, y in zip(a, b, strict=True)) and tuple(a) != tuple(b)


def front(points: Sequence[Sequence[float]]) -> list[int]:
    """Indices, ascending, of the points that no other point dominates; equal points stand or fall together.

    More is better in every coordinate. ValueError for points of different lengths or with NaN.
    """
    if any(x != x for point in points for x in point):
        raise ValueError("a point with NaN has no place in an order")
    if len({len(point) for point in points}) > 1:
        raise ValueError("points of different lengths")
    # A dominating point sorts before what it dominates, and is itself on the front or dominated by one that is.
    found: list[int] = []
    for index in sorted(range(len(points)), key=lambda i: tuple(points[i]), reverse=True):
        if not any(dominates(points[other], points[index]) for other in found):
            found.append(index)
    return sorted(found)
