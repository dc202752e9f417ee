"""What the whole ledger says: its records folded once, into segments and into the session as it is now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from autoresearch.config import Config
from autoresearch.errors import BadInput
from autoresearch.ledger.chain import Chain
from autoresearch.ledger.lines import (
    AttackLine,
    AuditLine,
    ExperimentLine,
    HeaderLine,
    JobLine,
    Line,
    Record,
    RevertLine,
    RunLine,
    SpentFields,
    line_of,
    read_as,
)
from autoresearch.ledger.records import Header, Reader, Run, number
from autoresearch.ledger.store import append
from autoresearch.project import Project

# How often a candidate that crashed or failed its checks may be mended and measured again.
MOST_REWORKS = 2
# How often an A/B that was disturbed is offered again; each is a test of its own. Simulated (alpha 0.002, cv 2 %): of
# null tests 3 % are offered again on a quiet machine, 39 % beside bursts in every eighth run, where a true 5 % is then
# kept in 82 % instead of 73 %.
MOST_REPEATS = 2


@dataclass
class Experiment:
    """One experiment: the line of `new`, the jobs submitted for it, and its run line once decided."""

    id: str
    opened: ExperimentLine
    jobs: list[JobLine] = field(default_factory=list)
    result: RunLine | None = None

    @property
    def parent(self) -> str:
        return self.opened.parent

    @property
    def reworks(self) -> int:
        """How often it was submitted again after it had failed."""
        return max((job.rework for job in self.jobs), default=0)

    @property
    def repeats(self) -> int:
        """How often it was measured again because an A/B was disturbed."""
        return max((job.again for job in self.jobs), default=0)


NO_HEADER = Header("", "", "", None, 0, {})


@dataclass
class Segment:
    """What stands between two headers, in the words of every loop's ledgers (`records`), each with its line.

    `reverted` are the keeps taken back, by experiment; `changes` the keeps and reverts since the last of its `audits`.
    `attack` is the last one on an evaluator, of this segment or before.
    """

    header: Header = NO_HEADER
    line: HeaderLine = field(default_factory=HeaderLine)
    runs: list[tuple[Run, RunLine]] = field(default_factory=list)
    reverted: dict[str, RevertLine] = field(default_factory=dict)
    audits: list[AuditLine] = field(default_factory=list)
    changes: int = 0
    attack: AttackLine | None = None


@dataclass(kw_only=True)
class History:
    """What is true now. `header` is the last one of ours; counts are of its segment unless said otherwise.

    `segments` are those that hold a run, and the last. `kept` leaves out what was taken back since (`reverted`: those
    run lines). `head` is the commit of the last keep or revert, `audit` the last audit, `unaudited` the keeps and
    reverts since then. `noted_ms` is the time of the last note on a machine. `spent` is what the session had cost at
    the last line that says so, `job_ids` are all jobs that it submitted. `predecessor` is the commit that a successor
    starts from, until it has a baseline. `foreign` counts runs that another loop wrote into this ledger: they are
    read, and never mixed with ours. `last` is the ledger's last line, `named_jobs` the jobs that any line names.
    """

    segments: list[Segment] = field(default_factory=list)
    header: HeaderLine | None = None
    baseline: RunLine | None = None
    segment: int = -1
    last_run: int = 0
    tests: int = 0
    dry: int = 0
    runs_used: int = 0
    seconds: float = 0.0
    tokens: int = 0
    spent: SpentFields = field(default_factory=SpentFields)
    job_ids: list[str] = field(default_factory=list)
    started_ms: int = 0
    by_status: dict[str, int] = field(default_factory=dict)
    experiments: dict[str, Experiment] = field(default_factory=dict)
    kept: list[RunLine] = field(default_factory=list)
    reverted: list[RunLine] = field(default_factory=list)
    head: str | None = None
    audit: AuditLine | None = None
    unaudited: int = 0
    predecessor: str | None = None
    noted_ms: int = 0
    foreign: int = 0
    in_segment: int = 0
    last: Line | None = None
    named_jobs: set[str] = field(default_factory=set)
    _reader: Reader = field(default_factory=Reader)

    @property
    def attack(self) -> AttackLine | None:
        """The last attack on an evaluator, maybe another than the frozen one."""
        return self.segments[-1].attack if self.segments else None

    @property
    def next_segment(self) -> int:
        """The number that the next header's segment gets."""
        return self.segment + 1 if self.in_segment else max(self.segment, 0)

    @property
    def decided(self) -> int:
        """Experiments with a result in this segment."""
        return sum(self.by_status.values())

    @property
    def results(self) -> list[RunLine]:
        """Run lines of this segment's experiments, in order."""
        found = [e.result for e in self.experiments.values() if e.result is not None]
        return sorted((r for r in found if r.segment == max(self.segment, 0)), key=lambda r: r.run)

    @property
    def open_experiments(self) -> list[Experiment]:
        """Experiments without a result, oldest first."""
        return [e for e in self.experiments.values() if e.result is None]

    def take(self, record: Record) -> None:
        """Fold the next record in."""
        line = line_of(record)
        self.last = line
        if line.job is not None:
            self.named_jobs.add(line.job)
        if self.header is None or not isinstance(line, ExperimentLine | JobLine):  # else it is neither header nor run
            self._place(record, line)
        if isinstance(line, HeaderLine):
            self._open_segment(line)
        elif self.header is None or _is_foreign(line):
            self._count_foreign(record)
        elif isinstance(line, ExperimentLine):
            self.experiments[line.experiment] = Experiment(line.experiment, line)
        elif isinstance(line, JobLine):
            self._count_job(line)
        elif isinstance(line, AuditLine):
            if line.tip:
                self._count_audit(line)
        elif isinstance(line, RevertLine):
            if line.experiment and line.commit:
                self._count_revert(line)
        elif isinstance(line, RunLine):
            self._count_run(line)
        elif record.get("type") == "vm":
            self.noted_ms = max(self.noted_ms, line.timestamp)

    def _place(self, record: Record, line: Line) -> None:
        """Put a header, a run, or what is said of runs afterwards, into its segment."""
        read = self._reader.take(record)
        if isinstance(read, Header):
            known = self.attack
            if self.segments and not self.segments[-1].runs:
                self.segments.pop()
            header = line if isinstance(line, HeaderLine) else read_as(HeaderLine, record)
            self.segments.append(Segment(read, header, attack=known))
            return
        if not self.segments:
            self.segments.append(Segment())
        now = self.segments[-1]
        if read is not None:
            run = line if isinstance(line, RunLine) else read_as(RunLine, record)
            run.status = read.status
            samples = record.get("samples")
            run.readings = len(samples) if isinstance(samples, list) else 1
            now.runs.append((replace(read, raw=run.raw), run))
            now.changes += read.status == "keep"
            if not now.header.raw:
                reader = self._reader
                now.header = replace(now.header, metric_name=reader.metric_name, direction=reader.direction)
        elif isinstance(line, RevertLine) and line.experiment:
            now.reverted[line.experiment] = line
            now.changes += 1
        elif isinstance(line, AuditLine) and line.tip:
            now.audits.append(line)
            now.changes = 0
        elif isinstance(line, AttackLine):
            now.attack = line

    def _open_segment(self, line: HeaderLine) -> None:
        """Start counting anew under a header. As in the peers' files, two headers without a run between are one.

        Another loop's header, which names no frozen evaluator, opens no session of ours: what follows it is foreign.
        """
        self.segment = self.next_segment
        self.in_segment = 0
        self._forget(line if line.evaluator is not None else None)
        if line.after:  # what the predecessor took is not the successor's
            self.started_ms = self.runs_used = 0
            self.seconds = 0.0
        if self.header is not None:
            self.started_ms = self.started_ms or line.timestamp

    def _forget(self, header: HeaderLine | None) -> None:
        self.header = header
        self.baseline = self.audit = self.head = None
        self.tests = self.dry = self.unaudited = 0
        self.by_status, self.kept, self.reverted = {}, [], []

    def _count_foreign(self, record: Record) -> None:
        run = number(record.get("run"))
        if run is None:
            return
        self.foreign += 1
        if self.header is None:
            self.in_segment += 1
        self.last_run = max(self.last_run, int(run))

    def _count_job(self, line: JobLine) -> None:
        if line.is_test:
            self.tests = max(self.tests, line.t or 0)
        self.job_ids.append(line.job)
        experiment = self.experiments.get(line.experiment)
        if experiment is not None:
            experiment.jobs.append(line)

    def _count_run(self, line: RunLine) -> None:
        self.in_segment += 1
        self.last_run = max(self.last_run, line.run)
        self._count_cost(line, [line.job] if line.job else [])
        self.runs_used += line.cost_runs
        if line.kind == "baseline" or self.baseline is None:
            self.baseline = line
            return
        self.by_status[line.status] = self.by_status.get(line.status, 0) + 1
        self.dry = 0 if line.status == "keep" else self.dry + 1
        if line.status == "keep":
            self.kept.append(line)
            self.head = line.commit_full or self.head
            self.unaudited += 1
        experiment = self.experiments.get(line.experiment)
        if experiment is not None:
            experiment.result = line

    def _count_cost(self, line: RunLine | AuditLine, jobs: list[str]) -> None:
        self.seconds += line.seconds
        self.tokens += line.tokens or 0
        self.spent = line.spent or self.spent
        self.job_ids += jobs

    def _count_audit(self, line: AuditLine) -> None:
        """It speaks for everything kept before it."""
        self.audit, self.unaudited = line, 0
        self.runs_used += line.cost_runs
        self._count_cost(line, line.jobs or ([line.job] if line.job else []))

    def _count_revert(self, line: RevertLine) -> None:
        """Take a keep back out of the counts. Its discovery stays decided, so `decided` does not change."""
        gone = next((kept for kept in self.kept if kept.experiment == line.experiment), None)
        if gone is None:
            return
        self.kept.remove(gone)
        self.reverted.append(gone)
        self.by_status["keep"] -= 1
        self.by_status["reverted"] = self.by_status.get("reverted", 0) + 1
        self.head = line.commit
        self.unaudited += 1


@dataclass(kw_only=True)
class Session(History):
    """A project's history, with what its config wants. One command's, under the session's lock if it writes."""

    project: Project
    config: Config
    # Of the command that read it: the best commit, whose the branch is and texts of commits as git told them, and the
    # engine.
    tip: str | None = None
    owner: str | None = None
    commits: dict[str, str | None] = field(default_factory=dict)
    engine: Any = None
    # Lines of the ledger that no command wrote as they stand, each with its digest.
    broken: dict[int, str] = field(default_factory=dict)

    @property
    def branch(self) -> str:
        return self.header.branch if self.header else f"autoresearch/{self.config.name}"

    def experiment(self, name: str) -> Experiment:
        """An experiment by id; `BadInput` names the nearest one."""
        if name in self.experiments:
            return self.experiments[name]
        import difflib  # only here, for start-up time

        near = difflib.get_close_matches(name, self.experiments, 1)
        hint = f"Did you mean {near[0]}?" if near else "Open it first"
        raise BadInput(f"no experiment {name!r}", fix=hint, next="autoresearch new EXP --hypothesis TEXT")

    def undecided(self, name: str) -> Experiment:
        """Like `experiment`, but refuses one that has its verdict."""
        found = self.experiment(name)
        if found.result is not None:
            raise BadInput(
                f"{name} was decided: {found.result.status} (run {found.result.run})",
                fix="A verdict is final. Open a new experiment",
                next="autoresearch status",
            )
        return found

    def append(self, record: Record) -> None:
        """Write one line to the ledger, and count it."""
        append(self.project.ledger, record)
        self.take(record)

    def started(self) -> HeaderLine:
        """The header; `BadInput` when there is no baseline yet."""
        if self.header is None or self.baseline is None:
            raise BadInput("the session has no baseline", fix="Measure it first", next="autoresearch baseline")
        return self.header

    def turn_page(self) -> None:
        """Before its own baseline, a successor has nothing but the commit that its predecessor ended with."""
        header, after = self.header, self.config.after
        if header is not None and after is not None and header.name == after and self.config.name != after:
            self.predecessor = self.head or header.base_commit
            self._forget(None)


def fold(records: Iterable[Record]) -> History:
    """The history of a ledger's records. Memory grows with the experiments, not with their samples."""
    history = History()
    for record in records:
        history.take(record)
    return history


def replay(project: Project, config: Config, records: Iterable[Record], chain: Chain | None = None) -> Session:
    """The session of a project, as its ledger's records tell it; `chain` looks at them as they are read."""
    session = Session(project=project, config=config)
    for record in records:
        session.take(record)
    session.turn_page()
    if chain is not None:
        # Another loop that goes on in this file knows of no hashes.
        session.broken = chain.broken(n for n, record, _ in chain.loose if _is_ours(line_of(record)))
    return session


def _is_ours(line: Line) -> bool:
    """Whether only a command of ours writes such a line."""
    if isinstance(line, HeaderLine):
        return line.evaluator is not None
    if isinstance(line, RunLine):
        return not _is_foreign(line)
    return isinstance(line, ExperimentLine | JobLine | AuditLine | RevertLine | AttackLine)


def _is_foreign(line: Line) -> bool:
    """Whether another loop appended this run under our header: it names no experiment of ours."""
    return isinstance(line, RunLine) and not line.experiment and not line.kind
