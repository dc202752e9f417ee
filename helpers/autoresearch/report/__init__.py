"""Everything that is rendered from the ledger for a person: documents and chart. All of it can be deleted."""

from autoresearch.report.render import Rendered, render, render_all

__all__ = ["Rendered", "render", "render_all"]
