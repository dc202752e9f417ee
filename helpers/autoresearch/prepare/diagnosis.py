"""What the doctor says about one thing that it looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Diagnosis:
    """One line of the doctor: what was looked at, what was found, and how to mend it."""

    level: Level
    what: str
    found: str
    fix: str = ""
