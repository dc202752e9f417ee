"""Whether the ledger's keeps are the house's own: each rests on an A/B of the ledger and a commit that `decide` made.

The ledger is a plain file, and an agent with a shell can write a line into it. What it writes is not believed unless
the rest of the record carries it. (Someone who forges all of it convincingly is found by `finalize --audit`, which
measures anew.)
"""

from __future__ import annotations

import re

from autoresearch.errors import IntegrityFault
from autoresearch.git import GitError, git
from autoresearch.session.state import Record, Session

_HEX = re.compile(r"[0-9a-f]{40,64}")


def verify_keeps(session: Session) -> None:
    """Raise `IntegrityFault` for a keep of the ledger without evidence."""
    for record in session.kept:
        wrong = _doubt(session, record)
        if wrong:
            raise IntegrityFault(
                f"the ledger says that run {record.get('run')} was kept, but {wrong}: no command wrote that line",
                fix=f"Take that line out of {session.project.ledger.name} (git diff shows it), or restore the file",
                next="autoresearch log",
            )


def verify_branch(session: Session, tip: str) -> None:
    """Raise `IntegrityFault` when the session's branch, at `tip`, has commits that nothing decided."""
    truth = session.head or str(session.started()["base_commit"])
    if tip != truth:
        raise IntegrityFault(
            f"branch {session.branch} has commits that no decision made ({tip[:12]} follows {truth[:12]})",
            fix=f"Take them off it (git branch -f {session.branch} {truth[:12]}), or make them the new base: "
            "autoresearch baseline --new-segment",
        )


def _doubt(session: Session, record: Record) -> str:
    """What is wrong with a keep's line; empty when nothing is."""
    name = str(record.get("experiment"))
    experiment = session.experiments.get(name)
    if experiment is None:
        return f"no experiment {name!r} was opened"
    commit, parent = str(record.get("commit_full") or ""), str(record.get("parent") or "")
    test = next(
        (j for j in experiment.jobs if j.get("type") == "test" and j.get("job") == record.get("job")), None
    )
    if test is None or test.get("base") != parent or test.get("diff_sha256") != record.get("diff_sha256"):
        return f"no A/B of {name} against that parent and with that diff is on record"
    try:
        said = git(session.project.root, "cat-file", "commit", commit if _HEX.fullmatch(commit) else "0" * 40)
    except GitError:
        return f"its commit {commit[:12]!r} does not exist"
    header, _, message = said.partition("\n\n")
    parents = [line for line in header.split("\n") if line.startswith("parent ")]
    wanted = {f"Autoresearch-Experiment: {name}", f"Autoresearch-Run: {record.get('run')}"}
    if parents != [f"parent {parent}"] or not wanted.issubset(message.split("\n")):
        return f"commit {commit[:12]} is not the one that decide made for it"
    return ""
