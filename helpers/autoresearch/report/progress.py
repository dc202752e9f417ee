"""A short summary of every ten experiments: how they ended, what they gained and cost, which sources were worth it.

Pure; for a person who looks in now and then, and for an agent whose memory is shorter than the session.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from autoresearch.ledger.lines import RunLine
from autoresearch.ledger.records import STATUSES
from autoresearch.report.fields import percent
from autoresearch.report.words import duration, plural, tally
from autoresearch.safetext import one_line

EVERY = 10
_SOURCES = 4


def tens(runs: Sequence[RunLine]) -> list[str]:
    """One line for each full ten of a segment's experiments, given as run lines in order without the baseline."""
    full = range(0, len(runs) - len(runs) % EVERY, EVERY)
    return [_line(start, runs[start : start + EVERY]) for start in full]


def _line(start: int, ten: Sequence[RunLine]) -> str:
    ended = Counter(run.status for run in ten)
    counts = {status: ended[status] for status in STATUSES}
    gains = [run.effect_pct for run in ten if run.status == "keep"]
    known = [gain for gain in gains if gain is not None and gain < 100]
    gain = 100 * (1 - math.prod(1 - gain / 100 for gain in known))
    runs = sum(run.cost_runs for run in ten)
    seconds = math.fsum(run.seconds for run in ten)
    parts = [f"{tally(counts)}; {percent(gain)} claimed; {plural(runs, 'run')}, {duration(seconds)}", _sources(ten)]
    return f"experiments {start + 1} to {start + len(ten)}: " + "; ".join(filter(None, parts))


def _sources(ten: Sequence[RunLine]) -> str:
    """Which kinds of sources were kept how often, the most tried first."""
    origin = [one_line(run.source.split(":")[0] or "no source", 24) for run in ten]
    kept = Counter(name for name, run in zip(origin, ten, strict=True) if run.status == "keep")
    said = [f"{name} {kept[name]}/{tried}" for name, tried in Counter(origin).most_common(_SOURCES)]
    return "kept by source: " + ", ".join(said) if set(origin) != {"no source"} else ""
