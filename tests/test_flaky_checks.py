"""A check that fails for the candidate is run again, on the base too; one that fails now and then is no verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from driver import Driver
from trial_helpers import make_tree, noisy, run_trial, spec

# Fails in the runs whose numbers are given, of all that the trial makes; it counts in $PROBE, beside the stage.
NTH = """echo "{side}" >> "$PROBE/ran"
case " {fails} " in *" $(grep -c {side} "$PROBE/ran") "*) echo "sporadic"; exit 1;; esac
"""


@pytest.mark.parametrize(("mode", "fails_b", "fails_a", "status", "words"), [
    ("ab", "", "", "done", ""),
    ("ab", "1 2 3", "", "checks_failed", "checks failed (exit 1)"),
    ("ab", "1", "", "crash", "checks flaky: failed in 1 of 2 runs"),
    ("ab", "1 2", "", "crash", "checks flaky: failed in 2 of 3 runs, and in 0 of 1 at the base"),
    ("ab", "1 2 3", "1", "crash", "checks flaky: failed in 2 of 2 runs, and in 1 of 1 at the base"),
    ("ab", "1 2 3", "2", "crash", "checks flaky: failed in 3 of 3 runs, and in 1 of 2 at the base"),
    ("single", "1 2 3", "1 2 3", "checks_failed", "checks failed (exit 1)"),
    ("single", "1 2", "1 2 3", "crash", "checks flaky: failed in 2 of 3 runs"),
])  # fmt: skip
def test_repeats_tell_flaky_from_wrong(
    tmp_path: Path, mode: str, fails_b: str, fails_a: str, status: str, words: str
) -> None:
    probe = tmp_path / "probe"
    probe.mkdir()
    trees = {
        side: make_tree(tmp_path / side, noisy(1.0), autoresearch__checks__sh=NTH.format(side=side, fails=fails))
        for side, fails in (("B", fails_b), ("A", fails_a))
    }
    asked = spec(mode, checks="bash autoresearch.checks.sh", env={"PROBE": str(probe)})
    ran = run_trial(tmp_path / "t", asked, trees["A"] if mode == "ab" else None, trees["B"])
    assert (ran.end["status"], ran.end["error"] or "", ran.end.get("flaky", False)) == (status, words, "flaky" in words)
    (checks,) = ran.of("checks")
    assert checks["side"] == "B"
    assert checks["status"].startswith(words.removeprefix("checks ") if words else "passed")
    assert bool(ran.of("sample")) == (mode == "single" or status == "done")


def test_flaky_checks_are_no_verdict_on_the_idea(session: Driver) -> None:
    """The answer is wrong as long as the trial, which stamps its files, is young."""
    session.open("e1")
    session.edit("e1", "return 1000", "return 900")
    young = "time.time() - os.stat(__file__).st_mtime < 6"
    session.edit("e1", "return 42", f"import os, time\n    return 41 + bool(not ({young}) or time.sleep(6))")
    for follow in ("autoresearch ab e1", "autoresearch ab e1", "autoresearch decide e1 --abandon"):
        code, data = session.measure("e1")
        assert (code, data["verdict"], data["reason"]) == (1, None, "flaky"), data
        assert data["next"] == follow
        code, data = session("decide", "e1")
        assert (code, "e1 has no verdict: checks flaky: failed in 1 of 2 runs" in data["error"]) == (1, True), data
        assert data["next"] == follow
    data = session("status")[1]
    assert (data["counts"], data["next"]) == ({}, follow)
    assert "flaky" in data["undecided"]["e1"]
    # That a candidate is measured anew for this is no mending.
    assert all("rework" not in line for line in session.lines())
    assert session("decide", "e1", "--abandon")[1]["status"] == "discard"
