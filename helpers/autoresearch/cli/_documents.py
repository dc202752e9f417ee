"""Renders the session's documents for a command that has changed something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoresearch.errors import EnvironmentMissing
from autoresearch.safetext import one_line

if TYPE_CHECKING:
    from autoresearch.project import Project


def render_document(project: Project) -> list[str]:
    """Write the session's document; its name, if it is new."""
    from autoresearch.report.render import render_all

    return [path.name for path in render_all(project, chart=False) if path == project.document]


def render(project: Project) -> str:
    """Render the documents; a chart that cannot be drawn must not undo a decision that stands in the ledger."""
    from autoresearch.report.render import render_all

    try:
        render_all(project)
    except (OSError, EnvironmentMissing) as exc:
        return f"documents not rendered: {one_line(str(exc), 200)} (repeat with: autoresearch report)"
    return ""
