"""Cheats and mutants of source texts, any language. Pure: texts and a seed in, edits out."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from pathlib import PurePosixPath

from autoresearch.attack import braces, python
from autoresearch.attack.edits import SCALES, Known, Mutant, Scale

# Whole files that are attacked, the most likely entry first.
FILES = 4


def supported(path: str) -> bool:
    """Whether there are mutants of such a file."""
    return PurePosixPath(path).suffix in (".py", *braces.LANGUAGES)


def mutants(texts: Mapping[str, str], known: Known, seed: int) -> dict[Scale, list[Mutant]]:
    """All mutants of `texts` (path -> source, most important first), in the order in which they are to be played.

    Whole files cheat by cheat; functions drawn, the longer the sooner, each with the cheat that has had the fewest;
    statements drawn. One seed gives one order, and the same names in what is inserted.
    """
    rng = random.Random(f"attack/{seed}")
    name = f"k{rng.randrange(16**6):06x}"
    made: list[Mutant] = []
    for path, text in texts.items():
        of = python.mutants if path.endswith(".py") else braces.mutants
        # Carriage returns stay: edits are offsets of the text as it is.
        made += of(path, text, known, name) if text.strip() else []
    by_scale: dict[Scale, list[Mutant]] = {scale: [m for m in made if m.scale == scale] for scale in SCALES}
    first = set(list(texts)[:FILES])
    whole = [m for m in by_scale["file"] if m.path in first]
    return {
        "file": list(_in_turn(whole, "path")),
        "function": list(_in_turn(_drawn(by_scale["function"], rng), "cheat")),
        "statement": _drawn(by_scale["statement"], rng),
    }


def _drawn(found: list[Mutant], rng: random.Random) -> list[Mutant]:
    """In random order, by weights (Efraimidis & Spirakis 2006)."""
    return [m for _, m in sorted(((rng.random() ** (1 / m.weight), m) for m in found), key=lambda row: -row[0])]


def _in_turn(found: Iterable[Mutant], by: str) -> Iterator[Mutant]:
    """One of each group in turn, the groups in order of their first."""
    groups: dict[str, list[Mutant]] = {}
    for mutant in found:
        groups.setdefault(getattr(mutant, by), []).append(mutant)
    for row in zip_longest(*groups.values()):
        yield from (mutant for mutant in row if mutant is not None)
