"""The fuzzer on its own, for half a minute: python tests/faults/fuzz.py --inputs 10000000 is the long form."""

from __future__ import annotations

import os

import pytest
from fuzz import CPU_CAP, Hang, fuzz, run
from fuzz_targets import TARGETS, Target

FULL = os.environ.get("AUTORESEARCH_FAULTS") == "full"


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_no_parser_crashes_hangs_or_grows() -> None:
    assert fuzz(1_000_000 if FULL else 60_000, seed=3, jobs=2) == 0


def test_a_crash_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(data: bytes) -> object:
        if b"xx" in data:
            raise KeyError("planted")
        return len(data)

    planted = Target("planted", fails, 1.0, (b"x", b"y"), (b"x",))
    monkeypatch.setattr("fuzz.TARGETS", (planted,))
    _, count, _, failures, _ = run("planted", 5000, 1)
    assert count <= 5000
    assert failures
    assert "planted" in failures[0][1]
    assert b"xx" in failures[0][0]


def test_a_hang_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(data: bytes) -> object:
        while b"z" in data:
            pass
        return 0

    monkeypatch.setattr("fuzz.CPU_CAP", 0.05)
    monkeypatch.setattr("fuzz.TARGETS", (Target("planted", hangs, 1.0, (b"a", b"z"), (b"b",)),))
    _, _, _, failures, _ = run("planted", 3, 1)
    assert Hang.__doc__
    assert failures
    assert "processor time" in failures[0][1]


def test_every_seed_is_understood() -> None:
    """A seed that a parser refuses would fuzz nothing but its refusal."""
    for target in TARGETS:
        for seed in target.seeds:
            target.call(seed)
    assert abs(sum(target.share for target in TARGETS) - 1.0) < 0.01
    assert CPU_CAP >= 1
