"""Ledger records of made-up sessions, for the tests of what is rendered from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autoresearch.ledger.store import append

Record = dict[str, Any]
BASE = "a" * 40


def header(**more: Any) -> Record:
    return {
        "type": "config",
        "name": "t",
        "metricName": "time_s",
        "metricUnit": "s",
        "bestDirection": "lower",
        "schema": 1,
        "goal": "Parse faster",
    } | more


def baseline(run: int = 1, **more: Any) -> Record:
    return {
        "run": run,
        "commit": BASE[:7],
        "commit_full": BASE,
        "metric": 2.5,
        "status": "keep",
        "kind": "baseline",
        "experiment": "baseline",
        "timestamp": 1763690000000,
        "samples": [["A", 2.5]] * 20,
        "seconds": 60.0,
    } | more


def experiment(run: int, status: str, effect: float | None = None, width: float = 2.0, **more: Any) -> Record:
    """A run line as `decide` writes it; without an effect there is no verdict."""
    verdict = None
    if effect is not None:
        verdict = {
            "verdict": status,
            "reason": "proven" if status == "keep" else "hopeless",
            "reason_text": f"because {run}",
            "effect_pct": effect,
            "ci_low_pct": effect - width,
            "ci_high_pct": effect + width,
            "runs_used": 12,
        }
    return {
        "run": run,
        "commit": f"{run:07x}",
        "commit_full": f"{run:040x}",
        "parent": BASE,
        "metric": 2.0,
        "status": status,
        "description": f"change {run}",
        "hypothesis": f"guess {run}",
        "experiment": f"e{run}",
        "kind": "experiment",
        "verdict": verdict,
        "samples": [],
        "seconds": 30.0,
        "files": ["src/a.py"],
    } | more


def session() -> list[Record]:
    """Two keeps of 10 % and 20 %, a discard, a crash and a candidate that failed its checks."""
    return [
        header(),
        baseline(),
        {"type": "experiment", "experiment": "e2", "parent": BASE},
        experiment(2, "keep", 10.0),
        experiment(3, "discard", -5.0, parent=f"{2:040x}"),
        experiment(4, "crash", error="exit 1"),
        experiment(5, "keep", 20.0, parent=f"{2:040x}", literature_source="arXiv:1902.08318"),
        experiment(6, "checks_failed", checks="failed (exit 1)"),
    ]


def write_ledger(root: Path, records: list[Record]) -> None:
    for record in records:
        append(root / "autoresearch.jsonl", record)
