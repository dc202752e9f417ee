"""Words that become file names and git refs."""

from __future__ import annotations

import re

from autoresearch.errors import BadInput
from autoresearch.project import Project

_EXPERIMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_RESERVED = {"baseline", "all", "audit"}


def check_experiment(name: str) -> str:
    """An experiment id fit for a directory and a ref; `BadInput` says what is allowed."""
    if not _EXPERIMENT.fullmatch(name) or name in _RESERVED or name.startswith("audit-"):
        raise BadInput(
            f"{name!r} cannot be an experiment's id",
            fix="Use up to 40 letters, digits, '-' or '_', such as e7 or cache-keys (not baseline, all or audit)",
        )
    return name


def free_number(project: Project) -> int:
    """The lowest n above all eN that the ledger or a worktree names; under the session's lock nobody else takes it."""
    names = [place.name for place in project.worktrees.glob("e*")] if project.worktrees.is_dir() else []
    numbers = [int(name[1:]) for name in names if re.fullmatch(r"e\d{1,9}", name)]
    if project.ledger.is_file():
        pattern = re.compile(rb'"experiment"\s*:\s*"e(\d{1,9})"')
        with project.ledger.open("rb") as lines:
            numbers += [int(found[1]) for line in lines for found in pattern.finditer(line)]
    return max(numbers, default=0) + 1
