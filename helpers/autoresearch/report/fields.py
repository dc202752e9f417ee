"""Fields of records that anyone may have written, and percentages as people read them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoresearch.ledger.records import number


def percent(value: float) -> str:
    """Signed, with one decimal; a smaller value keeps two digits, so that it does not read as nothing."""
    return f"{value:+.1f} %" if not value or abs(value) >= 0.095 else f"{value:+.2g} %"


def effect_of(value: object, most: float = 100.0) -> float | None:
    """An effect is 100 (1 - exp(-T)) %, so below 100; what is beyond a million is no measurement."""
    found = number(value)
    return found if found is not None and -1e6 <= found < most else None


def text_of(record: Mapping[str, Any], key: str) -> str:
    value = record.get(key)
    return value if isinstance(value, str) else ""
