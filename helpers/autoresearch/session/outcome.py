"""From a job's records to a status and a verdict. Pure: the worker's own word on the decision is not used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from autoresearch.safetext import one_line
from autoresearch.verdict import Rule, Verdict, judge

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What a trial showed. `verdict` is None unless an A/B was measured to its end.

    `base_failed` means that the base, not the candidate, did not work: nothing can be said of the candidate.
    """

    status: str  # done | crash | checks_failed
    error: str = ""
    checks: str = "skipped (not reached)"
    base_failed: bool = False
    verdict: Verdict | None = None
    invalid: str = ""
    metric: float | None = None
    base_metric: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    samples: tuple[tuple[str, float], ...] = ()
    warmups: tuple[tuple[str, float], ...] = ()
    layout: str = "fixed"
    builds: int = 0
    seconds: float = 0.0
    environment: dict[str, Any] = field(default_factory=dict)
    values_per_run: int = 1
    cores: float | None = None


def read_outcome(records: Iterable[Record], rule: Rule | None = None) -> Outcome:
    """Judge a trial's records; `rule` only for an A/B (its margin is set here when the layout was fixed)."""
    lines = list(records)
    end = next((r for r in reversed(lines) if r.get("type") == "end"), None)
    if end is None:
        return Outcome("crash", error="the trial ended without a result")
    samples = [r for r in lines if r.get("type") == "sample"]
    counted = [r for r in samples if not r.get("warmup")]
    checks = [r for r in lines if r.get("type") == "checks"]
    builds = [r for r in lines if r.get("type") == "build"]
    decision = next((r for r in lines if r.get("type") == "decision"), {})
    layout = str(decision.get("layout") or "fixed")
    invalid = next((str(r["problem"]) for r in samples if r.get("problem")), "")
    status = str(end.get("status"))
    verdict = None
    if rule is not None and status == "done" and not invalid:
        verdict = judge(rule, _blocks(counted))
    candidate = _values(counted, "B")
    return Outcome(
        status=status if status in ("done", "crash", "checks_failed") else "crash",
        error=one_line(str(end.get("error") or ""), 300),
        checks=one_line(str(checks[-1].get("status")), 60) if checks else "skipped (not reached)",
        base_failed=bool(end.get("base_failed")),
        verdict=verdict,
        invalid=one_line(invalid, 200),
        metric=median(candidate) if candidate else None,
        base_metric=median(base) if (base := _values(counted, "A")) else None,
        metrics=_secondary(counted, "B"),
        samples=tuple((str(r["side"]), float(r["value"])) for r in counted if r.get("value") is not None),
        warmups=tuple(
            (str(r["side"]), float(r["value"]))
            for r in samples
            if r.get("warmup") and r.get("value") is not None
        ),
        layout=layout,
        builds=len(builds),
        seconds=sum(float(r.get("seconds") or 0) for r in (*builds, *checks, *samples)),
        environment=dict(next((r for r in lines if r.get("type") == "environment"), {})),
        values_per_run=int(next((r.get("values") or 1 for r in counted), 1)),
        cores=_cores(counted),
    )


def _values(samples: Sequence[Record], side: str) -> list[float]:
    return [float(r["value"]) for r in samples if r.get("side") == side and r.get("value") is not None]


def _blocks(counted: Sequence[Record]) -> list[tuple[str, list[float]]]:
    """Complete blocks in time order as (order, values), such as ("ABBA", [v1, v2, v3, v4])."""
    grouped: dict[int, list[Record]] = {}
    for record in counted:
        grouped.setdefault(int(record["block"]), []).append(record)
    blocks = []
    for _, rows in sorted(grouped.items()):
        rows = sorted(rows, key=lambda r: int(r["slot"]))
        if len(rows) == 4 and all(r.get("value") is not None for r in rows):
            blocks.append(("".join(str(r["side"]) for r in rows), [float(r["value"]) for r in rows]))
    return blocks


def _secondary(counted: Sequence[Record], side: str) -> dict[str, float]:
    """Median of every metric the candidate printed."""
    seen: dict[str, list[float]] = {}
    for record in counted:
        if record.get("side") == side:
            for name, value in (record.get("metrics") or {}).items():
                seen.setdefault(str(name), []).append(float(value))
    return {name: median(values) for name, values in sorted(seen.items())[:50]}


def _cores(counted: Sequence[Record]) -> float | None:
    """Mean processor cores that a benchmark run kept busy: cpu seconds over wall seconds."""
    ratios = [
        float(r["cpu_seconds"]) / float(r["seconds"])
        for r in counted
        if r.get("cpu_seconds") is not None and float(r.get("seconds") or 0) > 0.02
    ]
    return round(median(ratios), 2) if ratios else None
