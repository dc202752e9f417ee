"""A verdict on samples that someone else recorded (`ab --samples FILE`): what is valid depends on their order.

| known | test | valid because |
|---|---|---|
| time order, blocks of 2 A + 2 B | e-process over the six orders | the order was drawn |
| time order, pairs AB or BA | e-process over the two orders | the order was drawn |
| pairs only | exact signed-rank test | within a pair, either could have come first |
| two lists | exact rank-sum test at alpha / 4 | only if runs were independent |
| A's and B's in separate batches | no keep, unless there is no noise at all | |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from autoresearch.judging import ranktests
from autoresearch.verdict import Reason, stats
from autoresearch.verdict.eprocess import ORDERS, PAIRS, Block
from autoresearch.verdict.sequential import TIMED_OUT, SequentialTest
from autoresearch.verdict.verdict import Verdict, explain

if TYPE_CHECKING:
    from autoresearch.judging.samplefile import Samples

# Where validity rests on an assumption that nobody checked, the evidence must be this much stronger.
STRICT = 4.0
# So many blocks of four without one AABB or BBAA, by chance in 4 %: they were drawn as pairs.
PAIRED_BLOCKS = 8
SampledRun = tuple[str, float, object]


def judge_samples(data: Mapping[str, Any]) -> Verdict:
    """The verdict on a recorded comparison (the grammar is in `samplefile`); `BadInput` when it is malformed.

    All data are used. A keep says after how many runs the rule would have stopped (`runs_used`).
    """
    from autoresearch.judging.samplefile import read_samples  # for start-up time: it needs msgspec

    samples = read_samples(data)
    notes = list(samples.notes)
    if samples.rule.layout == "unknown" and not samples.rule.counted:
        notes.append("layout unknown: if each side had one build, a gain near 1.5 % may be link-order luck")
    if samples.missing:
        text = f"{samples.missing} of the runs gave no number, so nothing can be said: mend that, measure again"
        return _nothing(samples, text, notes)
    if samples.runs:
        blocks = arrange(samples.runs, paired=bool(samples.pairs))
        if blocks:
            return _by_blocks(samples, blocks, notes)
        if any(value == TIMED_OUT for _, value, _ in samples.runs):
            return _nothing(samples, "runs that timed out are judged in interleaved blocks only", notes)
        found = _in_batches(_by_lists(samples))
        return replace(found, warnings=(*notes, *found.warnings))
    notes.append("the order of the runs is unknown (no runs field): drift cannot be told from a gain")
    found = _by_pairs(samples) if samples.pairs else _by_lists(samples)
    return replace(found, order_known=False, warnings=(*notes, *found.warnings))


def _nothing(samples: Samples, text: str, notes: Sequence[str]) -> Verdict:
    empty = SequentialTest(samples.rule).verdict()
    return replace(empty, reason_text=text, order_known=bool(samples.runs), warnings=tuple(notes))


def arrange(runs: Sequence[SampledRun], *, paired: bool = False) -> list[Block]:
    """The runs as the blocks their recorder drew, in time order; [] when A and B were not interleaved.

    Fours that never are AABB or BBAA may have been drawn as two pairs, of which only four orders are possible;
    they are read so when `paired` says it, or when there are too many for chance.
    """
    if runs and all(group is not None for _, _, group in runs):
        grouped: dict[object, list[SampledRun]] = {}
        for run in runs:
            grouped.setdefault(run[2], []).append(run)
        named = [_block(rows) for rows in grouped.values()]
        if all(order in ORDERS + PAIRS for order, _ in named):
            return named
    fours = [_block(runs[i : i + 4]) for i in range(0, len(runs) - 3, 4)]
    if fours and all(order in ORDERS for order, _ in fours):
        as_pairs = all(order not in ("AABB", "BBAA") for order, _ in fours)
        if as_pairs and (paired or len(fours) >= PAIRED_BLOCKS):
            halves = [_block(runs[i : i + 2]) for i in range(0, len(runs) - 1, 2)]
            return [half for half in halves if half[0] in PAIRS]
        return fours
    return _balanced_groups(runs)


def _balanced_groups(runs: Sequence[SampledRun]) -> list[Block]:
    """Balanced neighbours of four or two, greedily; [] when they cover less than half of the runs."""
    found: list[Block] = []
    start = 0
    while start < len(runs) - 1:
        tries = (_block(runs[start : start + length]) for length in (4, 2))
        block = next((each for each in tries if each[0] in ORDERS + PAIRS), None)
        if block:
            found.append(block)
        start += len(block[1]) if block else 1
    return found if 2 * sum(len(values) for _, values in found) >= len(runs) else []


def _block(runs: Sequence[SampledRun]) -> Block:
    return "".join(side for side, _, _ in runs), [value for _, value, _ in runs]


def _by_blocks(samples: Samples, blocks: list[Block], notes: list[str]) -> Verdict:
    """The e-process over all blocks. By Ville a keep stands if E ever reached 1 / alpha."""
    runs = sum(len(values) for _, values in blocks)
    rule = replace(samples.rule, max_runs=max(4, runs))
    if len(blocks) > 3 and len({order for order, _ in blocks}) == 1:
        notes.append(f"every block ran in the order {blocks[0][0]}, so nothing was drawn: more evidence is asked for")
        rule = replace(rule, alpha=rule.alpha / STRICT)
    if runs < len(samples.runs):
        notes.append(f"{len(samples.runs) - runs} of {len(samples.runs)} runs fit no balanced block and are left out")
    test, stop, used, refuted = SequentialTest(rule), 0, 0, False
    for order, values in blocks:
        refuted = test.step(order, values) == "below_min" or refuted
        used += len(values)
        if not stop and test.peak_log_e >= math.log(1.0 / rule.alpha):
            stop = used
    found = test.verdict()
    found = replace(found, warnings=(*notes, *found.warnings))
    if test.exact() or test.reason == "identical":
        return found
    peak = stats.e_value(test.peak_log_e)
    better = found.effect_pct is None or found.effect_pct > 0.0
    hangs = test.timed_out["B"] > test.timed_out["A"]
    keep = stop > 0 and better and not hangs and test.reason != "below_min"
    reason: Reason = "proven" if keep else "timeouts" if hangs else "below_min" if refuted else "budget"
    found = replace(found, verdict="keep" if keep else "discard", reason=reason)
    text = explain(found, rule, peak)
    if not keep or stop == used:
        return replace(found, reason_text=text)
    text += f"; the rule stops after {stop} of these {used} runs"
    return replace(found, reason_text=text, runs_used=stop, e_value=peak)


def _by_pairs(samples: Samples) -> Verdict:
    to_y, margin = _scale(samples)
    gaps = [to_y(a) - to_y(b) - margin for a, b in samples.pairs]
    sigma = stats.MAD_TO_SD * stats.mad(gaps) / math.sqrt(2.0)
    shift = ranktests.signed_rank(gaps)
    return _from_ranks(samples, "signed_rank", shift, sigma, samples.rule.alpha, 2 * len(gaps))


def _in_batches(found: Verdict) -> Verdict:
    """No keep when all of A ran before all of B (or nearly): 14 to 27 % false keeps under drift at any alpha.

    Nor an interval, which would hold the truth in 52 to 78 % only.
    """
    if found.reason != "deterministic":
        found = replace(found, ci_low_pct=None, ci_high_pct=None)
    if found.verdict != "keep" or found.reason == "deterministic":
        return found
    text = "A and B ran in separate batches, so a change of the machine looks like a gain: measure interleaved"
    return replace(found, verdict="discard", reason="hopeless", reason_text=text)


def _by_lists(samples: Samples) -> Verdict:
    both = (samples.baseline, samples.candidate)
    runs = sum(map(len, both))
    if samples.rule.counted and all(len(set(values)) == 1 < len(values) for values in both):
        test = SequentialTest(samples.rule)
        for _ in range(min(map(len, both)) // 2):
            test.step("AABB", [*both[0][:2], *both[1][:2]])
        if test.exact():
            return replace(test.verdict(), runs_used=runs)
    to_y, margin = _scale(samples)
    base, candidate = [to_y(v) - margin for v in both[0]], [to_y(v) for v in both[1]]
    sigma = stats.MAD_TO_SD * (stats.mad(base) + stats.mad(candidate)) / 2.0
    shift = ranktests.rank_sum(base, candidate)
    found = _from_ranks(samples, "rank_sum", shift, sigma, samples.rule.alpha / STRICT, runs)
    trends = [p for p in (stats.trend_p(base), stats.trend_p(candidate)) if p is not None]
    if found.verdict == "keep" and trends and min(trends) < 0.01:
        text = f"the readings drift (p={min(trends):.1g}), so two lists prove nothing: measure again, interleaved"
        return replace(found, verdict="discard", reason="hopeless", reason_text=text, ci_low_pct=None, ci_high_pct=None)
    return found


def _from_ranks(samples: Samples, test: str, shift: ranktests.Shift, sigma: float, alpha: float, runs: int) -> Verdict:
    """A rank test's result in the words and units of a verdict."""
    rule, margin = samples.rule, _scale(samples)[1]
    base, candidate = stats.median(samples.baseline), stats.median(samples.candidate)
    log = _positive(samples)

    def percent(delta: float | None) -> float | None:
        if delta is None:
            return None
        if log:
            return -100.0 * math.expm1(min(-(delta + margin), 600.0))
        return 100.0 * (delta + margin) / abs(base) if base else None

    effect, high = percent(shift.estimate), percent(shift.high)
    noise = 100.0 * sigma if log else (100.0 * sigma / abs(base) if base else None)
    keep = shift.p_value <= alpha and shift.estimate > 0.0
    reason: Reason = "proven" if keep else "below_min" if high is not None and high < rule.least_pct else "budget"
    found = Verdict(
        "keep" if keep else "discard", reason, "", effect_pct=effect, ci_low_pct=percent(shift.low),
        ci_high_pct=high, e_needed=1.0 / rule.alpha, runs_used=runs, sigma_short_pct=noise,
        mde_pct=None if noise is None else stats.mde(noise, runs), layout=rule.layout, alpha=alpha, test=test,
        p_value=shift.p_value, base_median=base, candidate_median=candidate,
        effect_units=None if log else (base - candidate) * (1.0 if rule.direction == "lower" else -1.0),
    )  # fmt: skip
    text = explain(found, rule, 1.0 / max(shift.p_value, 1e-300))
    return replace(found, reason_text=text + (", if all runs were independent" if keep and test == "rank_sum" else ""))


def _positive(samples: Samples) -> bool:
    flat = [v for pair in samples.pairs for v in pair]
    return min([*samples.baseline, *samples.candidate, *flat]) > 0.0


def _scale(samples: Samples) -> tuple[Callable[[float], float], float]:
    """How a value becomes y (lower is better), and the margin in units of y."""
    sign, pct = (1.0 if samples.rule.direction == "lower" else -1.0), samples.rule.margin_pct
    if _positive(samples):
        return (lambda v: sign * math.log(v)), -math.log1p(-pct / 100.0)
    return (lambda v: sign * v), pct / 100.0 * abs(stats.median(samples.baseline))
