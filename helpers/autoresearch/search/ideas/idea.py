"""Ideas: what one is, which comes next, what the predictions were worth. Pure; the file is `file`'s.

All percentages are improvements: positive is better, whatever direction the metric has.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from autoresearch.search.ideas import OPEN, VERDICTS
from autoresearch.search.mdtext import normalise

# What an estimate counts for where nobody gave one.
DEFAULT_GAIN_PCT = 1.0
DEFAULT_CONFIDENCE = 0.5
DEFAULT_COST = 1.0

NEAR = 0.9
MIN_TRIES = 3


@dataclass(frozen=True)
class Idea:
    """One idea. Percentages are improvements (positive is better); `cost` is relative effort.

    `note` is who claimed it, which experiment runs it, or why it was dropped. `line` counts from 1.
    `recorded` is False for an entry that a person added without an id: the next write gives it this one.
    """

    id: str
    text: str
    gain_pct: float | None = None
    confidence: float | None = None
    cost: float | None = None
    source: str = ""
    kind: str = ""
    status: str = OPEN
    measured_pct: float | None = None
    note: str = ""
    line: int = 0
    recorded: bool = True

    @property
    def is_open(self) -> bool:
        return self.status == OPEN

    @property
    def origin(self) -> str:
        """The kind of its first source: `arxiv` of `arxiv:2101.00001`."""
        return self.source.split(",")[0].split(":")[0].strip().lower()


@dataclass(frozen=True)
class Ranked:
    """An open idea, its score (expected percent per unit of cost) and the reasons in words."""

    idea: Idea
    score: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class HitRate:
    """How often ideas of one group were kept; `rate` is the mean of Beta(1 + hits, 1 + tries - hits)."""

    hits: int
    tries: int

    @property
    def rate(self) -> float:
        return (self.hits + 1) / (self.tries + 2)


def hit_rate(ideas: Iterable[Idea]) -> HitRate:
    """Kept among measured ideas; a crash or a failed check is a try."""
    tried = [idea.status for idea in ideas if idea.status in VERDICTS]
    return HitRate(tried.count("keep"), len(tried))


def rank(ideas: Sequence[Idea], *, history: bool = True) -> list[Ranked]:
    """Open ideas, best first: gain x confidence / cost; equal scores keep the order of the file.

    With `history`, an idea whose source or class was kept less often than all measured ideas together is
    discounted by the ratio of the two hit rates (Beta(1,1)-smoothed; groups of fewer than three tries say
    nothing; of two ratios the smaller counts). Nothing is ever raised above its own estimate.
    """
    ranked = [_score(idea, ideas, history) for idea in ideas if idea.is_open]
    return sorted(ranked, key=lambda item: -item.score)


def _score(idea: Idea, ideas: Sequence[Idea], history: bool) -> Ranked:
    gain = DEFAULT_GAIN_PCT if idea.gain_pct is None else idea.gain_pct
    confidence = DEFAULT_CONFIDENCE if idea.confidence is None else idea.confidence
    cost = DEFAULT_COST if idea.cost is None else idea.cost
    reason = f"{gain:g} % x {confidence:g} / cost {cost:g}"
    given = (("gain", idea.gain_pct), ("confidence", idea.confidence))
    assumed = [name for name, value in given if value is None]
    reasons = [reason + (f" ({' and '.join(assumed)} assumed)" if assumed else "")]
    factor = 1.0
    if history:
        overall = hit_rate(ideas)
        for label, value, group in (
            ("source", idea.origin, [other for other in ideas if other.origin == idea.origin]),
            ("class", idea.kind, [other for other in ideas if other.kind == idea.kind]),
        ):
            record = hit_rate(group)
            if value and record.tries >= MIN_TRIES:
                ratio = min(1.0, record.rate / overall.rate)
                factor = min(factor, ratio)
                effect = f", x{ratio:.2f}" if ratio < 1 else ""
                reasons.append(f"{label} {value}: {record.hits} of {record.tries} kept{effect}")
    return Ranked(idea, gain * confidence / cost * factor, tuple(reasons))


@dataclass(frozen=True)
class Duplicate:
    """An idea that says the same; `similarity` is 1 when only case, spaces and punctuation differ."""

    idea: Idea
    similarity: float
    numbers_only: bool


def find_duplicate(text: str, ideas: Iterable[Idea], near: float = NEAR) -> Duplicate | None:
    """The most similar idea at or above `near` (difflib's ratio of normalised texts), tried ones included."""
    wanted = normalise(text) or text.strip()
    best: Duplicate | None = None
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(wanted)
    for idea in ideas:
        other = normalise(idea.text) or idea.text.strip()
        matcher.set_seq1(other)
        floor = best.similarity if best else near
        if matcher.real_quick_ratio() < floor or matcher.quick_ratio() < floor:
            continue
        similarity = matcher.ratio()
        if similarity >= near and (best is None or similarity > best.similarity):
            best = Duplicate(idea, similarity, other != wanted and _numberless(other) == _numberless(wanted))
    return best


def _numberless(text: str) -> str:
    return re.sub(r"\d+", "0", text)


def outcome(idea: Idea) -> str | None:
    """Measured against predicted: `hit` within a factor of two, else `overshoot` or `undershoot`."""
    if idea.measured_pct is None or idea.gain_pct is None or idea.gain_pct <= 0:
        return None
    ratio = idea.measured_pct / idea.gain_pct
    return "undershoot" if ratio < 0.5 else "overshoot" if ratio > 2 else "hit"


def calibration(ideas: Iterable[Idea]) -> dict[str, Any]:
    """What the predictions were worth: median of measured over predicted, and hits against confidence."""
    listed = list(ideas)
    judged = [idea for idea in listed if outcome(idea) is not None]
    words = [outcome(idea) for idea in judged]
    ratios = [i.measured_pct / i.gain_pct for i in judged if i.measured_pct is not None and i.gain_pct]
    tried = [idea for idea in listed if idea.status in VERDICTS]
    sure = [idea.confidence for idea in tried if idea.confidence is not None]
    kept = hit_rate(tried)
    return {
        "judged": len(judged), "hit": words.count("hit"), "overshoot": words.count("overshoot"),
        "undershoot": words.count("undershoot"),
        "measured_over_predicted": round(median(ratios), 3) if ratios else None, "tried": kept.tries,
        "kept": kept.hits, "mean_confidence": round(sum(sure) / len(sure), 3) if sure else None,
    }  # fmt: skip


def with_source(idea: Idea, source: str) -> Idea:
    """The idea with one more source; a source it has already is not repeated."""
    known = [part.strip() for part in idea.source.split(",") if part.strip()]
    return idea if source in known else replace(idea, source=", ".join([*known, source]))
