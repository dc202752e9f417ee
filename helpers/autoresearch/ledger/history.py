"""What the whole ledger says: records folded once into the session as it is now."""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from autoresearch.config import Config
from autoresearch.errors import BadInput
from autoresearch.ledger import store
from autoresearch.ledger.records import number
from autoresearch.project import Project

Record = dict[str, Any]


# How often a candidate that crashed or failed its checks may be mended and measured again.
MOST_REWORKS = 2


@dataclass
class Experiment:
    """One experiment: the record of `new`, the jobs submitted for it, and its run line once decided."""

    id: str
    opened: Record
    jobs: list[Record] = field(default_factory=list)
    result: Record | None = None

    @property
    def parent(self) -> str:
        return str(self.opened["parent"])

    @property
    def idea(self) -> str | None:
        value = self.opened.get("idea")
        return str(value) if value else None

    @property
    def reworks(self) -> int:
        """How often it was submitted again after it had failed."""
        return max((int(job.get("rework") or 0) for job in self.jobs), default=0)


@dataclass
class Session:
    """What is true now. `header` is the last config line; counts are of its segment unless said otherwise.

    `kept` and `keeps` leave out what was backed out since (`reverted`: those run lines). `head` is the commit of the
    last keep or revert, `audit` the last audit's line, `unaudited` the keeps and reverts since then. `noted_ms` is
    the time of the last note on a machine. `spent` is what
    the session had cost at the last line that says so, `job_ids` are all jobs that it submitted.
    `predecessor` is the commit that a successor starts from, until it has a baseline. `history` counts
    runs that another loop wrote into this ledger: they are read, and never mixed with ours.
    `last` is the ledger's last line as it was read, `named_jobs` the jobs that any line names.
    """

    project: Project
    config: Config
    header: Record | None = None
    baseline: Record | None = None
    segment: int = -1
    last_run: int = 0
    tests: int = 0
    keeps: int = 0
    dry: int = 0
    runs_used: int = 0
    seconds: float = 0.0
    tokens: int = 0
    spent: Record = field(default_factory=dict)
    job_ids: list[str] = field(default_factory=list)
    started_ms: int = 0
    by_status: dict[str, int] = field(default_factory=dict)
    experiments: dict[str, Experiment] = field(default_factory=dict)
    kept: list[Record] = field(default_factory=list)
    reverted: list[Record] = field(default_factory=list)
    head: str | None = None
    audit: Record | None = None
    unaudited: int = 0
    predecessor: str | None = None
    noted_ms: int = 0
    history: int = 0
    in_segment: int = 0
    last: Record | None = None
    named_jobs: set[str] = field(default_factory=set)
    # Of the command that read it: the best commit and texts of commits as git told them, and the engine.
    tip: str | None = None
    commits: dict[str, str | None] = field(default_factory=dict)
    engine: Any = None

    @property
    def branch(self) -> str:
        return str(self.header["branch"]) if self.header else f"autoresearch/{self.config.name}"

    @property
    def next_segment(self) -> int:
        """The number that the next header's segment gets."""
        return self.segment + 1 if self.in_segment else max(self.segment, 0)

    @property
    def decided(self) -> int:
        """Experiments with a result in this segment."""
        return sum(self.by_status.values())

    def experiment(self, name: str) -> Experiment:
        """An experiment by id; `BadInput` names the nearest one."""
        if name in self.experiments:
            return self.experiments[name]
        near = difflib.get_close_matches(name, self.experiments, 1)
        hint = f"Did you mean {near[0]}?" if near else "Open it first"
        raise BadInput(f"no experiment {name!r}", fix=hint, next="autoresearch new EXP --hypothesis TEXT")

    def undecided(self, name: str) -> Experiment:
        """Like `experiment`, but refuses one that has its verdict."""
        found = self.experiment(name)
        if found.result is not None:
            status, run = found.result.get("status"), found.result.get("run")
            raise BadInput(
                f"{name} was decided: {status} (run {run})",
                fix="A verdict is final. Open a new experiment",
                next="autoresearch status",
            )
        return found

    def append(self, record: Record) -> None:
        """Write one line to the ledger. Counting it is the caller's, who knows what the line is."""
        store.append(self.project.ledger, record)

    def started(self) -> Record:
        """The header; `BadInput` when there is no baseline yet."""
        if self.header is None or self.baseline is None:
            raise BadInput(
                "the session has no baseline", fix="Measure it first", next="autoresearch baseline"
            )
        return self.header


def replay(project: Project, config: Config, records: Iterator[Record]) -> Session:
    """Fold ledger records into a session. Memory grows with the experiments, not with their samples."""
    session = Session(project, config)
    for record in records:
        kind = record.get("type")
        session.last = record
        if isinstance(record.get("job"), str):
            session.named_jobs.add(record["job"])
        if kind == "config":
            open_segment(session, record)
        elif session.header is None or _is_foreign_run(record):
            _count_history(session, record)
        elif kind == "experiment":
            session.experiments[str(record.get("experiment"))] = Experiment(
                str(record.get("experiment")), record
            )
        elif kind in ("job", "test"):
            _count_job(session, record)
        elif kind == "vm":
            session.noted_ms = max(session.noted_ms, int(record.get("timestamp") or 0))
        elif kind == "audit" and record.get("tip"):
            count_audit(session, record)
        elif kind == "revert" and record.get("experiment") and record.get("commit"):
            count_revert(session, record)
        elif _is_run(record):
            count_run(session, record)
    return session


def open_segment(session: Session, record: Record) -> None:
    """Start counting anew under a header. As in the peers' files, two headers without a run between are one.

    Another loop's header, which names no frozen evaluator, opens no session of ours: what follows it is history.
    """
    session.segment = session.next_segment
    session.in_segment = 0
    session.header = record if isinstance(record.get("evaluator"), dict) else None
    session.baseline = None
    session.tests = session.keeps = session.dry = 0
    session.by_status = {}
    session.kept, session.reverted = [], []
    session.head = session.audit = None
    session.unaudited = 0
    if record.get("after"):  # what the predecessor took is not the successor's
        session.started_ms = session.runs_used = 0
        session.seconds = 0.0
    if session.header is not None:
        session.started_ms = session.started_ms or int(record.get("timestamp") or 0)


def _is_run(record: Record) -> bool:
    return isinstance(record.get("run"), int) and not isinstance(record.get("run"), bool)


def _is_foreign_run(record: Record) -> bool:
    """Whether another loop appended this run under our header: it names no experiment of ours."""
    return _is_run(record) and not record.get("experiment") and not record.get("kind")


def _count_history(session: Session, record: Record) -> None:
    if number(record.get("run")) is None:
        return
    session.history += 1
    if session.header is None:
        session.in_segment += 1
    session.last_run = max(session.last_run, int(record["run"]))


def _count_job(session: Session, record: Record) -> None:
    if record.get("type") == "test":
        session.tests = max(session.tests, int(record.get("t") or 0))
    session.job_ids.append(str(record.get("job")))
    experiment = session.experiments.get(str(record.get("experiment")))
    if experiment is not None:
        experiment.jobs.append(record)


def count_run(session: Session, record: Record) -> None:
    """Add one run line to the session's counts."""
    session.in_segment += 1
    session.last_run = max(session.last_run, record["run"])
    session.seconds += float(record.get("seconds") or 0)
    _count_cost(session, record)
    verdict = record.get("verdict") or {}
    session.runs_used += int(verdict.get("runs_used") or record.get("runs_used") or 0)
    if record.get("kind") == "baseline" or session.baseline is None:
        session.baseline = record
        return
    status = str(record.get("status"))
    session.by_status[status] = session.by_status.get(status, 0) + 1
    session.dry = 0 if status == "keep" else session.dry + 1
    if status == "keep":
        session.keeps += 1
        session.kept.append(record)
        session.head = str(record.get("commit_full") or "") or session.head
        session.unaudited += 1
    experiment = session.experiments.get(str(record.get("experiment")))
    if experiment is not None:
        experiment.result = record


def _count_cost(session: Session, record: Record) -> None:
    tokens, spent = record.get("tokens"), record.get("spent")
    session.tokens += tokens if isinstance(tokens, int) else 0
    session.spent = spent if isinstance(spent, dict) else session.spent
    jobs = record.get("jobs")
    session.job_ids += [str(job) for job in (jobs if isinstance(jobs, list) else [record.get("job")]) if job]


def count_audit(session: Session, record: Record) -> None:
    """Take an audit's line: it speaks for everything kept before it."""
    session.audit, session.unaudited = record, 0
    session.runs_used += int(record.get("cost_runs") or 0)
    session.seconds += float(record.get("seconds") or 0)
    _count_cost(session, record)


def count_revert(session: Session, record: Record) -> None:
    """Take a keep back out of the counts. Its discovery stays decided, so `decided` does not change."""
    gone = next((r for r in session.kept if r.get("experiment") == record.get("experiment")), None)
    if gone is None:
        return
    session.kept.remove(gone)
    session.reverted.append(gone)
    session.keeps -= 1
    session.by_status["keep"] -= 1
    session.by_status["reverted"] = session.by_status.get("reverted", 0) + 1
    session.head = str(record["commit"])
    session.unaudited += 1


def turn_page(session: Session) -> Session:
    """Before its own baseline, a successor has nothing but the commit that its predecessor ended with."""
    header = session.header
    after = session.config.after
    if header is None or after is None or header.get("name") != after or session.config.name == after:
        return session
    session.predecessor = session.head or str(header.get("base_commit"))
    session.header = session.baseline = session.audit = session.head = None
    session.tests = session.keeps = session.dry = session.unaudited = 0
    session.by_status, session.kept, session.reverted = {}, [], []
    return session


def now_ms() -> int:
    """Milliseconds since the epoch, the ledger's time stamp."""
    return int(time.time() * 1000)
