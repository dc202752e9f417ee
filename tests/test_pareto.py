"""The front is what nothing dominates: checked against the definition, over all pairs."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.judging.pareto import dominates, front
from autoresearch.ledger.history import fold
from autoresearch.report.documents import parts
from autoresearch.report.view import build
from report_sessions import Record, baseline, experiment, header, session

# Few values, so that ties and duplicates are common.
coordinates = st.integers(-2, 2).map(float) | st.floats(-1e3, 1e3)
clouds = st.integers(1, 3).flatmap(
    lambda size: st.lists(st.lists(coordinates, min_size=size, max_size=size), max_size=25)
)


def by_definition(points: list[list[float]]) -> list[int]:
    def beaten(b: list[float]) -> bool:
        return any(
            all(x >= y for x, y in zip(a, b, strict=True)) and any(x > y for x, y in zip(a, b, strict=True))
            for a in points
        )

    return [i for i, point in enumerate(points) if not beaten(point)]


@given(clouds)
def test_the_front_is_its_definition(points: list[list[float]]) -> None:
    assert front(points) == by_definition(points)


@given(clouds)
def test_the_order_of_the_points_does_not_matter(points: list[list[float]]) -> None:
    turned = list(reversed(points))
    there = {tuple(points[i]) for i in front(points)}
    assert {tuple(turned[i]) for i in front(turned)} == there


@given(st.lists(coordinates, min_size=2, max_size=2), st.lists(coordinates, min_size=2, max_size=2))
def test_dominance_is_a_strict_order(a: list[float], b: list[float]) -> None:
    assert not dominates(a, a)
    assert not (dominates(a, b) and dominates(b, a))


def test_examples() -> None:
    assert front([]) == []
    assert front([(1, 1), (1, 1)]) == [0, 1]
    assert front([(5, -3), (2, 2), (2, 1), (-1, 9), (4, -4)]) == [0, 1, 3]


def test_what_has_no_place_in_an_order_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        front([(1.0, math.nan)])
    with pytest.raises(ValueError, match="lengths"):
        front([(1.0,), (1.0, 2.0)])


def measured(run: int, status: str, **gains: float) -> Record:
    """A run line with gains in several metrics."""
    line = experiment(run, status, gains["time_s"])
    line["verdict"] |= {"gains": gains, "limits": [{"metric": "mem", "status": "met"}]}
    return line


def test_the_documents_show_the_front_and_only_where_there_is_one() -> None:
    assert "trade-offs" not in parts(build(fold(session())))
    lines = [
        header(),
        baseline(),
        measured(2, "keep", time_s=10.0, mem=-1.0),
        measured(3, "discard", time_s=9.0, mem=-2.0),
        measured(4, "discard", time_s=-3.0, mem=20.0),
        measured(5, "discard", time_s=-3.0, mem=-3.0),
        measured(6, "discard", time_s=99.0, mem=99.0),
    ]
    lines[-1]["verdict"]["reason"] = "implausible"
    heading, body = parts(build(fold(lines)))["trade-offs"]
    assert heading == "Trade-offs"
    rows = [line.split(" | ")[0] for line in body.splitlines() if line.startswith("| ")]
    assert rows == ["| candidate", "| e2", "| (unchanged)", "| e4"]
    assert "| e2 | keep | +10.0 % | -1.0 % | mem kept to |" in body
    later = [*lines, header(name="next"), baseline(7), experiment(8, "keep", 5.0)]
    assert "No candidate of this segment" in parts(build(fold(later)))["trade-offs"][1]


def test_names_and_damage_in_the_ledger_do_no_harm() -> None:
    odd = measured(2, "keep", time_s=10.0)
    odd["verdict"]["gains"] |= {"<b>|x": 1.0, "y": "many", "z": float("nan")}
    odd["verdict"]["limits"] = [None, {"metric": "|", "status": 5}, "x"]
    body = parts(build(fold([header(), baseline(), odd])))["trade-offs"][1]
    assert "<b>" not in body
    assert body.count("| e2 |") == 1
    assert len({line.replace("\\|", "").count("|") for line in body.splitlines() if line.startswith("|")}) == 1
