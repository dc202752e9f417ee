"""What `ab --a CMD --b CMD` tells beside its verdict: the runs themselves, and what they met."""

from __future__ import annotations

from typing import Any

from autoresearch.cli._fit import LIMIT
from autoresearch.cli._output import to_json
from autoresearch.judging.outcome import DISTURBED_SHARE, Timed
from autoresearch.trial.compare import Comparison
from autoresearch.trial.reading import WALL
from autoresearch.verdict.stats import mean, median


def told(compared: Comparison, seed: int, *, chosen: bool) -> tuple[dict[str, Any], list[str]]:
    """The answer for an agent, and the lines for a person. `chosen`: the metric was, by the user.

    The runs stand in it as lists in the order of `order`: `values`, `wall_s` beside another metric, and `waited_pct`.
    Those that do not fit are left out whole, and named in `left_out`.
    """
    metric, runs = compared.metric, [
        Timed(s.side, s.value, s.seconds, s.cpu_seconds, s.met.waited, s.met.foreign_seconds) for s in compared.samples
    ]  # fmt: skip
    columns = {metric: [run.value for run in runs], WALL: [run.wall for run in runs]}
    medians = {name: _medians(runs, column) for name, column in columns.items()} if runs else {}
    said = _warnings(runs, timed_by_the_clock=metric == WALL and not chosen)
    verdict = compared.verdict.to_json()
    data = {"metric": metric, **verdict, "warnings": [*verdict["warnings"], *said], "seed": seed}
    data |= {"medians": medians, "cpus": list(compared.cpus), "order": "".join(run.side for run in runs)}
    lists: dict[str, list[Any]] = {"values": list(map(_short, columns[metric]))}
    if metric != WALL:
        lists[WALL] = list(map(_short, columns[WALL]))
    if any(run.waited_share is not None for run in runs):
        lists["waited_pct"] = [None if (s := run.waited_share) is None else round(100 * s) for run in runs]
    data |= lists
    for name in reversed(lists):
        if len(to_json(data)) >= LIMIT:
            del data[name]
            data["left_out"] = [*data.get("left_out", []), name]
    where = f", on CPU {', '.join(map(str, compared.cpus))}" if compared.cpus else ""
    shown = [f"{name} {a:.4g} -> {b:.4g}" for name, (a, b) in medians.items()]
    return data, [*([f"medians: {', '.join(shown)} (base -> candidate){where}"] if shown else []), *said]


def _medians(runs: list[Timed], column: list[float]) -> list[float]:
    """Of the base and of the candidate; of the other where one has no run."""
    sides = [[v for run, v in zip(runs, column, strict=True) if run.side == side] or column for side in "AB"]
    return [_short(median(values)) for values in sides]


def _warnings(runs: list[Timed], timed_by_the_clock: bool) -> list[str]:
    shares = [share for run in runs if (share := run.waited_share) is not None]
    lost, said = mean(shares) if shares else 0.0, []
    if lost > DISTURBED_SHARE:
        exact = all(run.waited is not None for run in runs)
        said = [
            f"the runs waited for their core {100 * lost:.0f} % of the time: other programs run here" if exact
            else f"other programs had the runs' core {100 * lost:.0f} % of the time"
        ]  # fmt: skip
    if timed_by_the_clock:
        said.append("how long the commands waited for a core is not known here (a shell's children, or this system)")
    return said


def _short(value: float) -> float:
    return float(f"{value:.4g}")
