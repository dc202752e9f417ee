"""From a job's records to a status and a verdict. Pure: the worker's own word on the decision is not used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from autoresearch.safetext import one_line
from autoresearch.trial.conditions import Met, lost_share, own_seconds
from autoresearch.verdict import TrialStatus
from autoresearch.verdict.eprocess import Block
from autoresearch.verdict.rule import Rule
from autoresearch.verdict.sequential import TIMED_OUT, SequentialTest
from autoresearch.verdict.verdict import Verdict

Record = Mapping[str, Any]
# A run that waited for its core for more than this share of its time is called disturbed.
DISTURBED_SHARE = 0.1
_STATUSES: dict[str, TrialStatus] = {"done": "done", "checks_failed": "checks_failed"}


@dataclass(frozen=True)
class Timed:
    """One counted run: the objective's value, the seconds that the whole run took, and what it met (None: not known).

    `cpu` are processor seconds of its whole tree, `waited` seconds that its work waited for a core (exact), `foreign`
    processor seconds that others had on its cores. `printed` are all metrics of the run.
    """

    side: str
    value: float
    wall: float
    cpu: float | None = None
    waited: float | None = None
    foreign: float | None = None
    printed: Mapping[str, float] = field(default_factory=dict)

    @property
    def own(self) -> float | None:
        """The duration without the wait for a core; None where that is not known."""
        if self.waited is None or self.cpu is None:
            return None
        return own_seconds(self.wall, self.cpu, self.waited)

    @property
    def waited_share(self) -> float | None:
        """`trial.conditions.lost_share` of the run."""
        return lost_share(self.wall, self.waited, self.foreign)


@dataclass(frozen=True)
class Outcome:
    """What a trial showed. `verdict` is None unless an A/B was measured to its end.

    `base_failed` means that the base, not the candidate, did not work: nothing can be said of the candidate.
    `samples` are (side, value) in time order, None for a run that was ended at its limit.
    `blocks` are an A/B's complete ones, (order, all metrics of each run in time order); `gains` and `findings` are
    what `weighing.weigh` adds about the metrics beside the objective. `timed` are the same runs with their durations;
    `instructions` of one run of each side ({"tool", "A", "B"}), where they were counted.
    `met` says what the counted runs met on their machine, as it stands in the ledger (`ledger.lines.MetFields`).
    `signed` says that the evaluator signed the objective in every run, `unseen` that the hidden checks have passed.
    `fixed` is what a run of a rate's benchmark sets (`trial.pace`), seen at the baseline.
    `said` is what the checks said (`ledger.lines.SaidFields`), `unsaid` what the base's benchmark said in all of its
    runs and the candidate's in few or none.
    """

    status: TrialStatus
    error: str = ""
    checks: str = "skipped (not reached)"
    base_failed: bool = False
    verdict: Verdict | None = None
    invalid: str = ""
    metric: float | None = None
    base_metric: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    samples: tuple[tuple[str, float | None], ...] = ()
    warmups: tuple[tuple[str, float], ...] = ()
    layout: str = "fixed"
    builds: int = 0
    seconds: float = 0.0
    environment: dict[str, Any] = field(default_factory=dict)
    values_per_run: int = 1
    cores: float | None = None
    met: dict[str, Any] = field(default_factory=dict)
    blocks: tuple[tuple[str, tuple[Mapping[str, float], ...]], ...] = ()
    gains: dict[str, float] = field(default_factory=dict)
    findings: tuple[dict[str, Any], ...] = ()
    timed: tuple[tuple[Timed, ...], ...] = ()
    signed: bool = False
    instructions: dict[str, Any] = field(default_factory=dict)
    unseen: bool = False
    said: dict[str, Any] = field(default_factory=dict)
    unsaid: tuple[str, ...] = ()
    fixed: str = ""

    def series(self, metric: str) -> list[Block] | None:
        """The blocks of one metric, (order, values); None when a run did not print it."""
        if any(metric not in run for _, runs in self.blocks for run in runs):
            return None
        return [(order, [float(run[metric]) for run in runs]) for order, runs in self.blocks]


def read_outcome(records: Iterable[Record], rule: Rule | None = None) -> Outcome:
    """Judge a trial's records; `rule` only for an A/B (its margin is set here when the layout was fixed)."""
    lines = list(records)
    end = next((r for r in reversed(lines) if r.get("type") == "end"), None)
    if end is None:
        return Outcome("crash", error="the trial ended without a result")
    samples, checks, builds = ([r for r in lines if r.get("type") == k] for k in ("sample", "checks", "build"))
    counted = [r for r in samples if not r.get("warmup")]
    decision = next((r for r in lines if r.get("type") == "decision"), {})
    invalid = problem_of(lines)
    status = _STATUSES.get(str(end.get("status")), "crash")
    every, verdict = _blocks(counted), None
    if rule is not None and status == "done" and not invalid:
        verdict = _judge(rule, _values_of(every))
        if verdict.reason == "undecided" and decision.get("reason") in ("hopeless", "below_min"):
            # It was measured before an upgrade, by a rule that gives up sooner; nothing more will be measured.
            text = one_line(str(decision.get("reason_text") or ""), 300)
            verdict = replace(verdict, reason="hopeless", reason_text=text)
    # What is said about other metrics and durations needs whole blocks; the objective knows about time-outs.
    blocks = [(order, rows) for order, rows in every if not any(map(_timed_out, rows))]
    base, candidate = ([float(r["value"]) for r in counted if r.get("side") == s and _told(r)] for s in "AB")
    return Outcome(
        status=status,
        error=one_line(str(end.get("error") or ""), 300),
        checks=one_line(str(checks[-1].get("status")), 60) if checks else _unchecked(status, invalid),
        base_failed=bool(end.get("base_failed")),
        verdict=verdict,
        invalid=one_line(invalid, 200),
        metric=median(candidate) if candidate else None,
        base_metric=median(base) if base else None,
        metrics=_secondary(counted, "B") or _secondary(counted, "A"),
        samples=tuple(
            (str(r["side"]), float(r["value"]) if _told(r) else None) for r in counted if _told(r) or _timed_out(r)
        ),
        warmups=tuple((str(r["side"]), float(r["value"])) for r in samples if r.get("warmup") and _told(r)),
        layout=str(decision.get("layout") or "fixed"),
        builds=len(builds),
        seconds=sum(float(r.get("seconds") or 0) for r in (*builds, *checks, *samples)),
        environment=dict(next((r for r in lines if r.get("type") == "environment"), {})),
        values_per_run=int(next((r.get("values") or 1 for r in counted), 1)),
        cores=_cores(counted),
        met=_met([_timed(r) for r in counted if _told(r)]),
        blocks=tuple((order, tuple(map(_metrics, rows))) for order, rows in blocks),
        timed=tuple(tuple(_timed(r) for r in rows) for _, rows in blocks),
        instructions=_instructions(lines),
        unseen=any(r.get("hidden") and r.get("status") == "passed" for r in checks),
        said=next((dict(r["heard"]) for r in reversed(checks) if isinstance(r.get("heard"), Mapping)), {}),
        unsaid=_unsaid(lines),
        fixed=next((str(r["fixed"]) for r in lines if r.get("type") in ("environment", "pace") and "fixed" in r), ""),
        signed=bool(counted) and all(r.get("signed") is True for r in counted if _told(r)),
    )


def _instructions(lines: Sequence[Record]) -> dict[str, Any]:
    for record in (r for r in lines if r.get("type") == "instructions"):
        a, b = record.get("A"), record.get("B")
        if isinstance(a, int) and isinstance(b, int) and min(a, b) > 0:
            return {"tool": one_line(str(record.get("tool")), 20), "A": a, "B": b}
    return {}


def _unsaid(lines: Sequence[Record]) -> tuple[str, ...]:
    told = next((r for r in lines if r.get("type") == "unsaid"), None)
    if told is None:
        return ()
    where = f"in {told.get('runs')} of {told.get('of')} runs"
    return (where, *(one_line(str(words), 200) for words in told.get("missing") or ()))


def _timed(record: Record) -> Timed:
    cpu, delay, stall, foreign = (
        None if record.get(name) is None else float(record[name])
        for name in ("cpu_seconds", "delay_seconds", "stall_seconds", "foreign_seconds")
    )
    return Timed(
        str(record["side"]), float(record["value"]), float(record.get("seconds") or 0), cpu,
        Met(delay, stall).waited, foreign, _metrics(record),
    )  # fmt: skip


def _metrics(record: Record) -> dict[str, float]:
    return {str(k): float(v) for k, v in (record.get("metrics") or {}).items()}


def _met(runs: Sequence[Timed]) -> dict[str, Any]:
    """The share of their time in which the runs waited for a core; {} where no run knows it."""
    shares = sorted(share for run in runs if (share := run.waited_share) is not None)
    if not shares:
        return {}
    return {
        "waited_pct": round(100.0 * median(shares), 1),
        "worst_pct": round(100.0 * shares[min(len(shares) - 1, len(shares) * 9 // 10)], 1),
        "runs": len(shares),
        "disturbed": sum(share > DISTURBED_SHARE for share in shares),
        "exact": all(run.waited is not None for run in runs),
    }


def _place_of(record: Record) -> tuple[object, ...] | None:
    """The place in a trial that a record speaks for, where there can be one only."""
    kind = record.get("type")
    if kind in ("environment", "end"):
        return (kind,)
    if kind == "sample" and not record.get("warmup"):
        return (kind, record.get("slot"))
    return None


def problem_of(records: Iterable[Record]) -> str:
    """Why a trial counts for nothing: a run without a number to be trusted, or one that was tampered with."""
    seen: set[tuple[object, ...]] = set()
    for record in records:
        if record.get("type") == "sample" and record.get("problem"):
            return str(record["problem"])
        once = _place_of(record)
        if once in seen:
            return f"records: two claim to be the same {once[0]}, so somebody else has written one of them"
        if once is not None:
            seen.add(once)
        # The worker's word on its decision is taken only where it speaks against a keep.
        if record.get("type") == "decision" and record.get("reason") == "invalid":
            return str(record.get("reason_text") or "invalid")
    return ""


def _unchecked(status: str, invalid: str) -> str:
    """Why there is no checks record: a trial that went through to its end had none to run."""
    return "skipped (no checks)" if status == "done" and not invalid else "skipped (not reached)"


def _told(record: Record) -> bool:
    return record.get("value") is not None


def _blocks(counted: Sequence[Record]) -> list[tuple[str, list[Record]]]:
    """Complete blocks in time order as (order, records), such as ("ABBA", [r1, r2, r3, r4])."""
    grouped: dict[int, list[Record]] = {}
    for record in counted:
        if record.get("block") is not None:
            grouped.setdefault(int(record["block"]), []).append(record)
    blocks = []
    for _, rows in sorted(grouped.items()):
        rows = sorted(rows, key=lambda r: int(r["slot"]))
        if len(rows) == 4 and all(_told(r) or _timed_out(r) for r in rows):
            blocks.append(("".join(str(r["side"]) for r in rows), rows))
    return blocks


def _values_of(blocks: Sequence[tuple[str, Sequence[Record]]]) -> list[Block]:
    return [(order, [TIMED_OUT if _timed_out(r) else float(r["value"]) for r in rows]) for order, rows in blocks]


def _timed_out(record: Record) -> bool:
    """A counted run that was ended at its limit: a censored reading."""
    return record.get("timed_out") is True and not _told(record)


def _judge(rule: Rule, blocks: Sequence[Block]) -> Verdict:
    """The rule's first decision; the estimate and its interval from all blocks, if the trial went on after it.

    A keep is withdrawn when the later blocks refute it, which cannot raise the error rate.
    """
    test, first = SequentialTest(rule), None
    for order, values in blocks:
        found = test.add_block(order, values)
        first = first or found
    if first is None or first.blocks == test.blocks:
        return first or test.verdict()
    whole = test.verdict()
    if first.verdict == "keep" and whole.reason in ("below_min", "identical"):
        return whole
    return replace(
        whole, verdict=first.verdict, reason=first.reason, reason_text=first.reason_text, e_value=first.e_value
    )


def _secondary(counted: Sequence[Record], side: str) -> dict[str, float]:
    """Median of every metric that a side printed."""
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
