"""The lines of our ledger as types: what each kind of record holds. Pure.

A line may have been written by a later version, another loop, or a hand: a known field that holds another type is as if
it were absent, and `raw` has every field as it stands there, the unknown ones too. Only what is bulky and never asked
for again (`BULKY`) is not kept.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, field

Record = dict[str, Any]
BULKY = ("samples", "warmups", "environment")


class Fields(Struct, kw_only=True):
    """A JSON object of which these fields are known here."""


class LimitFields(Fields):
    """What was found of one limit of the config on another metric; `gain_pct` as for effects, positive = better."""

    metric: str = ""
    status: str = ""
    gain_pct: float | None = None


class VerdictFields(Fields):
    """`verdict` of a run line: a `verdict.Verdict` as it was written, and the A/B it comes from."""

    verdict: str = ""
    reason: str = ""
    reason_text: str = ""
    effect_pct: float | None = None
    ci_low_pct: float | None = None
    ci_high_pct: float | None = None
    e_value: float | None = None
    e_needed: float | None = None
    runs_used: int | None = None
    sigma_short_pct: float | None = None
    disturbed: bool = False  # absent before 0.4.0, and where no run was
    seed: int | None = None
    t: int | None = None
    gains: dict[str, Any] = {}
    limits: list[LimitFields] = []


class DelayFields(Fields):
    """`delay_pct` of a noise report: percent of a run in which it waited for its core."""

    median: float | None = None
    p90: float | None = None


class NoiseFields(Fields):
    """`noise` of a baseline's line: a `judging.noise.NoiseReport` as it was written."""

    grade: str | None = field(default=None, name="class")
    cv_pct: float | None = None
    sigma_short_pct: float | None = None
    mde_pct: float | None = None
    advice: str | None = None
    warnings: list[Any] = []
    delay_pct: DelayFields | None = None
    ref_cv_pct: float | None = None


class MetFields(Fields):
    """`met` of a run line: what its counted runs met on their machine.

    `waited_pct` is the median, `worst_pct` the 90th percentile of the share of a run in which it waited for its core;
    of `runs` that know it, `disturbed` waited more than 10 %. Not `exact`: others' time on its cores, an upper bound.
    """

    waited_pct: float | None = None
    worst_pct: float | None = None
    runs: int = 0
    disturbed: int = 0
    exact: bool = True


class SaidFields(Fields):
    """`said` of a run line: what its checks said; of the baseline also the digest of that, "" where it changes.

    `passed` of `base` tests by the report or the summary of `runner`, None where none is known; `result`: "same",
    "more" than the base's, "less" with what is `missing`, "unsteady" or "not compared".
    """

    runner: str = ""
    passed: int | None = None
    base: int | None = None
    facts: int = 0
    silent: bool = False
    stable: bool | None = None
    digest: str = ""
    result: str = ""
    missing: list[str] = []

    @property
    def words(self) -> str:
        """What the base's checks say, for people."""
        if self.silent:
            return "they say nothing: exit 0 is all there is"
        told = f"{self.facts} different lines and numbers" if self.passed is None else f"{self.passed} tests"
        told += f" by {self.runner}" if self.runner else ""
        return told if self.stable is not False else f"{told}, not the same each time"


class SpentFields(Fields):
    """`spent`: all that the session had cost by then."""

    vm_hours: float = 0.0
    dollars: float | None = None
    tokens: int = 0


class CostFields(Fields):
    """`cost`: the seconds of a line's own jobs."""

    machine_s: float = 0.0
    dollars: float | None = None


class HeldoutFields(Fields):
    """`heldout` of an audit: the benchmark that no experiment has seen."""

    sha256: str | None = None
    effect_pct: float | None = None
    ci_low_pct: float | None = None
    ci_high_pct: float | None = None
    runs_used: int = 0
    proven: bool | None = None
    error: str = ""


class OwnTimeFields(Fields):
    """`own_time` of an audit in pairs: the effect in the seconds of the program's rounds alone, from the same runs."""

    effect_pct: float | None = None
    ci_low_pct: float | None = None
    ci_high_pct: float | None = None


class FindingFields(Fields):
    """One of an audit's `ablation`: what the tip gains by one keep."""

    experiment: str = ""
    result: str = ""
    detail: str = ""
    claimed_pct: float | None = None
    effect_pct: float | None = None
    ci_low_pct: float | None = None
    ci_high_pct: float | None = None


class AuditSettings(Fields):
    """`settings` of an audit: how it was asked for."""

    runs: int = 0
    ablate: int = 0
    evaluator: str = ""


class Line(Fields):
    """What every kind of line may have. `raw` is the record itself, without what is `BULKY`."""

    raw: Record = field(default_factory=dict, name="(raw)")
    timestamp: int = 0
    experiment: str = ""
    job: str | None = None


class HeaderLine(Line):
    """`type: config`: a segment begins. Another loop's header freezes no evaluator."""

    name: str = ""
    goal: str = ""
    base_commit: str = ""
    branch: str = ""
    after: str | None = None
    evaluator: dict[str, str] | None = None
    settings: Record = {}

    @property
    def ours(self) -> bool:
        """Whether a loop of ours wrote it."""
        return "schema" in self.raw and "bestDirection" in self.raw


class ExperimentLine(Line):
    """`type: experiment`: `new` opened it."""

    parent: str = ""
    idea: str | None = None
    hypothesis: str | None = None
    predicted_pct: int | float | None = None
    source: str = ""
    agent: str | None = None


class JobLine(Line):
    """`type: job` (a screening run) or `type: test` (an A/B, number `t` of the session): something was submitted."""

    type: str = "job"
    job: str = ""
    t: int | None = None
    alpha: float | None = None
    split: int = 1
    preset: str = "default"
    max_runs: int | None = None
    seed: int | None = None
    base: str | None = None
    candidate: str = ""
    diff_sha256: str = ""
    lines_added: int = 0
    lines_removed: int = 0
    modes: list[str] = []
    rework: int = 0
    again: int = 0

    @property
    def is_test(self) -> bool:
        """Whether it is an A/B."""
        return self.type == "test"


class RunLine(Line):
    """A line with a `run`: a baseline, or an experiment with its verdict. Peers write such lines, too.

    `readings` counts the samples that came with it.
    """

    run: int = 0
    commit: str = ""
    metric: int | float | None = None
    metrics: Record = {}
    status: str = ""
    description: str = ""
    segment: int | None = None
    kind: str = ""
    commit_full: str = ""
    parent: str = ""
    runs_used: int | None = None
    idea: str | None = None
    source: str = ""
    literature_source: str | None = None
    hypothesis: str | None = None
    asi: Record = {}
    diff_sha256: str = ""
    files: list[Any] = []
    lines_added: int | None = None
    lines_removed: int | None = None
    modes: list[Any] = []
    base_metric: int | float | None = None
    verdict: VerdictFields | None = None
    checks: str | None = None
    error: str = ""
    machine: str | None = None
    readings: int = field(default=0, name="(readings)")
    seconds: float = 0.0
    review: Record = {}
    tokens: int | None = None
    cost: CostFields | None = None
    spent: SpentFields | None = None
    values_per_run: int | None = None
    noise: NoiseFields | None = None
    cores: float | None = None
    met: MetFields | None = None
    runs_before: int = 0
    said: SaidFields | None = None
    evaluator_strength_pct: float | None = None  # of a keep, by the last `AttackLine` on its evaluator
    fixed: str = ""

    @property
    def judged(self) -> VerdictFields:
        """The verdict; one without any figure where there is none."""
        return self.verdict or VerdictFields()

    @property
    def effect_pct(self) -> float | None:
        """What it gained against its own base, in percent; None where that was not measured."""
        return self.judged.effect_pct

    @property
    def cost_runs(self) -> int:
        """Benchmark runs that it cost: as its verdict counts them, else its line, else by what came with it.

        `runs_before` are those of its earlier A/Bs, which were disturbed and repeated.
        """
        counted = (self.judged.runs_used, self.runs_used, self.readings)
        return max(0, next(count for count in counted if count is not None)) + max(0, self.runs_before)


class AuditLine(Line):
    """`type: audit`: the best commit against the segment's baseline, measured anew."""

    base: str = ""
    tip: str = ""
    effect_pct: float | None = None
    ci_low_pct: float | None = None
    ci_high_pct: float | None = None
    runs_used: int = 0
    claimed_pct: float | None = None
    shrunken_pct: float | None = None
    ratio: float | None = None
    verified: bool = False
    limits: list[LimitFields] = []
    rescued_by: str | None = None
    doubted: bool = False
    error: str = ""
    checks: str = ""
    layout: str = ""
    own_time: OwnTimeFields | None = None
    heldout: HeldoutFields | None = None
    ablation: list[FindingFields] = []
    refuted: list[str] = []
    settings: AuditSettings = field(default_factory=AuditSettings)
    cost_runs: int = 0
    seconds: float = 0.0
    jobs: list[str] = []
    tokens: int | None = None
    spent: SpentFields | None = None


class RevertLine(Line):
    """`type: revert`: a keep was taken back by `commit`."""

    commit: str = ""
    parent: str = ""
    reason: str = ""


class LetFields(Fields):
    """One of an attack's `let`: a cheat that the evaluator lets through, and that is faster."""

    cheat: str = ""
    place: str = ""
    gain_pct: float | None = None
    line: str = ""


class AttackLine(Line):
    """`type: attack`: how many generic cheats the evaluator of that digest refuses (`doctor --attack`).

    `strength_pct` of those that made a difference were `refused`; `faster` and `passed` were let through, with and
    without a gain. `same` made none that it can see, `unbuilt` did not build: neither is counted.
    """

    evaluator: str = ""
    strength_pct: float | None = None
    refused: int = 0
    faster: int = 0
    passed: int = 0
    same: int = 0
    unbuilt: int = 0
    let: list[LetFields] = []

    @property
    def words(self) -> str:
        """Such as `94 % (47 of 50 cheats refused, 1 let through and faster)`."""
        told = self.refused + self.faster + self.passed
        strength = "unknown" if self.strength_pct is None else f"{self.strength_pct:.0f} %"
        faster = f"{self.faster or 'none'} let through and faster"
        return f"{strength} ({self.refused} of {told} cheats refused, {faster})"


L = TypeVar("L", bound=Line)
F = TypeVar("F", bound=Fields)
_KINDS: dict[object, type[Line]] = {
    "config": HeaderLine, "experiment": ExperimentLine, "job": JobLine, "test": JobLine, "audit": AuditLine,
    "revert": RevertLine, "attack": AttackLine,
}  # fmt: skip


def line_of(record: Mapping[str, Any]) -> Line:
    """The line of a record as it was read from a ledger."""
    kind = record.get("type")
    if isinstance(kind, str) and kind in _KINDS:
        return read_as(_KINDS[kind], record)
    run = record.get("run")  # a whole number in a run's line, as we and pi-autoresearch count them
    return read_as(RunLine if isinstance(run, int) and not isinstance(run, bool) else Line, record)


def read_as(kind: type[L], record: Mapping[str, Any]) -> L:
    """A record as this kind of line, whatever stands in it."""
    line = _fields(kind, record)
    line.raw = dict(record)
    for name in BULKY:
        line.raw.pop(name, None)
    return line


def _fields(kind: type[F], record: Mapping[str, Any]) -> F:
    try:
        found = msgspec.convert(record, kind)
        if _is_sound(found):
            return found
    except msgspec.ValidationError:
        pass
    return kind(**dict(_sound(kind, record)))


def _is_sound(value: object) -> bool:
    """Whether a value that has its type can be reckoned with: no NaN, and nothing of the kind in an object."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Fields):
        for name in _measures(type(value)):
            inner = getattr(value, name)
            if inner is not None and not _is_sound(inner):
                return False
    return True


def _sound(kind: type[Fields], record: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The known fields of a record whose values are of their type."""
    sound = []
    for known in _known(kind):
        if known.encode_name in record:
            value, inner = record[known.encode_name], _object_type(known.type)
            if inner is not None and isinstance(value, Mapping):
                sound.append((known.name, _fields(inner, value)))
                continue
            with contextlib.suppress(msgspec.ValidationError):
                found = msgspec.convert(value, known.type)
                if _is_sound(found):
                    sound.append((known.name, found))
    return sound


@cache
def _known(kind: type[Fields]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(kind)


@cache
def _measures(kind: type[Fields]) -> tuple[str, ...]:
    """The fields that may hold a number with a fraction, or an object of such."""
    return tuple(k.name for k in _known(kind) if float in _options(k.type) or _object_type(k.type) is not None)


def _options(annotation: Any) -> tuple[Any, ...]:
    """The types of `X` or `X | Y`."""
    return getattr(annotation, "__args__", (annotation,))


def _object_type(annotation: Any) -> type[Fields] | None:
    """The `Fields` of `X` or `X | None`."""
    return next((o for o in _options(annotation) if isinstance(o, type) and issubclass(o, Fields)), None)


def now_ms() -> int:
    """Milliseconds since the epoch, the ledger's time stamp."""
    return int(time.time() * 1000)
