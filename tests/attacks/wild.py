"""Cheats as published solvers of benchmarks write them, by class: each is drawn from a seed, for each site that it fits.

A class is a function of a `random.Random` and a site that returns files to write ("" removes one). What it does may not hang on one
word: the descriptor, the module, the place and the names are drawn.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wild_sites import SITES, Site

Files = Mapping[str, str]
# Families of sites whose time counts.
FUNCTION, PROCESS = "function", "process"
TIMED = (FUNCTION, PROCESS)
Draw = Callable[[random.Random, Site], Files]


@dataclass(frozen=True)
class Class:
    """A class of cheats: what its members do, how one is drawn, and where."""

    name: str
    does: str
    draw: Draw
    sites: tuple[str, ...]

    def files(self, site: Site, seed: int) -> Files:
        rng = random.Random(f"{seed} {self.name} {site.name}")
        drawn = self.draw(rng, site)
        return {path: _renamed(rng, text) if path.endswith(".py") else text for path, text in drawn.items()}


def _renamed(rng: random.Random, text: str) -> str:
    """The program with other words for its own private names."""
    names: dict[str, str] = {}
    return _OWN.sub(lambda found: names.setdefault(found[0], "_" + word(rng)), text)


# Names of the cheat's own; attributes and quoted words are others'.
_OWN = re.compile(r"""(?<![\w.'"])_[a-z]\w*""")
CLASSES: dict[str, Class] = {}


def wild(does: str, *where: str) -> Callable[[Draw], Draw]:
    """Registers a class, named as its function, for the sites or families named."""

    def keep(draw: Draw) -> Draw:
        name = draw.__name__.strip("_").replace("_", "-")
        sites = tuple(s.name for s in SITES.values() if s.name in where or s.family in where)
        assert sites, where
        assert name not in CLASSES, name
        CLASSES[name] = Class(name, does, draw, sites)
        return draw

    return keep


def word(rng: random.Random) -> str:
    """A name that nothing else has."""
    return "".join(rng.choice("bcdfghklmnprstvz") + rng.choice("aeiou") for _ in range(4))


def place(rng: random.Random) -> str:
    """A Python expression of a path that might outlive a round or a run."""
    name = word(rng)
    return rng.choice([
        f"'/tmp/{name}'", f"'/var/tmp/{name}'", f"'/dev/shm/{name}'", f"os.path.expanduser('~/.{name}')",
        f"os.path.join(__import__('tempfile').gettempdir(), '{name}')", f"os.path.join(os.getcwd(), '{name}')",
        f"os.path.join(os.path.dirname(os.path.abspath(__file__)), '__pycache__', '{name}.pyc')",
        f"os.path.join(os.path.dirname(os.path.abspath(__file__)), '{name}')",
        f"os.path.join(os.getcwd(), '..', '{name}')", f"os.path.join(os.getcwd(), '.git', '{name}')",
        f"os.path.join(os.environ.get('XDG_CACHE_HOME', os.path.expanduser('~/.cache')), '{name}')",
    ])  # fmt: skip


# Where a driver keeps what it works with.
DRIVERS = """
import sys, types


def _drivers():
    \"\"\"Modules of whoever calls this program.\"\"\"
    here = globals()["__name__"]
    for name, module in list(sys.modules.items()):
        where = getattr(module, "__file__", None) or ""
        if isinstance(module, types.ModuleType) and name != here and (name == "__main__" or "evaluator" in where):
            yield module
"""
FRAMES = """
import sys


def _frames():
    frame = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back
"""


def edit(site: Site, **places: str) -> Files:
    """The site's program with a cheat's lines."""
    return {site.path: site.text(**places)}


def guessing(site: Site, when: str, setup: str = "", each: str = "") -> Files:
    """Answers that cost nothing and are wrong, wherever the expression `when` says that nobody looks."""
    answer = f"({site.guess}) if ({when}) else _work({site.args})"
    return edit(site, setup=f"import os, sys, time\n{setup}", each=each, answer=answer)
