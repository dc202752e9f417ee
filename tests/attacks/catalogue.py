"""All cheats of the suite, by chapter, and the tables of docs/attacks.md: `python tests/attacks/catalogue.py` writes them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE.parents[1] / "docs" / "attacks.md"
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1] / "helpers")]

import cheats_agent  # noqa: E402
import cheats_called  # noqa: E402
import cheats_checks  # noqa: E402
import cheats_files  # noqa: E402
import cheats_pairs  # noqa: E402
import cheats_results  # noqa: E402
import cheats_work  # noqa: E402
import cheats_world  # noqa: E402
from cheat import Cheat  # noqa: E402
from wild_classes import CLASSES, PASSES  # noqa: E402
from wild_sites import SITES  # noqa: E402

CHAPTERS: dict[str, list[Cheat]] = {
    "In the diff": cheats_files.CHEATS,
    "Forged results": cheats_results.CHEATS,
    "Work that is not done": cheats_work.CHEATS,
    "Checks that say nothing": cheats_checks.CHEATS,
    "In pairs with a reference": cheats_pairs.CHEATS,
    "Code that a template calls": cheats_called.CHEATS,
    "The world around": cheats_world.CHEATS,
    "The agent itself": cheats_agent.CHEATS,
}
CHEATS = [cheat for cheats in CHAPTERS.values() for cheat in cheats]
_TABLES = re.compile(r"(<!-- tables: [^\n]* -->\n).*?(<!-- end of tables -->\n)", re.DOTALL)


def tables() -> str:
    """The chapters as markdown tables."""
    parts = []
    for chapter, cheats in CHAPTERS.items():
        rows = [f"### {chapter}", "", "| cheat | what it does | what stops it | ends as |", "|---|---|---|---|"]
        for cheat in cheats:
            end = cheat.end.told
            if cheat.open is not None:
                end += f"; uncontained: {cheat.open.told} ({cheat.open_note})"
            rows.append(f"| `{cheat.name}` | {cheat.does} | {cheat.stops} | {end} |")
        parts.append("\n".join(rows) + "\n")
    rows = ["### In the wild", "", "| class | what its members do | played on |", "|---|---|---|"]
    for found in CLASSES.values():
        rows.append(f"| `{found.name}` | {found.does} | {_where(found.sites)} |")
    if PASSES:
        rows += ["", "Of these pass today:", "", "| class | on | why |", "|---|---|---|"]
        rows += [f"| `{name}` | {site} | {why} |" for (name, site), why in PASSES.items()]
    parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def _where(sites: tuple[str, ...]) -> str:
    """Names of sites, those of whole families together."""
    families: dict[str, list[str]] = {}
    for site in SITES.values():
        families.setdefault(site.family, []).append(site.name)
    whole = {family for family, names in families.items() if len(names) > 1 and set(names) <= set(sites)}
    single = [name for name in sites if SITES[name].family not in whole]
    return ", ".join([*(_FAMILIES[family] for family in _FAMILIES if family in whole), *single])


_FAMILIES = {"function": "functions", "process": "programs", "goal": "scores", "tests": "suites", "build": "builds"}


def with_tables(text: str) -> str:
    """A document with its tables as the suite has them."""
    return _TABLES.sub(lambda found: found[1] + "\n" + tables() + "\n" + found[2], text)


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
