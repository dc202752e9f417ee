"""What crashes leave behind, found by `doctor` and mended by `doctor --repair`: only what is ours, never a user's work.

Each check yields troubles; a trouble knows its own remedy. What the next command makes up for by itself (see
`recover`) is here too, so that a person can see it first.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from autoresearch.engines.leftovers import clear, kill_leftovers, leftover_processes, leftover_trees
from autoresearch.errors import AutoresearchError
from autoresearch.files import locked, remove, sweep
from autoresearch.ledger import in_flight
from autoresearch.ledger.history import Session
from autoresearch.ledger.lines import now_ms
from autoresearch.ledger.store import end_torn_line, read
from autoresearch.project import Project
from autoresearch.safetext import one_line
from autoresearch.session import integrity, safekeeping
from autoresearch.session.access import broken_lines, load
from autoresearch.session.integrity import frozen_manifest, last_candidate
from autoresearch.session.recover import (
    close_stale_worktrees,
    copies_of,
    drop_unrecorded_jobs,
    follow_ledger,
    forget_measured_baseline,
    has_measured_baseline,
    is_ancestor,
    unrecorded_jobs,
)
from autoresearch.workspace import copies, evaluator, orphans
from autoresearch.workspace.git import git, resolve
from autoresearch.workspace.owner import candidates, elsewhere, namespace

# A lock file of git's without its process is left for so long (seconds): git itself holds one for milliseconds.
OLD = 60.0


@dataclass(frozen=True)
class Trouble:
    """Something that a crash left. `mend` puts it right and is safe to repeat; without it, `hint` says who can."""

    what: str
    found: str
    mend: Callable[[], object] | None = None
    hint: str = ""


def troubles(session: Session) -> Iterator[Trouble]:
    """All that is found now, under the session's lock. Nothing is changed before a trouble's `mend` is called."""
    lost = safekeeping.lost(session)
    if lost:  # what its lines speak for is judged when they are back
        yield Trouble("ledger", lost, partial(safekeeping.put_back, session))
        return
    for check in (
        _ledger, _documents, _branch, _pinned, _jobs, _processes, _worktrees, _remembered, _refs, _locks, _unfinished,
    ):  # fmt: skip
        yield from check(session)


def look(project: Project) -> list[Trouble]:
    """All troubles of a project's session, under its lock; nothing is changed. None where no session is."""
    with locked(project.lock):
        return list(troubles(load(project.root)))


def mend_all(project: Project) -> tuple[list[Trouble], list[Trouble]]:
    """Mend what can be mended; what was, and what is left. What one remedy brings to light, the next round mends."""
    done: list[Trouble] = []
    failed: list[Trouble] = []
    with locked(project.lock):
        for _ in range(3):
            found = list(troubles(load(project.root)))
            tried = {(t.what, t.found) for t in (*done, *failed)}
            todo = [t for t in found if t.mend is not None and (t.what, t.found) not in tried]
            if not todo:
                break
            for trouble in todo:
                try:
                    assert trouble.mend is not None
                    trouble.mend()
                    done.append(trouble)
                except (AutoresearchError, OSError) as exc:
                    failed.append(replace(trouble, hint=str(exc)))
        left = [t for t in troubles(load(project.root)) if t.mend is None]
    return done, [*failed, *left]


def _ledger(session: Session) -> Iterator[Trouble]:
    """Lines that nobody can read. They stay: the ledger is never rewritten."""
    path = session.project.ledger
    if not path.exists():
        return
    damaged = [line for line in read(path) if line.problem is not None]
    if damaged:
        shown = ", ".join(str(line.number) for line in damaged[:5])
        yield Trouble(
            "ledger", f"{len(damaged)} lines are damaged and passed over (line {shown}: {damaged[0].problem})",
            hint="They stay as they are; nothing that could be read is missing from status",
        )  # fmt: skip
    if session.broken:
        yield Trouble("ledger", broken_lines(session), partial(_put_on_record, session))
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
            yield Trouble("ledger", "its last line has no end", lambda: end_torn_line(path))


def _put_on_record(session: Session) -> None:
    """The lines stay as they are, as evidence; a line of ours says which they are, so that another edit is seen."""
    lines = {str(number): said for number, said in session.broken.items()}
    session.append({"type": "chain", "lines": lines, "timestamp": now_ms()})
    session.broken = {}
    safekeeping.keep(session, anew=True)


def _documents(session: Session) -> Iterator[Trouble]:
    """Small files of the session that somebody has removed."""
    for name, blob in safekeeping.files_gone(session).items():
        yield Trouble(
            "documents", f"{one_line(name, 80)} is gone; git keeps it",
            partial(safekeeping.write_blob, session.project, name, blob),
        )  # fmt: skip


def _branch(session: Session) -> Iterator[Trouble]:
    root, branch = session.project.root, session.branch
    tip, other = integrity.look(session), elsewhere(session.project, session.owner)
    if other is not None:
        yield Trouble(
            "branch", f"{branch} is of the session in {other}", hint="It stays as it is; see autoresearch new"
        )
        return
    if session.header is None:
        if tip is None or in_flight.pending(session) is not None:
            return
        found = f"{branch} has no ledger: a baseline was killed, or the ledger was deleted"
        if (
            session.owner
            and resolve(root, "HEAD")
            and not git(root, "rev-list", "-n1", tip, "--not", "--exclude", branch, "--branches")
        ):
            yield Trouble("branch", found, lambda: git(root, "update-ref", "-d", f"refs/heads/{branch}", tip))
        else:
            yield Trouble(
                "branch", f"{found}; it has commits of its own, or is another session's",
                hint="It stays as it is: choose another name in autoresearch.yaml",
            )  # fmt: skip
        return
    truth = session.head or session.header.base_commit
    if tip != truth:
        if tip is not None and is_ancestor(session, truth, tip):
            return
        found = f"{branch} is not at the ledger's last commit {truth[:12]}"
        yield Trouble("branch", found, lambda: follow_ledger(session))


def _pinned(session: Session) -> Iterator[Trouble]:
    """The frozen copies can be made again as long as the project's files have the hashes that the ledger names."""
    if session.header is None or session.baseline is None:
        return
    project = session.project
    frozen = frozen_manifest(session)
    try:
        evaluator.check_pin(project, frozen)
        return
    except AutoresearchError as exc:
        problem = exc.message

    def again() -> None:
        remove(evaluator.pin_dir(project, frozen))
        evaluator.freeze(project, frozen)

    try:
        same = evaluator.survey(project, session.config).files == frozen.files
    except AutoresearchError:
        same = False
    if same:
        yield Trouble("frozen evaluator", problem, again)
    else:
        yield Trouble(
            "frozen evaluator", f"{problem}, and the project's files changed too",
            hint="Restore them from git as they were at the baseline, then repeat",
        )  # fmt: skip


def _jobs(session: Session) -> Iterator[Trouble]:
    if has_measured_baseline(session):
        found = "it is measured, but still on file as in flight"
        yield Trouble("baseline", found, lambda: forget_measured_baseline(session))
    names = unrecorded_jobs(session)
    if names:
        found = f"{', '.join(names[:5])}: no command has recorded them"
        yield Trouble("jobs", found, lambda: drop_unrecorded_jobs(session))


def _processes(session: Session) -> Iterator[Trouble]:
    """Processes of jobs that are over, lost, or whose directory was deleted under them."""
    found = leftover_processes(session.project.state)
    if found:
        yield Trouble(
            "processes", f"{len(found)} processes of ended jobs still run ({', '.join(map(str, sorted(found)[:5]))})",
            partial(kill_leftovers, session.project.state),
        )  # fmt: skip
    trees = leftover_trees(session.project.state)
    if trees:
        yield Trouble(
            "disk", f"{len(trees)} trees of ended jobs were not removed",
            partial(clear, session.project.state),
        )  # fmt: skip


def _remove(paths: list[Path]) -> None:
    for path in paths:
        remove(path)


def _worktrees(session: Session) -> Iterator[Trouble]:
    stale, wanted = copies_of(session, undecided=False), copies_of(session, undecided=True)
    if stale:
        found = f"{', '.join(stale[:5])}: decided, or never recorded"
        yield Trouble("worktrees", found, lambda: close_stale_worktrees(session))
    for name in wanted:
        if not copies.is_linked(session.project, name):
            yield Trouble(
                "worktrees", f"{name} is no work tree of this repository's any more",
                partial(copies.link, session.project, name, session.experiments[name].parent),
                hint=f"Its files stay; give it up with autoresearch decide {name} --abandon",
            )  # fmt: skip
    for experiment in session.open_experiments:
        if experiment.id not in wanted:
            at = last_candidate(session, experiment) or experiment.parent
            yield Trouble(
                "worktrees", f"{experiment.id} is undecided, but its copy is gone",
                partial(_reopen, session, experiment.id, at, experiment.parent),
            )  # fmt: skip


def _reopen(session: Session, name: str, files: str, parent: str) -> None:
    """The copy as its last candidate had it, with the evaluator's files over it as `new` puts them there."""
    orphans.reopen(session.project, name, files, parent)
    evaluator.lay_over(session.project, frozen_manifest(session), session.project.worktree(name))


def _remembered(session: Session) -> Iterator[Trouble]:
    gone = orphans.forgotten_worktrees(session.project)
    if gone:
        found = f"git still knows of {len(gone)} of our copies that are gone"
        # Looked up anew: a copy that was gone may have been opened again since, under the same name.
        yield Trouble("git", found, lambda: _remove(orphans.forgotten_worktrees(session.project)))


def _refs(session: Session) -> Iterator[Trouble]:
    """This session's candidates of experiments that its ledger does not know: kept as patches, then let go."""
    project = session.project
    listed = git(project.root, "for-each-ref", "--format=%(refname)", candidates(project)).split("\n")
    for ref in filter(None, listed):
        name = ref.rpartition("/")[2]
        if name not in session.experiments:
            yield Trouble(
                "refs", f"{one_line(ref, 80)} belongs to no experiment of the ledger",
                partial(orphans.let_go, project, name),
            )  # fmt: skip


def _locks(session: Session) -> Iterator[Trouble]:
    """Lock files that a killed git left: ours go; the user's are named."""
    root = session.project.root
    common = Path(git(root, "rev-parse", "--path-format=absolute", "--git-common-dir"))
    own = Path(git(root, "rev-parse", "--absolute-git-dir"))
    ours = [
        common / "refs" / "heads" / f"{session.branch}.lock",
        *(common / namespace(session.project)).rglob("*.lock"),
    ]
    for admin in copies.admin_directories(session.project, session.project.worktrees):
        ours += sorted(admin.glob("*.lock"))
    for path in ours:
        if _is_old(path):
            shown = path.relative_to(common)
            yield Trouble("lock", f"{shown} was left by a killed git", partial(path.unlink, missing_ok=True))
    for path in {own / "index.lock", own / "HEAD.lock", common / "packed-refs.lock"}:
        if _is_old(path):
            yield Trouble(
                "lock", f"{path.name} of your repository is {_age(path) / 60:.0f} minutes old; we need it not",
                hint=f"If no git of yours runs, remove it: rm '{path}'",
            )  # fmt: skip


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime


def _is_old(path: Path) -> bool:
    try:
        return _age(path) > OLD
    except OSError:
        return False


def _unfinished(session: Session) -> Iterator[Trouble]:
    state = session.project.state
    left = list((state / "tmp").glob("*")) if (state / "tmp").is_dir() else []
    if left:
        yield Trouble("disk", f"{len(left)} unfinished files of killed commands", lambda: sweep(state))
    # Of versions that wrote them elsewhere, and of a freeze or a submission that was killed.
    # No deeper: the trees of a job that runs come and go while one looks.
    parts = (path for depth in ("*.part", "*/*.part", "*/*/*.part") for path in state.glob(depth))
    old = [*state.glob("bundle-*"), *session.project.pin.glob("*.*"), *parts]
    for name in ("autoresearch.md", "IMPROVEMENTS.md", "autoresearch.ideas.md", "autoresearch.svg", "autoresearch.png"):
        old += session.project.root.glob(f".{name}.????????.tmp")
    old = [path for path in old if _is_old(path)]
    if old:
        yield Trouble(
            "disk", f"{len(old)} unfinished files of killed commands elsewhere ({one_line(old[0].name, 60)})",
            partial(_remove, old),
        )  # fmt: skip
