"""The first tier gives up what no weather explains, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from autoresearch.config import Config, Objective
from autoresearch.judging.screening import screen
from autoresearch.ledger.history import Session
from autoresearch.ledger.lines import RunLine, read_as


def reason(
    value: float,
    wall: float,
    cpu: float,
    *,
    metric: str = "time_s",
    unit: str = "s",
    parent: str = "c0",
    head: str = "c0",
) -> str:
    """What a screening run is given up for, against a baseline of 0.16 that kept 0.95 cores busy; empty = it is not."""
    records: list[dict[str, Any]] = [
        {"type": "environment", "machine": "m"},
        {
            "type": "sample", "slot": 0, "block": None, "side": "B", "value": value, "metrics": {metric: value},
            "timed_out": False, "values": 1, "seconds": wall, "cpu_seconds": cpu, "warmup": False,
        },
        {"type": "checks", "side": "B", "status": "passed"},
        {"type": "end", "status": "done", "error": None, "reason": None, "base_failed": False},
    ]  # fmt: skip
    known = {"commit_full": "c0", "metric": 0.16, "machine": "m", "cores": 0.95, "noise": {"cv_pct": 5.0}}
    baseline = read_as(RunLine, known)
    config = Config("t", Objective(metric, "lower", unit=unit))
    session = cast(Session, SimpleNamespace(config=config, baseline=baseline, kept=[], head=head))
    found = screen(session, parent, cast(Any, records))
    return "" if found is None else found.reason


@pytest.mark.parametrize(
    ("value", "wall", "cpu", "expected"),
    [
        (0.986, 1.77, 0.39, ""),  # recorded at a load of 9: a change of 3 % that others kept off its core
        (0.986, 1.77, 1.70, "screened"),  # as slow, and busy all the while
        (3.0, 4.0, 1.0, "screened"),  # starved, and hopeless all the same
        (0.25, 0.4, 0.39, ""),  # not twice as slow
    ],
)
def test_a_run_that_others_kept_off_its_core_is_not_given_up(
    value: float, wall: float, cpu: float, expected: str
) -> None:
    assert reason(value, wall, cpu) == expected


def test_a_count_is_the_same_whoever_had_the_core() -> None:
    assert reason(0.986, 1.77, 0.39, metric="steps", unit="steps") == "screened"


def test_what_no_commit_of_ours_was_the_parent_of_is_measured() -> None:
    assert reason(3.0, 4.0, 1.0, parent="c0") == "screened"
    assert reason(3.0, 4.0, 1.0, parent="elsewhere") == ""
    assert reason(3.0, 4.0, 1.0, parent="a revert", head="a revert") == "screened"
