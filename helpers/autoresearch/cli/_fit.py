"""Keeps a JSON answer under the size that agents show whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoresearch.cli._output import to_json

LIMIT = 2000


def fit(data: Mapping[str, Any], key: str, limit: int = LIMIT) -> dict[str, Any]:
    """`data` with as many entries of its list `key` as fit; `left_off` counts the others."""
    kept = dict(data)
    rows = list(kept[key])
    total = len(rows)
    while True:
        kept[key] = rows
        if len(rows) < total:
            kept["left_off"] = total - len(rows)
        if not rows or len(to_json(kept)) < limit:
            return kept
        rows = rows[:-1]
