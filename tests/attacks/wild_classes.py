"""All classes of wild cheats, loaded; and what passes today, with the reason."""

from __future__ import annotations

import wild_elsewhere
import wild_goals
import wild_recognised
import wild_suites
import wild_values
from wild import CLASSES

FILES = (wild_recognised, wild_values, wild_elsewhere, wild_goals, wild_suites)

# (class, site): why no frame stops it.
PASSES: dict[tuple[str, str], str] = {}

__all__ = ["CLASSES", "FILES", "PASSES"]
