"""Finds the files that ship with the package, in a checkout and in an installed wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """Path of a shipped file or directory such as `experiment.yaml` or `templates/autoresearch.sh`.

    A wheel carries them under `_data`; in a checkout they stand at the repository root, two floors up.
    """
    installed = _PACKAGE / "_data" / name
    return installed if installed.exists() else _PACKAGE.parents[1] / name
