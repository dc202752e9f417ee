"""The ranked queue of ideas, as a file that a human can edit. Here: its words, which the command's help shows."""

from __future__ import annotations

from autoresearch import verdict

OPEN = "open"
# Decided by measurement; `done` is a person's tick without a verdict.
VERDICTS = verdict.STATUSES
STATUSES = (OPEN, "claimed", "running", *VERDICTS, "done", "dropped", "other")
CLASSES = ("compute", "memory", "io", "algorithm", "other")
MINUTES = 60  # that a claim lasts
