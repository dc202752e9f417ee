"""The figures of an audit: claims and their shrinking, estimates of fixed length, and how documents show them."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest

from autoresearch.cli.finalize import human
from autoresearch.judging import claims
from autoresearch.judging.outcome import Outcome
from autoresearch.ledger.history import fold
from autoresearch.ledger.lines import AuditLine, Record, RunLine, read_as
from autoresearch.report import documents
from autoresearch.report.chart import draw
from autoresearch.report.view import build
from autoresearch.session.audit import ALPHA, Reading, estimate
from autoresearch.verdict.eprocess import draw_order
from autoresearch.verdict.rule import Rule
from autoresearch.verdict.words import Quantity
from report_sessions import session as report_session
from trial_helpers import NOISY, make_tree, run_trial, spec


def judged(**verdict: Any) -> RunLine:
    return read_as(RunLine, {"run": 2, "verdict": verdict})


def record(effect: float, sigma: float = 2.0, runs: int = 16, **verdict: Any) -> RunLine:
    return judged(effect_pct=effect, sigma_short_pct=sigma, runs_used=runs, **verdict)


def test_claims_multiply() -> None:
    assert claims.naive([record(10.0), record(20.0)]) == 28.0
    assert claims.naive([record(-10.0)]) == -10.0
    assert claims.naive([]) == 0.0
    assert claims.naive([record(10.0), judged(effect_pct=None)]) is None


def test_shrinking_follows_its_formula() -> None:
    kept = [record(5.0), record(2.0)]
    tested = [*kept, record(0.5), record(-30.0)]
    s = 2 * 0.02 / math.sqrt(16)
    xs = [-math.log1p(-e / 100) for e in (5.0, 2.0, 0.5)]
    tau2 = (sum((x / s) ** 2 for x in xs) - 3) / (3 / s**2)
    want = 100 * -math.expm1(-sum(x * tau2 / (tau2 + s**2) for x in xs[:2]))
    assert claims.shrunken(kept, tested) == pytest.approx(want, abs=0.006)
    exact = record(5.0, reason="deterministic")
    assert claims.shrunken([exact], [exact]) == 5.0
    assert claims.shrunken([judged(effect_pct=5.0)], []) is None
    assert claims.shrunken([record(0.5)], [record(0.5)]) == 0.0  # within its noise: nothing is left


def test_shrinking_takes_the_winners_curse_away() -> None:
    rng = random.Random(5)
    naive_bias, shrunken_bias = [], []
    for _ in range(200):
        truths = [rng.gauss(0.0, 0.02) for _ in range(60)]
        s = 0.01
        readings = [rng.gauss(t, s) for t in truths]
        tested = [record(-100 * math.expm1(-x), sigma=100 * s * 2.0, runs=16) for x in readings]
        picked = [i for i, x in enumerate(readings) if x > 2.5 * s]
        kept = [tested[i] for i in picked]
        truth = -100 * math.expm1(-sum(truths[i] for i in picked))
        naive_bias.append((claims.naive(kept) or 0.0) - truth)
        shrunken_bias.append((claims.shrunken(kept, tested) or 0.0) - truth)
    assert sum(naive_bias) / 200 > 3.0
    assert abs(sum(shrunken_bias) / 200) < 1.0


def test_the_weakest_evidence_comes_first() -> None:
    rows = [record(9.0, e_value=500.0), record(8.0, e_value=2.0, reason="deterministic"), record(7.0, e_value=60.0)]
    assert [r.effect_pct for r in claims.weakest_first(rows)] == [7.0, 9.0, 8.0]
    assert claims.weakest_first([record(0.0, e_value=1.0, reason="rescued")]) == []


def test_a_claim_is_excluded_only_beyond_its_rounding() -> None:
    assert claims.excludes(9.0, 10.0)
    assert not claims.excludes(9.995, 10.0)
    assert not claims.excludes(None, 10.0)


def simulated(rng: random.Random, effect_pct: float, cv: float = 0.02, blocks: int = 10) -> Reading:
    sides = [side for _ in range(blocks) for side in draw_order(rng)]
    samples = [
        (side, math.exp(rng.gauss(math.log(1 - effect_pct / 100) if side == "B" else 0.0, cv))) for side in sides
    ]
    rule = Rule.preset("default", alpha=ALPHA, max_runs=4 * blocks, layout="fresh")
    return Reading(Outcome("done", samples=tuple(samples)), estimate(rule, samples))


def test_forty_runs_estimate_without_bias_and_the_interval_covers() -> None:
    rng = random.Random(7)
    found = [simulated(rng, 5.0) for _ in range(150)]
    verdicts = [f.verdict for f in found if f.verdict is not None]
    assert len(verdicts) == 150
    assert all(v.runs_used == 40 for v in verdicts)
    assert sum(v.effect_pct or 0.0 for v in verdicts) / 150 == pytest.approx(5.0, abs=0.25)
    covered = [(v.ci_low_pct or -99.0) <= 5.0 <= (v.ci_high_pct or 99.0) for v in verdicts]
    assert sum(covered) >= 0.95 * 150
    assert sum(f.proven for f in found) >= 0.95 * 150
    # A proven gain and an interval above 0 are the same statement.
    assert all(f.proven == ((f.verdict.ci_low_pct or -1.0) > 0.0) for f in found if f.verdict)


def test_a_change_without_effect_is_not_proven_and_mostly_refuted() -> None:
    rng = random.Random(8)
    found = [simulated(rng, 0.0, cv=0.01) for _ in range(150)]
    assert sum(f.proven for f in found) <= 8  # at most 2.5 %, with room for chance
    assert sum(f.nothing for f in found) >= 100
    real = [simulated(rng, 3.0, cv=0.01) for _ in range(150)]
    assert not any(f.nothing for f in real)


def test_a_trial_of_fixed_length_goes_on_after_the_rule_has_decided(tmp_path: Path) -> None:
    base = make_tree(tmp_path / "a", NOISY.replace("{value}", "1.0"))
    better = make_tree(tmp_path / "b", NOISY.replace("{value}", "0.8"))
    test = {"alpha": ALPHA, "preset": "default", "max_runs": 24, "fixed_blocks": 6, "seed": 3}
    ran = run_trial(tmp_path / "t", spec(test=test), base, better)
    assert len(ran.counted) == 24
    assert ran.of("decision")[0]["runs_used"] == 24
    exact = make_tree(tmp_path / "c", "echo METRIC time_s=123456")
    smaller = make_tree(tmp_path / "d", "echo METRIC time_s=123000")
    ran = run_trial(tmp_path / "u", spec(test=test), exact, smaller)
    assert len(ran.counted) == 12  # repeats exactly: three comparisons say it all
    ran = run_trial(tmp_path / "v", spec(test={**test, "fixed_blocks": 0}), exact, smaller)
    assert ran.code != 0


def audit_line(**changes: Any) -> Record:
    line = {
        "type": "audit", "base": "b" * 40, "tip": "c" * 40, "effect_pct": 14.0, "ci_low_pct": 12.5,
        "ci_high_pct": 15.5, "runs_used": 40, "claimed_pct": 28.0, "shrunken_pct": 26.0, "verified": False,
        "heldout": {"effect_pct": 13.0}, "refuted": ["e<5>"], "cost_runs": 80, "seconds": 60.0,
    }  # fmt: skip
    return {**line, **changes}


def test_the_documents_show_the_verified_gain_and_its_age() -> None:
    before = build(fold(report_session()))
    view = build(fold([*report_session(), audit_line()]))
    text = documents.improvements(view)
    assert "Verified +14.0 % [+12.5, +15.5] (sum of claims +28.0 %, +26.0 % expected without their luck" in text
    assert "less than was claimed" in text
    assert "best commit with the original baseline" in text
    second = documents.improvements(build(fold([*report_session(), *report_session(), audit_line()])))
    assert "best commit with the baseline of segment 2" in second
    assert "original baseline" not in second
    assert "held-out benchmark shows +13.0 %" in text
    assert "e<5>" not in text
    assert "older" not in text
    assert view.runs == before.runs + 80
    assert draw(view)["svg"] != draw(before)["svg"]
    assert draw(build(fold([*report_session(), audit_line(effect_pct=None)])))["svg"]

    dropped = build(fold([
        *report_session(), audit_line(),
        {"type": "revert", "experiment": "e5", "commit": "d" * 40, "reason": "audit | refuted"},
    ]))  # fmt: skip
    assert dropped.counts["keep"] == 1
    assert dropped.counts["reverted"] == 1
    assert dropped.current.claimed == pytest.approx(10.0)
    text = documents.improvements(dropped)
    assert "older than the best commit: 1 keep or drop came after it" in text
    assert "change 5" not in text
    assert draw(dropped)["svg"]
    log = documents.parts(dropped)["log"][1]
    assert "| e5 | reverted |" in log
    assert "verified +14.0 % [+12.5, +15.5], 1 change ago" in log


def test_records_of_the_same_type_from_other_tools_change_nothing() -> None:
    strange = [{"type": "revert"}, {"type": "audit", "effect_pct": 99.0}, {"type": "revert", "experiment": None}]
    assert build(fold([*report_session(), *strange])).current == build(fold(report_session())).current


def test_a_keep_without_a_percentage_is_no_claim_and_breaks_no_status() -> None:
    """A base of 0 has a difference but no percentage."""
    from autoresearch.budget.spend import Spend
    from autoresearch.config import parse_config
    from autoresearch.ledger.history import Session
    from autoresearch.project import Project
    from autoresearch.report.overview import _text, claimed_gain

    config = parse_config("{name: t, objective: {metric: m}, scope: [s]}")
    session = Session(project=Project(Path()), config=config, kept=[judged(effect_pct=None)])
    gain = claimed_gain(session)
    shown = {
        "goal": "", "metric": "m", "baseline": 0.0, "branch": "b", "tip": "t", "claimed_gain_pct": gain,
        "verified_gain": None, "summary": None, "stop": {"near": {}, "now": False}, "advice": "",
        "recent": [], "next": "n", "error_budget": {"tests": 0, "fdr": 0.1, "spent": 0.0, "next_alpha": 0.001},
    }  # fmt: skip
    assert "best      b at t" in _text(session, shown, {}, Spend(), "")


def test_a_keep_that_was_measured_without_a_percentage_is_given_none() -> None:
    found = {"experiment": "e1", "result": "unclear", "claimed_pct": 3.0, "effect_pct": None}
    said = human(read_as(AuditLine, audit_line(ablation=[found])), Quantity())
    assert said[-1] == "  e1  unclear: brings no percentage (claimed +3.0 %)"
