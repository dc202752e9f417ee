"""What a session costs, how near its budgets it is, and what the next experiments will take. Pure.

An hour is a machine's: a VM's from its launch to its end, whatever it does meanwhile; of the local machine those hours
in which at least one job ran.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from autoresearch.config import Budget
from autoresearch.engines import Machine
from autoresearch.ledger.lines import CostFields, RunLine, SpentFields

# Decided experiments from which their own cost is believed more than what the baseline suggests.
ENOUGH = 3
_WINDOW = 20


@dataclass(frozen=True)
class Spend:
    """So far. `dollars` and `price` (of a machine-hour) are None where nobody has named a price.

    `per_hour` is the price of what is up now, `up` the number of those machines.
    """

    vm_hours: float = 0.0
    dollars: float | None = None
    per_hour: float | None = None
    tokens: int = 0
    up: int = 0
    price: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The cumulative figures, as a ledger line keeps them in `spent`."""
        return {
            "vm_hours": round(self.vm_hours, 6),
            "dollars": None if self.dollars is None else round(self.dollars, 6),
            "tokens": self.tokens,
        }


def add_up(machines: Sequence[Machine], floor: SpentFields, tokens: int, price: float | None) -> Spend:
    """Sum over `machines`; `price` ($/h) is for those without one of their own.

    `floor` is what a ledger line said earlier (`Spend.to_json`): money that was spent stays spent, also when the
    engine's own notes of it are gone.
    """
    # SkyPilot says 0 where it has no price list (Slurm, Kubernetes): that is no price.
    priced = [(m, m.price_per_hour or price or None) for m in machines]
    hours = math.fsum(m.hours for m in machines)
    costs = [m.dollars or (None if p is None else m.hours * p) for m, p in priced]
    dollars = math.fsum(c for c in costs if c is not None) if any(c is not None for c in costs) else None
    if dollars is None and price is not None:
        dollars = 0.0
    rates = [p for m, p in priced if m.up and p is not None]
    known = [p for _, p in priced if p is not None]
    old_hours, old_dollars = floor.vm_hours, floor.dollars
    return Spend(
        vm_hours=max(hours, old_hours),
        dollars=old_dollars if dollars is None else max(dollars, old_dollars or 0.0),
        per_hour=math.fsum(rates) if known or price is not None else None,
        tokens=tokens,
        up=sum(m.up for m in machines),
        price=math.fsum(known) / len(known) if known else price,
    )  # fmt: skip


def used_up(budget: Budget, spend: Spend) -> str:
    """Why no machine may be used any more; "" while the money lasts. Tokens end the search, not the machines."""
    return "; ".join(near(replace(budget, tokens=None), spend)[1])


def near(budget: Budget, spend: Spend) -> tuple[dict[str, str], list[str]]:
    """How near each budget is, such as {"dollars": "1.20/5"}, and sentences on those that are used up."""
    rows = (
        ("dollars", budget.dollars, spend.dollars, f"{spend.dollars or 0:.2f}", "dollars spent"),
        ("vm_hours", budget.vm_hours, spend.vm_hours, f"{spend.vm_hours:.2f}", "machine-hours used"),
        ("tokens", budget.tokens, spend.tokens, str(spend.tokens), "tokens used"),
    )
    shown, reasons = {}, []
    for name, limit, used, text, words in rows:
        if limit is not None:
            shown[name] = f"{text}/{limit:g}"
            if used is not None and used >= limit:
                reasons.append(f"{text} {words} (budget.{name} is {limit:g})")
    return shown, reasons


@dataclass(frozen=True)
class PerExperiment:
    """What one experiment takes, screening and A/B together: machine-hours in the mean and at most (90 % of them).

    `basis` says where that comes from, `tokens` is None where no agent has reported any.
    """

    hours: float
    hours_high: float
    tokens: int | None
    basis: str


def per_experiment(
    costs: Sequence[CostFields],
    tokens: Sequence[int],
    *,
    hours_since_baseline: float,
    baseline: RunLine | None,
    max_runs: int,
) -> PerExperiment | None:
    """From the session's own history; before there is one, from its baseline. None where neither tells.

    `costs` are the `cost` fields of the decided experiments' lines, oldest first: the seconds of its own jobs. The mean
    comes from all hours since the baseline, so that waiting, launching and idling are in it.
    """
    each = [c.machine_s / 3600.0 for c in costs][-_WINDOW:]
    mean_tokens = round(math.fsum(tokens) / len(tokens)) if tokens else None
    if len(costs) >= ENOUGH and math.fsum(each) > 0.0:
        high = sorted(each)[min(len(each) - 1, math.ceil(0.9 * len(each)) - 1)]
        own = math.fsum(each) / len(each)
        mean = max(hours_since_baseline / len(costs), own)
        return PerExperiment(mean, mean * max(1.0, high / own), mean_tokens, f"{len(costs)} experiments")
    runs = baseline.runs_used or 0 if baseline else 0
    if baseline is None or baseline.seconds <= 0.0 or runs < 1:
        return None
    run = baseline.seconds / runs / 3600.0  # a build and the checks are in it, shared out over the runs
    # The screening is one run. An A/B takes between 8 and all of its runs: half of them for a guess.
    return PerExperiment(run * (1 + max_runs / 2), run * (1 + max_runs), mean_tokens, "the baseline")


@dataclass(frozen=True)
class Forecast:
    """What `experiments` will roughly take. `minutes` on the clock, with `machines` at once."""

    experiments: int
    vm_hours: float
    vm_hours_high: float
    minutes: float
    dollars: float | None
    dollars_high: float | None
    tokens: int | None
    basis: str

    def to_json(self) -> dict[str, Any]:
        """For --json; rounded."""
        return {
            "experiments": self.experiments,
            "minutes": round(self.minutes, 1),
            "vm_hours": [round(self.vm_hours, 3), round(self.vm_hours_high, 3)],
            "dollars": None if self.dollars is None or self.dollars_high is None
            else [round(self.dollars, 3), round(self.dollars_high, 3)],
            "tokens": self.tokens,
            "basis": self.basis,
        }  # fmt: skip

    def sentence(self) -> str:
        """For a person."""
        dollars = ""
        if self.dollars is not None and self.dollars_high is not None:
            dollars = f", {self.dollars:.2f} dollars (at most about {self.dollars_high:.2f})"
        tokens = f", {self.tokens} tokens" if self.tokens else ""
        plural = "" if self.experiments == 1 else "s"
        return (
            f"{self.experiments} experiment{plural} with their A/Bs: about {clock(self.minutes)}, "
            f"{self.vm_hours:.2g} machine-hours (at most about {self.vm_hours_high:.2g}){dollars}{tokens}; "
            f"from {self.basis}"
        )


def clock(minutes: float) -> str:
    """Minutes as people say them."""
    if minutes < 2:
        return f"{minutes * 60:.0f} s"
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def forecast(experiments: int, each: PerExperiment, spend: Spend, width: int = 1) -> Forecast:
    """Scale one experiment up: hours add up, the clock is shared by the `width` machines that there are at most."""
    hours, high = experiments * each.hours, experiments * each.hours_high
    return Forecast(
        experiments=experiments,
        vm_hours=hours,
        vm_hours_high=high,
        minutes=60.0 * hours / max(1, min(width, experiments)),
        dollars=None if spend.price is None else hours * spend.price,
        dollars_high=None if spend.price is None else high * spend.price,
        tokens=None if each.tokens is None else experiments * each.tokens,
        basis=each.basis,
    )


def beyond(budget: Budget, spend: Spend, ahead: Forecast, reserve_hours: float) -> str:
    """Why a submission is refused: what is spent and what is ahead go beyond a budget. Empty when all of it fits.

    `ahead` holds the experiments in flight and the one that is asked for; `reserve_hours` are kept for the audit, so
    that what was kept can still be verified.
    """
    rows: list[tuple[str, float | None, float | None, float | None, float]] = [
        ("dollars", budget.dollars, spend.dollars, ahead.dollars, reserve_hours * (spend.price or 0.0)),
        ("vm_hours", budget.vm_hours, spend.vm_hours, ahead.vm_hours, reserve_hours),
        ("tokens", budget.tokens, float(spend.tokens), ahead.tokens, 0.0),
    ]
    for name, limit, used, more, reserve in rows:
        if limit is not None and used is not None and more is not None and used + more + reserve > limit:
            kept = f" and {reserve:.3g} kept for the audit" if reserve else ""
            return (
                f"it would probably go beyond budget.{name} {limit:g}: {used:.3g} spent, {more:.3g} for "
                f"{ahead.experiments} experiment{'' if ahead.experiments == 1 else 's'}{kept} (from {ahead.basis})"
            )
    return ""


def cost_json(spend: Spend) -> dict[str, Any]:
    """For `status --json`."""
    return {
        "vm_hours": round(spend.vm_hours, 3),
        "dollars": None if spend.dollars is None else round(spend.dollars, 2),
        "dollars_per_hour": None if spend.per_hour is None else round(spend.per_hour, 2),
        "tokens": spend.tokens,
    }


def cost_text(spend: Spend) -> str:
    """For a person: hours, dollars, what is burning now, tokens."""
    words = [f"{spend.vm_hours:.2f} machine-hours"]
    if spend.dollars is not None:
        words.append(f"{spend.dollars:.2f} dollars")
    if spend.tokens:
        words.append(f"{spend.tokens} tokens")
    rate = "" if spend.per_hour is None else f", {spend.per_hour:.2f} dollars an hour"
    return f"{', '.join(words)}; {spend.up} machine{'' if spend.up == 1 else 's'} up now{rate}"
