"""The grammar of a recorded comparison: {"metric", "direction", "baseline", "candidate", "pairs", "runs"}."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from autoresearch.errors import BadInput
from autoresearch.verdict.rule import Rule
from autoresearch.verdict.sequential import TIMED_OUT
from autoresearch.verdict.units import is_count

EXAMPLE = '{"metric": "time_s", "direction": "lower", "baseline": [1.02, 1.01], "candidate": [0.97, 0.98]}'
SIDES = {"a": "A", "base": "A", "baseline": "A", "b": "B", "candidate": "B"}
RULE_FIELDS = ("alpha", "beta", "min_effect_pct", "max_runs", "margin_pct", "layout")


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


def read_samples(data: Mapping[str, Any]) -> Samples:
    """Check the parsed JSON object; `BadInput` says which field is wrong and what it takes. Unknown keys pass."""
    if not isinstance(data, Mapping):
        raise BadInput("the samples are not a JSON object", fix=f"Write it as {EXAMPLE}")
    notes: list[str] = []
    rule = _rule(data, notes)
    runs, missing = _runs(data.get("runs"))
    if runs or missing:
        sides: dict[str, list[float]] = {"A": [], "B": []}
        for side, value, _ in runs:
            sides[side].append(value)
        baseline, candidate = sides["A"], sides["B"]
    else:
        (baseline, lost_a), (candidate, lost_b) = (_list(data, name) for name in ("baseline", "candidate"))
        missing = lost_a + lost_b
    pairs, lost = _pairs(data.get("pairs"))
    missing = missing or lost
    if pairs and not runs and not baseline and not candidate:
        baseline, candidate = [a for a, _ in pairs], [b for _, b in pairs]
    if not missing:
        for name, values in (("baseline", baseline), ("candidate", candidate)):
            if not values:
                raise BadInput(f"the {name} has no values", fix=f"Write it as {EXAMPLE}")
    return Samples(rule, tuple(baseline), tuple(candidate), tuple(pairs), tuple(runs), missing, tuple(notes))


def _rule(data: Mapping[str, Any], notes: list[str]) -> Rule:
    direction = data.get("direction")
    if direction is None:
        notes.append("no direction given: lower is taken as better")
        direction = "lower"
    changes = {name: data.get(name) for name in RULE_FIELDS}
    for name, value in changes.items():
        if name != "layout" and value is not None and not _is_number(value):
            raise BadInput(f"{name} must be a number, not {_shown(value)}")
    if changes["max_runs"] is not None:
        changes["max_runs"] = round(min(1e9, changes["max_runs"]))
    preset = data.get("preset") or "default"
    if not isinstance(direction, str) or not isinstance(preset, str):
        raise BadInput("direction and preset must be words", fix="direction is lower or higher")
    try:
        counted = is_count(str(data.get("metric") or ""), str(data.get("unit") or ""))
        return Rule.preset(preset, direction=direction, counted=counted, **changes)
    except ValueError as exc:
        raise BadInput(str(exc)) from None


def _runs(raw: object) -> tuple[list[tuple[str, float, object]], int]:
    """The runs by slot, and how many have no number."""
    if raw is None:
        return [], 0
    if not _is_list(raw):
        raise BadInput("runs must be a list", fix='A run is {"slot": 0, "side": "A", "value": 1.02}')
    rows: list[tuple[float, int, str, float | None, object]] = []
    for i, run in enumerate(raw):
        if not isinstance(run, Mapping):
            raise BadInput(
                f"runs[{i}] must be an object", fix='Such as {"slot": 0, "side": "A", "value": 1.02}'
            )
        side = SIDES.get(str(run.get("side")).lower())
        if side is None:
            raise BadInput(
                f"runs[{i}].side must be A (baseline) or B (candidate), not {_shown(run.get('side'))}"
            )
        place = run.get("slot", i)
        slot = _value(place, "slot") if _is_number(place) else None
        if slot is None:
            raise BadInput(f"runs[{i}].slot must be a number, not {_shown(place)}")
        block = run.get("block")
        if not isinstance(block, (int, str, type(None))):
            raise BadInput(f"runs[{i}].block must be a number or a name, not {_shown(block)}")
        value = TIMED_OUT if run.get("censored") is True else _value(run.get("value"), f"runs[{i}].value")
        rows.append((slot, i, side, value, block))
    if len({row[0] for row in rows}) < len(rows):
        raise BadInput("two runs have the same slot", fix="slot is the run's place in time, from 0")
    rows.sort(key=lambda row: row[:2])
    runs = [(side, value, block) for _, _, side, value, block in rows if value is not None]
    return runs, len(rows) - len(runs)


def _list(data: Mapping[str, Any], name: str) -> tuple[list[float], int]:
    raw = data.get(name, [])
    if raw is None:
        return [], 0
    if not _is_list(raw):
        raise BadInput(f"{name} must be a list of numbers, not {_shown(raw)}", fix=f"Write it as {EXAMPLE}")
    values = [_value(v, f"{name}[{i}]") for i, v in enumerate(raw)]
    good = [v for v in values if v is not None]
    return good, len(values) - len(good)


def _pairs(raw: object) -> tuple[list[tuple[float, float]], int]:
    if raw is None:
        return [], 0
    if not _is_list(raw):
        raise BadInput("pairs must be a list of [baseline, candidate]")
    good: list[tuple[float, float]] = []
    for i, pair in enumerate(raw):
        if not _is_list(pair) or len(pair) != 2:
            raise BadInput(f"pairs[{i}] must be [baseline, candidate], not {_shown(pair)}")
        a, b = (_value(v, f"pairs[{i}]") for v in pair)
        if a is not None and b is not None:
            good.append((a, b))
    return good, len(raw) - len(good)


def _value(raw: object, where: str) -> float | None:
    """A finite number; None for null, NaN or infinity, which are runs without a result."""
    if raw is None:
        return None
    if not _is_number(raw):
        raise BadInput(f"{where} must be a number, or null for a run that gave none, not {_shown(raw)}")
    try:
        value = float(raw)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


def _is_number(raw: object) -> TypeGuard[float]:
    return isinstance(raw, (int, float)) and not isinstance(raw, bool)


def _is_list(raw: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(raw, Sequence) and not isinstance(raw, (str, bytes))


def _shown(raw: object) -> str:
    text = repr(raw)
    return text if len(text) <= 40 else text[:39] + "…"
