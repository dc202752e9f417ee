"""Words that become file names and git refs."""

from __future__ import annotations

import re

from autoresearch.errors import BadInput

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
