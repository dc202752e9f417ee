"""A session that another loop began here, and what of it ours goes on with.

Its log becomes history before our first segment, its benchmark and checks our evaluator, its ideas and notes stay
where they are. Its numbers are never compared with ours, and none of its files is removed or rewritten.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autoresearch.errors import AutoresearchError, BadInput
from autoresearch.files import write_atomic
from autoresearch.ledger.store import encode, physical_lines
from autoresearch.peers.export import peer_records
from autoresearch.peers.foreign import KARPATHY, entries, kind_of, locate
from autoresearch.peers.summary import summarise
from autoresearch.project import AUTO, AUTO_FILES, Project
from autoresearch.safetext import one_line

_MAX_DOCUMENT = 1_000_000
_WRAP = """#!/usr/bin/env bash
set -euo pipefail
# The {what} of the session that this one goes on from; it is frozen with this file.
exec bash {script}
"""
_KARPATHY = """#!/usr/bin/env bash
set -euo pipefail
# The training run of the session that this one goes on from: it ends with a summary such as "val_bpb:  0.9979".
log=$(mktemp)
trap 'rm -f "$log"' EXIT
uv run train.py >"$log" 2>&1 || { tail -n 50 "$log"; exit 1; }
awk '/^(val_bpb|peak_vram_mb|training_seconds):/ { sub(":", "", $1); print "METRIC " $1 "=" $2 }' "$log"
"""


@dataclass(frozen=True)
class ForeignSession:
    """What another loop left in `root`. `log` is None where it has measured nothing yet.

    `scripts` are files of ours that call its own, name -> text; `evaluator` its files to freeze beside them.
    """

    root: Path
    kind: str
    log: Path | None
    metric: str = ""
    unit: str = ""
    direction: str | None = None
    name: str = ""
    goal: str = ""
    runs: int = 0
    kept: int = 0
    scope: tuple[str, ...] = ()
    off_limits: tuple[str, ...] = ()
    evaluator: tuple[str, ...] = ()
    scripts: dict[str, str] = field(default_factory=dict)
    max_experiments: int | None = None

    def line(self) -> str:
        """What it is, for people."""
        log = "" if self.log is None else f" ({self.log.relative_to(self.root)}: {self.runs} runs, {self.kept} kept)"
        return f"a session of {self.kind} is here{log}"


def find(root: Path) -> ForeignSession | None:
    """The session of another loop in `root`, or None; a ledger of ours is none."""
    try:
        log: Path | None = locate(root)
        kind = kind_of(log) if log is not None else ""
    except AutoresearchError:
        log, kind = None, ""
    project = Project(root)
    if log is None and not project.auto:
        return None
    if kind == "jsonl" and log is not None and _is_ours(log):
        return None
    facts = _facts(log)
    if log is not None and not facts and not project.auto:
        return None  # a results.tsv of another kind of program, say
    if kind not in ("", "jsonl"):
        return _table(root, log, facts)
    return _pi(root, log, facts)


def refuse_foreign(root: Path) -> None:
    """Raise `BadInput` that names the way on, where another loop's session is here and none of ours."""
    begun = find(root)
    if begun is not None:
        raise BadInput(
            begun.line(),
            fix="Go on from it with init --continue: its numbers stay history, a new baseline is measured",
            next="autoresearch init --continue",
        )


def take_history(begun: ForeignSession) -> int:
    """Copy a table's runs into our ledger as its first segment; returns how many. JSON lines stay where they are."""
    ledger = Project(begun.root).ledger
    if begun.log is None or begun.log == ledger or ledger.exists():
        return 0
    records = list(peer_records(entries(begun.log, begun.direction), begun.metric or "metric", begun.direction))
    origin = {"type": "import", "from": str(begun.log.relative_to(begun.root)), "of": begun.kind}
    write_atomic(ledger, b"".join(encode(record) for record in [*records, origin]))
    return sum("run" in record for record in records)


def _is_ours(log: Path) -> bool:
    return any(b'"evaluator"' in line and b'"config"' in line[:200] for line in physical_lines(log))


def _facts(log: Path | None) -> dict[str, Any]:
    if log is None:
        return {}
    found = summarise(log)
    if not found.recognised:
        return {}
    return {
        "metric": found.metric_name, "unit": one_line(found.metric_unit, 20),
        "direction": found.direction if found.direction_known else None,
        "name": one_line(found.name, 80), "runs": found.runs, "kept": found.by_status.get("keep", 0),
    }  # fmt: skip


def _table(root: Path, log: Path | None, facts: dict[str, Any]) -> ForeignSession:
    first = next((line for line in physical_lines(log) if line.strip()), b"") if log is not None else b""
    train = root / "train.py"
    if tuple(first.decode("utf-8", "replace").lower().split()) != KARPATHY:
        return ForeignSession(root, "a loop with a results table", log, **facts)
    facts["metric"] = facts["metric"] or "val_bpb"
    facts["direction"] = facts["direction"] or "lower"
    return ForeignSession(
        root, "karpathy/autoresearch", log, **facts, goal="Lower validation loss in the fixed training budget",
        scope=("train.py",) if train.is_file() else (),
        evaluator=("prepare.py",) if (root / "prepare.py").is_file() else (),
        scripts={"autoresearch.sh": _KARPATHY} if train.is_file() else {},
    )  # fmt: skip


def _pi(root: Path, log: Path | None, facts: dict[str, Any]) -> ForeignSession:
    project = Project(root)
    auto = project.auto
    document = _read(project.document)
    benchmark, checks = f"{AUTO}/measure.sh", f"{AUTO}/checks.sh"
    have = [name for name in (benchmark, checks) if auto and (root / name).is_file()]
    wrapped = {benchmark: ("autoresearch.sh", "benchmark"), checks: ("autoresearch.checks.sh", "checks")}
    scripts = {wrapped[n][0]: _WRAP.format(what=wrapped[n][1], script=n) for n in have}
    limits = _json(root / (f"{AUTO}/config.json" if auto else "autoresearch.config.json"))
    most = limits.get("maxIterations")
    title = re.search(r"^#\s*Autoresearch:\s*(.+)$", document, re.MULTILINE)
    return ForeignSession(
        root, "pi-autoresearch", log, **facts,
        goal=one_line(title[1] if title else facts.get("name", ""), 160),
        scope=tuple(_paths(root, _section(document, "Files in Scope"))),
        off_limits=(*_paths(root, _section(document, "Off Limits")), *((f"{AUTO}/**",) if auto else ())),
        evaluator=(*have, *(_mentioned(root, have))), scripts=scripts,
        max_experiments=most if isinstance(most, int) and not isinstance(most, bool) and most > 0 else None,
    )  # fmt: skip


def _mentioned(root: Path, scripts: list[str]) -> Iterator[str]:
    """Other files in `.auto/` that the scripts name: drivers and inputs that belong to the evaluator."""
    text = "\n".join(_read(root / name) for name in scripts)
    for path in sorted((root / AUTO).rglob("*")) if scripts else ():
        name = path.relative_to(root).as_posix()
        taken = name in scripts or path.name in AUTO_FILES or "/hooks/" in name
        if path.is_file() and not path.is_symlink() and not taken and path.name in text:
            yield name


def _section(document: str, heading: str) -> str:
    found = re.search(rf"^#+\s*{heading}\b[^\n]*\n(.*?)(?=^#|\Z)", document, re.MULTILINE | re.DOTALL | re.IGNORECASE)
    return found[1] if found else ""


def _paths(root: Path, text: str) -> Iterator[str]:
    """What a list of files in prose names and the project has: a file, a directory (all below it) or a glob."""
    for line in text.splitlines():
        bullet = re.match(r"\s*[-*+]\s+([^\s`:,()]+)", line)
        for word in dict.fromkeys([*re.findall(r"`([^`\s]+)`", line), *(bullet.groups() if bullet else ())]):
            name = word.strip("*\"'").removeprefix("./")
            if not name or name.startswith(("/", "~", "..", AUTO)) or "/../" in name:
                continue
            if (root / name).is_dir():
                yield name.rstrip("/") + "/**"
            elif (root / name).is_file() or ("*" in name and any(root.glob(name))):
                yield name


def _read(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            return handle.read(_MAX_DOCUMENT).decode("utf-8", "replace")
    except OSError:
        return ""  # not there or not readable: nothing can be taken from it, and the caller asks for the rest


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(_read(path) or "{}")
    except ValueError:
        return {}  # a broken setting of another tool: ours has its own
    return data if isinstance(data, dict) else {}
