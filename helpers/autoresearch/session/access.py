"""The session as its ledger tells it, and the lock that makes one command at a time change it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from autoresearch import notices
from autoresearch.config import CONFIG_NAME, load_config
from autoresearch.errors import BadInput, IntegrityFault
from autoresearch.files import locked
from autoresearch.ledger.chain import Chain
from autoresearch.ledger.history import Session, replay
from autoresearch.ledger.store import end_torn_line, records
from autoresearch.project import Project, session_root


def find_root(start: Path | None = None) -> Path:
    """The top of the session that `start` (default: here) lies in; `BadInput` where there is none."""
    here = (start or Path.cwd()).resolve()
    root = session_root(here)
    if root is not None and (root / CONFIG_NAME).exists():
        return root
    # For start-up time: only where there is no session.
    from autoresearch.peers.adopt import refuse_foreign

    refuse_foreign(root or here)
    from autoresearch.session.safekeeping import REPAIR, lost_session

    gone = lost_session(root or here)
    if gone is not None:
        raise IntegrityFault(
            f"{CONFIG_NAME} of the session in {gone[0]} is gone; git keeps it", fix="Put it back", next=REPAIR
        )
    if root is not None:
        return root
    raise BadInput(
        f"no {CONFIG_NAME} in {here} or above it",
        fix="Start a session in the project's top directory",
        next="autoresearch init --plan",
    )


def project_here() -> Project:
    """The session's project, or this directory before there is a session."""
    try:
        return Project(find_root())
    except BadInput:
        return Project(Path.cwd())


def load(root: Path) -> Session:
    """Read a project's session; works before the baseline too."""
    project = Project(root)
    config = load_config(root)
    if not project.ledger.exists():
        return replay(project, config, ())
    chain = Chain()
    session = replay(project, config, records(project.ledger, chain), chain)
    if session.broken:
        notices.say(f"{broken_lines(session)}: restore the file as git has it, or put it on record by doctor --repair")
    return session


def broken_lines(session: Session) -> str:
    """Which lines of the ledger are not as a command wrote them."""
    numbers = [str(number) for number in session.broken]
    shown = ", ".join(numbers[:5]) + (f" and {len(numbers) - 5} more" if numbers[5:] else "")
    words = "lines {} are" if numbers[1:] else "line {} is"
    return f"{words.format(shown)} not as a command wrote it after the one before ({session.project.ledger.name})"


@contextlib.contextmanager
def open_session(start: Path | None = None) -> Iterator[Session]:
    """The session under its lock, with anything that a killed command left half done finished or undone first."""
    root = find_root(start)
    project = Project(root)
    with locked(project.lock):
        if project.ledger.exists() and end_torn_line(project.ledger):
            notices.say(f"the last line of {project.ledger.name} was torn by a crash and is passed over")
        session = load(root)
        # For start-up time: who only loads a session needs none of what mends one.
        from autoresearch.session.recover import finish_half_done, take_notes
        from autoresearch.session.safekeeping import keep, refuse_if_lost
        from autoresearch.session.strength import take_found

        refuse_if_lost(session)
        finish_half_done(session)
        if session.header is not None:
            take_notes(session)
            if session.baseline is not None:
                take_found(session)
        try:
            yield session
        except IntegrityFault:
            raise
        except BaseException:
            keep(session)
            raise
        keep(session)
