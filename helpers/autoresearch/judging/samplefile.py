"""The grammar of a recorded comparison: {"metric", "direction", "baseline", "candidate", "pairs", "runs"}."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from autoresearch.errors import BadInput
from autoresearch.verdict.rule import Rule
from autoresearch.verdict.sequential import TIMED_OUT
from autoresearch.verdict.units import is_count

EXAMPLE = '{"metric": "time_s", "direction": "lower", "baseline": [1.02, 1.01], "candidate": [0.97, 0.98]}'
SIDES = {"a": "A", "base": "A", "baseline": "A", "b": "B", "candidate": "B"}
_RUN = '{"slot": 0, "side": "A", "value": 1.02}'
# What a place takes, and how such a one is written; [] stands for any index. All other places take a number.
_TAKES = {
    "": ("a JSON object", EXAMPLE), "direction": ("lower or higher", ""), "preset": ("lean, default or thorough", ""),
    "baseline": ("a list of numbers", EXAMPLE), "candidate": ("a list of numbers", EXAMPLE),
    "pairs": ("a list of [baseline, candidate]", ""), "pairs[]": ("[baseline, candidate]", ""),
    "runs": ("a list", f"[{_RUN}]"), "runs[]": ("an object", _RUN),
    "runs[].side": ("A (baseline) or B (candidate)", ""), "runs[].slot": ("a number", ""),
    "runs[].block": ("a number or a name", ""),
}  # fmt: skip


@dataclass(frozen=True)
class Samples:
    """The checked file. `runs` holds (side, value, block or None) in time order, () when the order is unknown.

    A run with `"censored": true` was ended at its time limit: its value is `TIMED_OUT`. `missing` counts the runs
    without a number; `pairs` are (baseline, candidate) values.
    """

    rule: Rule
    baseline: tuple[float, ...]
    candidate: tuple[float, ...]
    pairs: tuple[tuple[float, float], ...]
    runs: tuple[tuple[str, float, object], ...]
    missing: int
    notes: tuple[str, ...]


class _Row(msgspec.Struct):
    side: Any = None
    value: float | None = None
    slot: float | msgspec.UnsetType = msgspec.UNSET
    block: int | str | None = None
    censored: Any = None


class _File(msgspec.Struct):
    direction: str | None = None
    preset: str | None = None
    metric: Any = None
    unit: Any = None
    layout: Any = None
    alpha: float | None = None
    beta: float | None = None
    min_effect_pct: float | None = None
    margin_pct: float | None = None
    max_runs: float | None = None
    baseline: list[float | None] | None = None
    candidate: list[float | None] | None = None
    pairs: list[tuple[float | None, float | None]] | None = None
    runs: list[_Row] | None = None


def read_samples(data: Mapping[str, Any]) -> Samples:
    """Check the parsed JSON object; `BadInput` says which field is wrong and what it takes. Unknown keys pass."""
    try:
        file = msgspec.convert(data, _File)
    except msgspec.ValidationError as exc:
        raw: Any = data
        at = re.search(r"`\$\.?([^`]*)`$", str(exc))
        for name, index in re.findall(r"(\w+)|\[(\d+)\]", at[1] if at else ""):
            raw = raw[name or int(index)]
        raise _bad(at[1] if at else "", raw) from None
    runs, missing = _runs(file.runs or [])
    lists = [file.baseline or [], file.candidate or []]
    if runs or missing:
        sides = [[value for side, value, _ in runs if side == own] for own in "AB"]
    else:
        sides = [_numbers(values) for values in lists]
        missing = sum(map(len, lists)) - sum(map(len, sides))
    pairs = [(pair[0], pair[1]) for pair in map(_numbers, file.pairs or []) if len(pair) == 2]
    missing = missing or len(file.pairs or []) - len(pairs)
    if pairs and not any(sides):
        sides = [[a for a, _ in pairs], [b for _, b in pairs]]
    for name, values in zip(("baseline", "candidate"), sides, strict=True):
        if not values and not missing:
            raise BadInput(f"the {name} has no values", fix=f"Write it as {EXAMPLE}")
    notes = () if file.direction is not None else ("no direction given: lower is taken as better",)
    return Samples(_rule(file), tuple(sides[0]), tuple(sides[1]), tuple(pairs), tuple(runs), missing, notes)


def _rule(file: _File) -> Rule:
    try:
        return Rule.preset(
            file.preset or "default", direction=file.direction, layout=file.layout, alpha=file.alpha,
            beta=file.beta, min_effect_pct=file.min_effect_pct, margin_pct=file.margin_pct,
            max_runs=None if file.max_runs is None else round(max(0.0, min(1e9, file.max_runs))),
            counted=is_count(str(file.metric or ""), str(file.unit or "")),
        )  # fmt: skip
    except ValueError as exc:
        raise BadInput(str(exc)) from None


def _runs(rows: list[_Row]) -> tuple[list[tuple[str, float, object]], int]:
    """The runs by slot, and how many have no number."""
    found: list[tuple[float, int, str, list[float], object]] = []
    for i, row in enumerate(rows):
        side, slot = SIDES.get(str(row.side).lower()), i if row.slot is msgspec.UNSET else row.slot
        if side is None or not math.isfinite(slot):
            raise _bad(f"runs[{i}].side", row.side) if side is None else _bad(f"runs[{i}].slot", slot)
        value = [TIMED_OUT] if row.censored is True else _numbers([row.value])
        found.append((slot, i, side, value, row.block))
    if len({row[0] for row in found}) < len(found):
        raise BadInput("two runs have the same slot", fix="slot is the run's place in time, from 0")
    found.sort(key=lambda row: row[:2])
    runs = [(side, value[0], block) for _, _, side, value, block in found if value]
    return runs, len(found) - len(runs)


def _numbers(values: Iterable[float | None]) -> list[float]:
    """Without null, NaN and infinity, which are runs without a result."""
    return [value for value in values if value is not None and math.isfinite(value)]


def _bad(path: str, raw: object) -> BadInput:
    number = "a number, or null for a run that gave none" if "[" in path else "a number"
    takes, example = _TAKES.get(re.sub(r"\d+", "", path), (number, ""))
    shown = repr(raw) if len(repr(raw)) <= 40 else repr(raw)[:39] + "…"
    fix = f"Write it as {example}" if example else ""
    return BadInput(f"{path or 'the file of samples'} must be {takes}, not {shown}", fix=fix)
