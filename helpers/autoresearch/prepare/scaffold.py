"""Writes a session's files into a project; files that are there already are never overwritten."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from autoresearch.config import CONFIG_NAME, edited
from autoresearch.errors import BadInput
from autoresearch.files import ensure_directory, sweep, write_atomic
from autoresearch.project import Project
from autoresearch.resources import shipped
from autoresearch.workspace.git import resolve

# (template, file in the project, executable)
_FILES = (
    ("templates/autoresearch.sh", "autoresearch.sh", True),
    ("templates/autoresearch.checks.sh", "autoresearch.checks.sh", True),
    ("experiment.yaml", "experiment.yaml", False),
)


def write_session(
    root: Path,
    values: dict[str, Any],
    drafts: dict[str, str],
    *,
    settings: dict[str, Any] | None = None,
    most: int | None = None,
    force: bool = False,
    continued: bool = False,
) -> tuple[list[str], list[str]]:
    """Write the config and, where they are missing, the scripts; returns what was written and what was left.

    `drafts` are texts for files in the project, in place of the empty templates.
    """
    changes = (settings or {}) | ({} if most is None else {"stop.max_experiments": most})
    filled = edited(_render_config(**values), changes)
    written = []
    make_way(root, filled, force=force, continued=continued)
    ensure_directory(root / ".autoresearch")
    sweep(root / ".autoresearch")
    wanted = {target: (shipped(template).read_bytes(), run) for template, target, run in _FILES}
    wanted |= {target: (text.encode(), target.endswith(".sh")) for target, text in drafts.items()}
    for target, (content, executable) in wanted.items():
        path = root / target
        if not os.path.lexists(path):
            write_atomic(path, content, mode=0o755 if executable else 0o644)
            written.append(target)
    # Last: where it is, the session is there; the same command again finishes what a killed one left out.
    if write_atomic(root / CONFIG_NAME, filled.encode()):
        written.insert(0, CONFIG_NAME)
    return written, [target for target in wanted if target not in written]


def refuse_a_second(root: Path, *, force: bool, continued: bool = False) -> None:
    """Raise `BadInput` where a session is here already."""
    if Project(root).ledger.exists() and not force and not continued:
        # Only where there is something to refuse: the readers of other loops' logs come with it.
        from autoresearch.peers.adopt import refuse_foreign

        refuse_foreign(root)
        raise BadInput("a ledger is here already", fix="Go on with it", next="autoresearch status")
    if (root / CONFIG_NAME).exists() and not force:
        raise BadInput(
            f"{CONFIG_NAME} is here already",
            fix="Edit it, or replace it with --force (the old one is kept)",
            next="autoresearch status",
        )


def default_name(root: Path, *, continued: bool) -> str:
    """The directory's name; a number follows where somebody else has a branch of that name."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", root.name).strip("-._")[:60] or "session"
    if not continued and Project(root).ledger.exists():
        return name
    names = [name, *(f"{name}-{number}" for number in range(2, 100))]
    return next((n for n in names if resolve(root, f"refs/heads/autoresearch/{n}") is None), name)


def _render_config(**values: object) -> str:
    """Fill the template's @PLACEHOLDERS@ with JSON values: JSON is YAML, so any text is quoted rightly."""
    text = shipped("templates/autoresearch.yaml").read_text(encoding="utf-8")
    # One pass, so that a value which looks like a placeholder stays a value.
    return re.sub(r"@([A-Z_]+)@", lambda found: json.dumps(values[found[1].lower()], ensure_ascii=False), text)


def make_way(root: Path, text: str, *, force: bool, continued: bool) -> None:
    """Refuse where a session is, or with `force` keep its config as a backup. The same config is no refusal."""
    path = root / CONFIG_NAME
    if path.exists() and path.read_bytes() == text.encode() and not Project(root).ledger.exists():
        return
    refuse_a_second(root, force=force, continued=continued)
    if path.exists():
        number = 1
        while (backup := path.with_name(f"{CONFIG_NAME}.bak-{number}")).exists():
            number += 1
        path.rename(backup)
