"""Reads a job's output, as any engine brings it: our records, METRIC lines and the result block."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from autoresearch import metrics
from autoresearch.engines import Status
from autoresearch.safetext import clean, one_line

RECORD = "AR_RECORD "
_STATUSES: dict[object, Status] = {"done": "done", "crash": "crash", "checks_failed": "checks_failed"}
# SkyPilot puts "(task, pid=123) " before every line, "(head, rank=0, pid=123, ip=10.0.0.1) " with several nodes.
_SKY_PREFIX = re.compile(r"^\([^()\n]*\bpid=\d+[^()\n]*\) ", re.MULTILINE)
_BLOCK = re.compile(r"^(EXPERIMENT_STATUS|EXPERIMENT_ERROR|CHECKS_STATUS):[ \t]*(.*)$", re.MULTILINE)
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Output:
    """A parsed log. `status`, `error` and `checks` are empty where the log does not say."""

    records: list[dict[str, Any]] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    status: Status = ""
    error: str = ""
    checks: str = ""
    warnings: list[str] = field(default_factory=list)


def strip_prefixes(text: str) -> str:
    """The job's own lines, without colours and SkyPilot's prefixes."""
    return _SKY_PREFIX.sub("", _COLOURS.sub("", text).replace("\r\n", "\n"))


def records_in(text: str) -> tuple[list[dict[str, Any]], int]:
    """AR_RECORD objects of prefix-free text in order, and the number of lines that were damaged."""
    found: list[dict[str, Any]] = []
    damaged = 0
    for line in text.split("\n"):
        if not line.startswith(RECORD):
            continue
        try:
            record = json.loads(line[len(RECORD) :])
        except (ValueError, RecursionError):
            damaged += 1
            continue
        if isinstance(record, dict) and isinstance(record.get("type"), str):
            found.append(record)
        else:
            damaged += 1
    return found, damaged


def parse_log(text: str) -> Output:
    """Parse a whole log.

    With an `end` record the records are the truth. Without one (a plain task, or a job cut short) the result
    block and the METRIC lines are read; an unknown status word counts as none.
    """
    text = strip_prefixes(text)
    records, damaged = records_in(text)
    out = Output(records)
    if damaged:
        out.warnings.append(f"{damaged} damaged AR_RECORD line(s) skipped")
    block = {key: one_line(value) for key, value in _BLOCK.findall(text)}  # the last of each counts
    said = block.get("EXPERIMENT_STATUS", "")
    out.status = _STATUSES.get(said, "")
    if said and not out.status:
        out.warnings.append(f"unknown EXPERIMENT_STATUS {said}")
    out.error = block.get("EXPERIMENT_ERROR", "")
    out.checks = block.get("CHECKS_STATUS", "")
    parsed = metrics.parse(text)
    out.metrics = dict(parsed.metrics)
    if not records:
        out.warnings += [one_line(warning) for warning in parsed.warnings]
    for record in records:
        if record["type"] == "end":
            out.status = _STATUSES.get(record.get("status"), out.status)
            out.error = one_line(str(record.get("error") or ""))
        elif record["type"] == "checks":
            out.checks = one_line(str(record.get("status", "")))
    return out


def phase(text: str) -> str:
    """What a running job does, from its last record: "build A", "checks", "measure 12/60"."""
    # AR_RUNNER lines are the engine's own, for tasks that know nothing of slots.
    records, _ = records_in(strip_prefixes(text).replace("AR_RUNNER ", RECORD))
    total = 0
    counted = 0
    built = set()
    now = "start"
    for record in records:
        kind = record["type"]
        if kind == "environment":
            most = record.get("max_runs")
            total = most if isinstance(most, int) else 0
            now = "build"
        elif kind == "build" and not counted and record.get("stage") == "build":
            # An A/B checks the candidate as soon as both sides are built, and measures then.
            built.add(record.get("side"))
            now = "checks" if built >= {"A", "B"} else "build"
        elif kind == "slot" and record.get("state") == "free" and counted >= total > 0:
            now = "checks"
        elif kind == "slot" and record.get("state") == "waiting":
            now = "waits for a measurement slot"
        elif kind == "sample":
            counted += 0 if record.get("warmup") else 1
            now = f"measure {counted}/{total}" if total else f"measure {counted}"
        elif kind == "slot" and record.get("state") == "taken":
            now = f"measure {counted}/{total}" if total else "measure"
        elif kind == "checks":
            now = "checks done"
        elif kind in ("decision", "end"):
            now = "ends"
    return clean(now)
