"""Keeps a JSON answer under the size that agents show whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoresearch.cli._output import to_json

LIMIT = 2000


def fit(data: Mapping[str, Any], *keys: str, limit: int = LIMIT) -> dict[str, Any]:
    """`data` with as many entries of its lists or mappings `keys` as fit; `left_off` counts the others.

    The last entries go first, from whichever of them is the longest text at that moment.
    """
    kept = dict(data)
    left_off = 0
    while len(to_json({**kept, "left_off": left_off})) >= limit:
        filled = [key for key in keys if kept.get(key)]
        if not filled:
            break
        longest = max(filled, key=lambda key: len(to_json({"": kept[key]})))
        entries = kept[longest]
        kept[longest] = dict(list(entries.items())[:-1]) if isinstance(entries, Mapping) else list(entries)[:-1]
        left_off += 1
    return {**kept, "left_off": left_off} if left_off else kept
