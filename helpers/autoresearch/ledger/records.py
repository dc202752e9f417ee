"""What one record of a ledger means, ours or a peer's. Pure: dictionaries in, values out.

The rules are those of the peers' own readers, widened by what is found in public logs: a number under `run` makes
a run; a header after at least one run opens a new segment; an unknown status stays unknown; what is not a number
is no value, and zero is one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from autoresearch import verdict

STATUSES: tuple[str, ...] = verdict.STATUSES
UNKNOWN = "unknown"
# The metric of such a run says nothing about the code, so it enters neither best nor baseline nor spread.
FAILED = frozenset(("crash", "checks_failed"))

_WORDS = {
    # A baseline is what the tree stands on, as a kept run is; Karpathy's loop and pi's write it as keep.
    "keep": ("keep", "kept", "accept", "accepted", "improved", "improvement", "better", "promoted", "baseline"),
    "discard": (
        "discard", "discarded", "reject", "rejected", "revert", "reverted", "rollback", "rolled_back",
        "worse", "regressed", "regression", "no_improvement",
    ),
    "crash": ("crash", "crashed", "metric_error", "error", "timeout", "timed_out", "oom"),
    "checks_failed": ("checks_failed", "check_failed"),
}  # fmt: skip
_STATUS_OF = {word: status for status, words in _WORDS.items() for word in words}
# What may follow a status in its field: "keep (reworked)", "discard - slower", "reverted vs run 3".
_TAIL = re.compile(r"\s*[(\[:;,\u2013\u2014].*|\.\s.*|\s+(?:-|vs)\s.*", re.DOTALL)
_NEGATIONS = frozenset(("not", "no", "non", "never", "un", "without"))
# Says that a run ended, not how it was judged: the judgement, if any, stands in another field.
NEUTRAL = frozenset(("", "-", "ok", "done", "success", "complete", "completed", "finished", "passed"))
_VERDICT_KEYS = ("status", "decision", "action", "keep", "kept", "accepted", "result", "verdict", "outcome")
_METRIC_KEYS = ("metric", "metric_value", "primary_metric", "value", "primary")
# Looked for where none of those is: the objective under its own name.
_NAMED_METRICS = ("score", "val_bpb", "new_score")
# A `type` of these may stand on a result, so such a record has to be looked at.
RUN_TYPES = frozenset(("run", "result", "experiment", "research_run"))
_RUN_IDS = ("run", "iteration", "iter", "experiment", "experiment_id", "exp", "run_id", "cycle", "num", "id")
_COMMITS = ("commit", "commit_after", "commit_hash", "git_commit", "experiment_commit", "hash", "sha")
_DESCRIPTIONS = (
    "description", "change", "idea", "summary", "hypothesis", "title", "method", "approach", "name", "notes", "note",
)  # fmt: skip
_DIRECTIONS = ("bestDirection", "direction", "best_direction", "metric_direction")
# Numbers that say what a run was, when it was or what it was compared with: never the objective.
NOT_METRIC = re.compile(
    r"(?:.*_)?(?:id|seed)|#|n|no|num|run|iter(?:ation)?|exp(?:eriment)?|gen(?:eration)?|cycle|trial"
    r"|round|attempt|step|index|idx|segment|commit|confidence|best(?:_so_far)?"
    r"|time(?:stamp)?|ts|date|delta.*|guard.*|(?:old|prev|previous|parent|baseline|before|target)(?:_.*)?"
    r"|.*_(?:before|old|prev|baseline|delta)|improvement(?:_.*)?|.*threshold|.*version|priority|.*exit_code|pid|port"
)
# Numbers that say what a run cost: the objective only where no other number stands.
COST = re.compile(
    r".*_(?:gb|mb|gib|mib)|num_.*|n_.*|(?:.*_)?(?:seconds|secs?|minutes|hours|time|duration|elapsed)(?:_.*)?"
    r"|(?:elapsed|wall|runtime)_?(?:s|ms|min)?|memory.*|.*vram.*|(?:.*_)?cost(?:_.*)?|batch_size|lines|steps|epochs?"
    r"|timestep|durationms|budget.*|warmup"
)
_STAMPS = ("timestamp", "ts", "time", "date", "datetime", "created_at", "createdAt")
_LOWER = frozenset(("lower", "lower_is_better", "min", "minimize", "minimise", "down"))
_HIGHER = frozenset(("higher", "higher_is_better", "max", "maximize", "maximise", "up"))
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Header:
    """A header. `direction` is None where the header does not say (read it as lower, and say so)."""

    name: str
    metric_name: str
    metric_unit: str
    direction: str | None
    segment: int
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Run:
    """One measured experiment. `metric` is None where there is no value; `segment` counts headers from 0."""

    run: int | str
    commit: str
    metric: float | None
    metrics: Mapping[str, float]
    status: str
    description: str
    timestamp_ms: int | None
    segment: int
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def measured(self) -> float | None:
        """The value that may be compared: none of a crash, failed checks, or what was given up, whatever they wrote."""
        given_up = self.raw.get("runs_used") == 0 and bool(self.raw.get("experiment"))
        return None if given_up or self.status in FAILED else self.metric


def number(value: object) -> float | None:
    """A finite number, else None. Booleans, text and integers beyond a double are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:
        return None


def status_word(value: object) -> str:
    """One of `STATUSES`, or `unknown`: a word nobody defined is never taken for a keep."""
    if isinstance(value, bool):
        return "keep" if value else "discard"
    if not isinstance(value, str) or "?" in value[:40]:
        return UNKNOWN
    text = value[:80].strip().lower()
    if text in _STATUS_OF:
        return _STATUS_OF[text]
    parts = re.split(r"[^a-z]+", text)
    told = {_STATUS_OF[part] for part in parts if part in _STATUS_OF}
    # As it stands, and without marks around it ("**keep**", "[keep]") and words after it.
    for form in (text, _TAIL.sub("", text.strip("*`[]! \u2705\u2713\u274c\u2717"))):
        word = re.sub(r"[\s_-]+", "_", form)
        if word in _STATUS_OF:
            return _STATUS_OF[word] if _STATUS_OF[word] != "keep" or told <= {"keep"} else UNKNOWN
    # A compound ("screen_discard") may be no keep; that it were one is for nobody to guess.
    compound = len(told) == 1 and len(word.split("_")) <= 3 and not _NEGATIONS.intersection(parts)
    return next(iter(told - {"keep"}), UNKNOWN) if compound else UNKNOWN


def direction_word(value: object) -> str | None:
    """`lower` or `higher`, None when it says neither."""
    if not isinstance(value, str):
        return None
    word = re.sub(r"[\s_-]+", "_", value[:40].strip().lower())
    return "lower" if word in _LOWER else "higher" if word in _HIGHER else None


def timestamp_ms(value: object) -> int | None:
    """Unix milliseconds of a stamp: above 1e11 it is ms, above 1e8 s, ISO 8601 (UTC without a zone), else None."""
    if isinstance(value, str):
        text = value[:64].strip()
        match = _ISO.fullmatch(text)
        if match:
            return _iso_ms(match.groups())
        value = float(text) if re.fullmatch(r"[0-9]{9,16}(?:\.[0-9]*)?", text, re.ASCII) else None
    stamp = number(value)
    if stamp is None or stamp <= 1e8:
        return None
    return int(stamp) if stamp > 1e11 else round(stamp * 1000)


def _iso_ms(parts: tuple[str | None, ...]) -> int | None:
    year, month, day, hour, minute, second, fraction, zone = parts
    offset = timedelta()
    if zone and zone != "Z":
        digits = zone[1:].replace(":", "").ljust(4, "0")
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:])) * (-1 if zone[0] == "-" else 1)
    try:
        y, mo, d, h, mi, s = (int(part or 0) for part in (year, month, day, hour, minute, second))
        seconds = (datetime(y, mo, d, h, mi, s, tzinfo=timezone.utc) - offset).timestamp()
    except (ValueError, OverflowError):
        return None
    return round(seconds) * 1000 + int((fraction or "0")[:3].ljust(3, "0"))


def _first(record: Mapping[str, Any], keys: Iterable[str]) -> Any:
    return next((value for value in map(record.get, keys) if value is not None and value != ""), None)


def _text(record: Mapping[str, Any], keys: Iterable[str]) -> str:
    return next((value for value in map(record.get, keys) if isinstance(value, str) and value), "")


def _own_name(record: Mapping[str, Any]) -> str | None:
    """The field that holds the objective under its own name, where none of the usual ones is there."""
    if any(key in record for key in _METRIC_KEYS):
        return None
    own = (key for key in record if key.startswith("metric_") and not NOT_METRIC.fullmatch(key[7:64]))
    return next((key for key in (*_NAMED_METRICS, *own) if number(record.get(key)) is not None), None)


def _candidates(place: Mapping[str, Any]) -> list[str]:
    return [
        key
        for key, value in place.items()
        if len(key) <= 64 and number(value) is not None and not (NOT_METRIC.fullmatch(key) or COST.fullmatch(key))
    ]


class Reader:
    """Reads records in order and keeps what later ones depend on: headers, segment, position."""

    def __init__(self, direction: str | None = None) -> None:
        self.runs = 0
        self.configs = 0
        self.segment = 0
        self.metric_name = ""
        self.metric_unit = ""
        self.name = ""
        self.direction: str | None = direction
        self._forced = direction

    @property
    def segments(self) -> int:
        """Segments so far, an open one without runs included."""
        return self.segment + 1 if self.runs or self.configs else 0

    def take(self, record: Mapping[str, Any]) -> Header | Run | None:
        """The record as a header or a run; None for every other kind (hooks, notes, started experiments)."""
        kind = record.get("type")
        if kind == "config":
            return self._config(record)
        if kind == "hook":
            return None
        if number(record.get("run")) is not None:
            return self._run(record)
        if _first(record, ("type", "kind", "event")) == "init":
            inner = _first(record, ("config", "state"))
            return self._config(inner if isinstance(inner, Mapping) else record, record)
        if kind is None and ("metricName" in record or "bestDirection" in record) and not self._verdict(record):
            return self._config(record)
        return self._run(record) if self._is_loose_run(record, kind) else None

    def _config(self, data: Mapping[str, Any], raw: Mapping[str, Any] | None = None) -> Header:
        if self.runs:
            self.segment += 1
        self.configs += 1
        nested = data.get("config")
        if isinstance(nested, Mapping) and not _text(data, ("metricName", "metric_name")):
            data = {**data, **nested}
        metric = data.get("metric")
        if isinstance(metric, Mapping):
            data = {**data, **metric, "name": data.get("name"), "metric": metric.get("name")}
        metric = _text(data, ("metricName", "metric_name", "metric"))
        direction = direction_word(_first(data, _DIRECTIONS))
        if direction is None and metric in ("", self.metric_name):
            # A header that goes on with the same metric goes on with its direction, as in the peers' readers.
            direction = self.direction
        self.name = _text(data, ("name",)) or self.name
        self.metric_name = metric or self.metric_name
        self.metric_unit = _text(data, ("metricUnit", "metric_unit", "unit"))
        self.direction = self._forced or direction
        return Header(
            self.name, self.metric_name, self.metric_unit, self.direction, self.segment, data if raw is None else raw
        )

    @staticmethod
    def _verdict(record: Mapping[str, Any]) -> bool:
        return any(isinstance(record.get(key), str | bool) for key in _VERDICT_KEYS)

    def _is_loose_run(self, record: Mapping[str, Any], kind: object) -> bool:
        """A result line without a run number: what other loops write."""
        if kind is not None and not (isinstance(kind, str) and kind in RUN_TYPES):
            return False
        value = self._value(record)
        if not self._verdict(record):
            # A started run (an idea, no result yet) has no verdict; a measured one may lack it.
            measured = value is not None or isinstance(record.get("metrics"), Mapping)
            placed = any(key in record for key in (*_RUN_IDS, *_STAMPS))
            return measured and placed and kind is None and not ("event" in record or "kind" in record)
        if value is not None:
            return True
        return record.get("event") is None and ("status" in record or self._status(record) != UNKNOWN)

    def _value(self, record: Mapping[str, Any]) -> float | None:
        for key in _METRIC_KEYS:
            found = record.get(key)
            value = number(found.get("value") if isinstance(found, Mapping) else found)
            if value is not None:
                return value
        named = record.get("metric", record.get("primary_metric", self.metric_name))
        if isinstance(named, str) and named:
            # `metric` may be the metric's name, or the header's name may be the field.
            for place in (record, *(record.get(key) for key in ("metrics", "measurements"))):
                value = number(place.get(named)) if isinstance(place, Mapping) else None
                if value is not None:
                    return value
        return number(record.get(_own_name(record) or ""))

    def _only_number(self, record: Mapping[str, Any]) -> float | None:
        """Where nothing is called the metric: the one number that can be it, in the record or in its `metrics`."""
        if "metric" in record:
            return None
        for place in (record, record.get("metrics")):
            names = _candidates(place) if isinstance(place, Mapping) else []
            if isinstance(place, Mapping) and len(names) == 1:
                self.metric_name = self.metric_name or names[0]
                return number(place[names[0]]) if names[0] == self.metric_name else None
        return None

    def _status(self, record: Mapping[str, Any]) -> str:
        for key in (*_VERDICT_KEYS, "improved", "is_best"):
            value = record.get(key)
            status = status_word(value)
            if status != UNKNOWN:
                return status
            if isinstance(value, str) and value.strip().lower() not in NEUTRAL:
                return UNKNOWN
        return UNKNOWN

    def _run(self, record: Mapping[str, Any]) -> Run:
        self.runs += 1
        said = next(
            (value for value in (record.get("primary"), record.get("metric")) if isinstance(value, Mapping)), {}
        )
        if self.direction is None:
            self.direction = direction_word(_first(record, _DIRECTIONS) or said.get("direction"))
        if not self.metric_name:
            self.metric_name = _text(record, ("metric_name", "metricName")) or _text(said, ("name",))
        value = self._value(record)
        if value is None:
            value = self._only_number(record)
        elif not self.metric_name:
            self.metric_name = _own_name(record) or ""
        identity = _first(record, _RUN_IDS)
        if isinstance(identity, float) and identity.is_integer():
            identity = int(identity)
        if not isinstance(identity, str) and (number(identity) is None or isinstance(identity, float)):
            identity = self.runs
        metrics = record.get("metrics")
        places = metrics.items() if isinstance(metrics, Mapping) else ()
        numbers = {str(k): v for k, v in places if number(v) is not None}
        return Run(
            run=identity,
            commit=_text(record, _COMMITS),
            metric=value,
            metrics=numbers,
            status=self._status(record),
            description=_text(record, _DESCRIPTIONS),
            timestamp_ms=timestamp_ms(_first(record, _STAMPS)),
            segment=self.segment,
            raw=record,
        )


def is_better(value: float, than: float, direction: str | None) -> bool:
    """Strictly better; without a direction lower is."""
    return value > than if direction == "higher" else value < than
