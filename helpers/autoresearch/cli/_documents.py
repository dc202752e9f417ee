"""Renders the session's documents for a command that has changed something."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoresearch.project import Project
from autoresearch.safetext import one_line

if TYPE_CHECKING:
    pass


def render_document(root: Path) -> list[str]:
    """Write the session's document; its name, if it is new."""
    from autoresearch.report import render_all

    document = Project(root).document
    return [path.name for path in render_all(Project(root), chart=False) if path == document]


def render(project: Any) -> str:
    """Render the documents; a chart that cannot be drawn must not undo a decision that stands in the ledger."""
    from autoresearch.errors import EnvironmentMissing
    from autoresearch.report import render_all

    try:
        render_all(project)
    except (OSError, EnvironmentMissing) as exc:
        return f"documents not rendered: {one_line(str(exc), 200)} (repeat with: autoresearch report)"
    return ""
