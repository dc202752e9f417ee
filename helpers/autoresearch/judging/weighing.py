"""From the rule's word on the objective to the decision: limits, rescue, size and plausibility. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from autoresearch.config import Complexity, Config, Objective, Rescue
from autoresearch.judging.constraints import Limit, LimitResult, gain_pct, hold, prove, required_pct
from autoresearch.judging.honesty import doubt, unseen
from autoresearch.judging.outcome import Outcome, Timed
from autoresearch.judging.outside import Blocks, Doubt, base_median, exceeds, excess, saved, seconds, used
from autoresearch.judging.units import is_speed
from autoresearch.trial.reading import CPU, WALL
from autoresearch.verdict import Reason
from autoresearch.verdict.rule import Rule
from autoresearch.verdict.stats import rounded
from autoresearch.verdict.units import is_count
from autoresearch.verdict.verdict import Verdict

# Blocks of four that a second metric is judged by at least: E grows at most sixfold in one, and 20 are needed.
KEEP_BLOCKS = 5
# Counts closer than this are the same work: the environment's size and the loader make up for less.
SAME_INSTRUCTIONS = 5e-4


def second_metrics(config: Config) -> list[str]:
    """Metrics beside the objective that decide something, each once."""
    return list(dict.fromkeys([c.metric for c in config.constraints] + [r.metric for r in config.rescue]))


def split(config: Config) -> int:
    """Tests that share an experiment's alpha: the objective's and one for each rescue metric (Bonferroni)."""
    return 1 + len(config.rescue)


def trial_settings(config: Config, alpha: float) -> dict[str, Any]:
    """What the trial's `test` needs beyond its preset: this test's part of `alpha`, and blocks to go on to."""
    relative = config.rescue or any(c.limit_pct is not None for c in config.constraints)
    relative = relative or config.objective.metric == CPU
    blocks = config.test.keep_blocks or (KEEP_BLOCKS if relative else 1)
    settings: dict[str, Any] = {"alpha": alpha / split(config)}
    if blocks > 1:
        settings["min_blocks"] = blocks
    if config.rescue:
        # Two more than the fewest that can prove anything at this alpha.
        fewest = math.ceil(math.log(split(config) / alpha) / math.log(6.0)) + 2
        settings["min_blocks_discard"] = max(blocks, fewest)
    return settings


def weigh(config: Config, outcome: Outcome, rule: Rule, lines: int) -> Outcome:
    """The outcome of an A/B with the verdict that the whole of `autoresearch.yaml` asks for.

    `rule` is the objective's, with its part of alpha; `lines` = added - removed. Gains of all metrics (percent of the
    base, positive = better) and what was found about each limit are added to the outcome.
    """
    verdict = outcome.verdict
    if verdict is None:
        return outcome
    missing = next((name for name in second_metrics(config) if outcome.series(name) is None), None)
    if missing is not None:
        text = f"a run printed no METRIC {missing}, which autoresearch.yaml names as a constraint or rescue metric"
        return replace(outcome, verdict=replace(verdict, verdict="discard", reason="invalid", reason_text=text))
    if not outcome.blocks:
        return outcome
    findings = judge_limits(config, outcome)
    effect, least = verdict.effect_pct, config.objective.min_effect_pct
    if verdict.verdict != "keep":
        verdict, effect, least = _rescue(config, outcome, verdict, rule)
    if verdict.verdict == "keep":
        doubts = (
            _implausible(config.objective, outcome, verdict.effect_pct),
            _same_work(config.objective, outcome, verdict.layout),
            doubt(config.objective, outcome, verdict.effect_pct),
            _slept(config.objective, outcome),
            _unsaid(outcome),
            _limits(config.objective, verdict.effect_pct, findings),
            _size(config.complexity, effect, least, lines),
        )
        found = next(filter(None, doubts), None)
        if found is not None:
            verdict = replace(verdict, verdict="discard", reason=found.word, reason_text=found.text)
        elif note := unseen(config.objective, outcome):
            verdict = replace(verdict, reason_text=f"{verdict.reason_text}; {note}")
    return replace(outcome, verdict=verdict, gains=_gains(config, outcome), findings=tuple(told(findings)))


def judge_limits(config: Config, outcome: Outcome) -> list[LimitResult]:
    """What whole blocks say about each constraint; [] without blocks that have all of their metrics."""
    found = []
    for c in config.constraints:
        series = outcome.series(c.metric)
        if series:
            found.append(hold(Limit(c.metric, c.direction, c.limit_pct, c.max, c.min), series))
    return found


def told(findings: Iterable[LimitResult]) -> list[dict[str, Any]]:
    """Findings as they stand in the ledger."""
    return [
        {"metric": f.metric, "status": f.status, "gain_pct": rounded(f.gain_pct), "e_value": rounded(f.e_value)}
        for f in findings
    ]


def saved_by(config: Config, outcome: Outcome, rule: Rule) -> str | None:
    """The first rescue metric that is proven better while the objective is shown to be no worse; None without one."""
    better = _first_better(config, outcome, rule)
    if better is None or not outcome.series(config.objective.metric):
        return None
    return better[0].metric if _neutral(config, outcome).status == "met" else None


def _first_better(config: Config, outcome: Outcome, rule: Rule) -> tuple[Rescue, Verdict] | None:
    """The first rescue metric whose gain is proven, and its verdict."""
    for metric in config.rescue:
        least, counted = metric.min_effect_pct, is_count(metric.metric)
        own = replace(rule, direction=metric.direction, min_effect_pct=least, counted=counted)
        found = prove(own, outcome.series(metric.metric) or [])
        if found.verdict == "keep":
            return metric, found
    return None


def _neutral(config: Config, outcome: Outcome) -> LimitResult:
    """Whether the objective is no worse, by more than is worth keeping."""
    objective = config.objective
    limit = Limit(objective.metric, objective.direction, objective.min_effect_pct)
    return hold(limit, outcome.series(objective.metric) or [])


def _rescue(config: Config, outcome: Outcome, verdict: Verdict, rule: Rule) -> tuple[Verdict, float | None, float]:
    """The verdict, and the effect and least effect that its size is paid by."""
    least = config.objective.min_effect_pct
    better = _first_better(config, outcome, rule)
    if better is None:
        return verdict, verdict.effect_pct, least
    metric, found = better
    neutral = _neutral(config, outcome)
    gain = "" if found.effect_pct is None else f" {found.effect_pct:+.2g} %"
    if neutral.status != "met":
        text = f"{verdict.reason_text}; {metric.metric} is better{gain}, but {neutral.text}"
        return replace(verdict, reason_text=text), verdict.effect_pct, least
    text = f"{metric.metric} is better{gain}: {found.reason_text}; {neutral.text}"
    e_value = None if found.reason == "deterministic" else found.e_value
    saved = replace(verdict, verdict="keep", reason="rescued", reason_text=text, e_value=e_value)
    return saved, found.effect_pct, metric.min_effect_pct


def _implausible(objective: Objective, outcome: Outcome, effect: float | None) -> Doubt | None:
    value, ceiling, bound = outcome.metric, objective.ceiling_pct, objective.bound
    lower = objective.direction == "lower"
    if ceiling is not None and effect is not None and effect > ceiling:
        beyond = f"{effect:+.1f} % is beyond objective.ceiling_pct ({ceiling:g})"
    elif bound is not None and value is not None and (value < bound if lower else value > bound):
        beyond = f"{objective.metric}={value:.6g} is beyond objective.bound ({bound:g})"
    else:
        return None
    return Doubt(
        "implausible",
        f"{beyond}, so it is not believed: look for skipped work, a cached answer or a fooled clock. If it is real, "
        "raise that in autoresearch.yaml and open a new segment: autoresearch baseline --new-segment",
    )


def _same_work(objective: Objective, outcome: Outcome, layout: str) -> Doubt | None:
    """With one build a side, more speed without a change in what is executed may be where the linker put it."""
    counts = outcome.instructions
    # A count or a size has no layout; a time has, and a rate.
    if not is_speed(objective) or layout != "fixed" or not counts:
        return None
    if abs(counts["B"] / counts["A"] - 1.0) >= SAME_INSTRUCTIONS:
        return None
    return Doubt(
        "same_instructions",
        f"both sides execute the same instructions ({counts['A']:,} and {counts['B']:,} by {counts['tool']}), so "
        "with one build a side this may be the luck of the linker: give the build a fresh layout (templates/layout.md)",
    )


def _slept(objective: Objective, outcome: Outcome) -> Doubt | None:
    """Processor time that we measured counts no sleep: what saves it has to save time as well."""
    runs = [run for block in outcome.timed for run in block]
    if objective.metric != CPU or any(run.cpu is None or abs(run.value - run.cpu) > 1e-3 for run in runs):
        return None
    own = all(run.own is not None for run in runs)
    series = [
        ("".join(run.side for run in block), [run.wall if run.own is None or not own else run.own for run in block])
        for block in outcome.timed
    ]
    found = hold(Limit("own_s" if own else WALL, pct=0.0), series)
    if found.status == "met":
        return _slept_instead(outcome.timed, exact=own)
    word: Reason = "constraint" if found.status == "violated" else "constraint_unclear"
    return Doubt(word, f"{CPU} counts neither sleep nor waiting, so the runs have to be shorter, too: {found.text}")


def _slept_instead(blocks: Blocks, *, exact: bool) -> Doubt | None:
    """Beside load a sleep is shorter than the work that it stands for, which waits for its core: so a run is held to
    the seconds that the base takes for each of the processor's, on the same machine at the same time."""

    def lasted(run: Timed) -> float:
        return run.wall if run.own is None or not exact else run.own

    pace = base_median(blocks, lasted) / base_median(blocks, used)
    claimed = -excess(blocks, used).estimate
    if claimed <= 0.0 or not exceeds(blocks, lambda run: lasted(run) - pace * used(run), claimed):
        return None
    return Doubt(
        "moved_work",
        f"{CPU} counts neither sleep nor waiting: {seconds(claimed)} of the processor were saved, and of the "
        f"{seconds(pace * claimed)} that the base takes for them here, the runs saved {saved(blocks)}",
    )


def _unsaid(outcome: Outcome) -> Doubt | None:
    """What a benchmark says beside its numbers tells what it did: that is the same for the base and a candidate."""
    if not outcome.unsaid:
        return None
    where, *lost = outcome.unsaid
    more = f"; and {len(lost) - 2} more" if len(lost) > 2 else ""
    return Doubt(
        "other_output",
        f"the benchmark says less than at the base, {where}: {'; '.join(lost[:2])}{more}: less was done, or something "
        "else. If it is meant, take benchmark out of compare_output in autoresearch.yaml, in a new segment",
    )


def _limits(objective: Objective, effect: float | None, findings: list[LimitResult]) -> Doubt | None:
    broken = [f for f in findings if f.status == "violated"] or [f for f in findings if f.status == "unclear"]
    if not broken:
        return None
    itself = "" if effect is None else f". {objective.metric} itself was {effect:+.1f} % better"
    word: Reason = "constraint" if broken[0].status == "violated" else "constraint_unclear"
    return Doubt(word, "; ".join(f.text for f in broken) + itself)


def _size(cost: Complexity, effect: float | None, least: float, lines: int) -> Doubt | None:
    needed = required_pct(least, cost.pct_per_100_lines, cost.free_lines, lines)
    # Arithmetic, not noise: an estimate of 2.0 reaches 2.
    if effect is None or needed <= least or effect >= needed - 1e-9:
        return None
    return Doubt(
        "complexity",
        f"{lines} more lines have to bring {needed:.3g} % (complexity in autoresearch.yaml), and the estimate is "
        f"{effect:+.3g} %: find a smaller change with the same effect",
    )


def _gains(config: Config, outcome: Outcome) -> dict[str, float]:
    """Percent better than the base, of the objective and of every metric beside it."""
    directions = {c.metric: c.direction for c in config.constraints}
    directions |= {r.metric: r.direction for r in config.rescue}
    if not directions:
        return {}
    found = {}
    for name, direction in {config.objective.metric: config.objective.direction, **directions}.items():
        gain = gain_pct(direction, outcome.series(name) or [])
        if gain is not None:
            found[name] = rounded(gain)
    return found
