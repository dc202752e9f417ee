"""The evaluator's files after a build: what the candidate's build did to them, or put beside them.

A build is the candidate's own code and may write anywhere in its tree, also where the benchmark stands. So its
surroundings are looked at before and after each build: a file of the evaluator may not change, no link may take its
place, and nothing new may appear beside it that the base's build does not leave there too (a module that is imported
instead, say). What `setup_deps.sh` has made below its directories, a compiled reference say, a candidate's build may
change as far as the base's does.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
from typing import Dict, FrozenSet, Mapping, NamedTuple, Optional, Set, Tuple

from autoresearch.trial.failed import Failed

_State = Optional[Tuple[int, ...]]


class Surroundings(NamedTuple):
    """How the evaluator's surroundings looked: the state of each file, and the names in their directories."""

    states: Dict[str, _State]
    names: FrozenSet[str]


class SurroundingsChange(NamedTuple):
    """What happened since a look: `changed` files of the evaluator, and names that are new beside them."""

    changed: Tuple[str, ...]
    added: FrozenSet[str]


class Pristine:
    """`files` maps the evaluator's files (path from the tree's top) to their sha256."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = dict(files)
        self.folders = sorted({os.path.dirname(path) for path in files})
        self.added: Dict[str, Set[str]] = {}  # side -> names that its build left beside the evaluator
        self.made: Dict[str, Dict[str, str]] = {}  # side -> sha256 of what its setup made below the evaluator's folders
        self.remade: Dict[str, Set[str]] = {}  # side -> which of these its build has changed

    def mention(self, tree: str, word: str) -> bool:
        """Whether one of the files holds `word`; True where none is known."""
        for path in self.files:
            with contextlib.suppress(OSError), open(os.path.join(tree, path), "rb") as file:
                if word.encode() in file.read():
                    return True
        return not self.files

    def look(self, tree: str) -> Surroundings:
        """The surroundings as they are, before somebody else's code runs."""
        states = {path: _state(tree, path) for path in self.files}
        return Surroundings(states, frozenset(self._names(tree)))

    def since(self, tree: str, before: Surroundings) -> SurroundingsChange:
        """What changed. Compiled Python beside the evaluator is removed: it may be believed without its source."""
        changed = []
        for path, digest in self.files.items():
            now = _state(tree, path)
            # Only a file that was written to is read again: its time of change cannot be set by a program.
            if now is None or (now != before.states[path] and _sha256(os.path.join(tree, path)) != digest):
                changed.append(path)
        names = self._names(tree)
        for folder in self.folders:
            cache = os.path.join(tree, folder, "__pycache__")
            if os.path.isdir(cache) and not os.path.islink(cache):
                shutil.rmtree(cache, ignore_errors=True)
        return SurroundingsChange(tuple(sorted(changed)), frozenset(names - before.names))

    def below(self, tree: str) -> FrozenSet[str]:
        """The files below the directories of the evaluator; the top of the tree, where all is below, does not count."""
        return frozenset(
            os.path.relpath(os.path.join(where, name), tree)
            for folder in filter(None, self.folders)
            for where, _, names in os.walk(os.path.join(tree, folder))
            for name in names
            if os.path.basename(where) != "__pycache__"
        )

    def prepared(self, tree: str, side: str, before: FrozenSet[str]) -> None:
        """Remember what the side's setup has made there, where `before` was."""
        made = (path for path in self.below(tree) - before if _state(tree, path) is not None)
        self.made[side] = {path: _sha256(os.path.join(tree, path)) for path in made}

    def unspoilt(self, tree: str, side: str, before: Surroundings, stage: str) -> None:
        """Nothing that a build did may change what measures it; `Failed` otherwise."""
        found = self.since(tree, before)
        if found.changed:
            problem = "tampered: the %s changed %s, which belongs to the evaluator" % (stage, found.changed[0])
            raise Failed(side, problem, conflict=True)
        self.added.setdefault(side, set()).update(found.added)
        for path, digest in self.made.get(side, {}).items():
            if _state(tree, path) is None or _sha256(os.path.join(tree, path)) != digest:
                self.remade.setdefault(side, set()).add(path)

    def alike(self) -> None:
        """Refuse a candidate whose build does what the base's does not: leaves other names beside the evaluator, or
        changes what the setup has made there."""
        for did, by in (("left %s beside the evaluator", self.added), ("changed %s of the evaluator", self.remade)):
            odd = sorted(by.get("B", set()) - by.get("A", set()))
            if odd:
                problem = "tampered: the build %s, the base's does not" % (did % odd[0])
                raise Failed("B", problem, conflict=True)

    def _names(self, tree: str) -> Set[str]:
        found: Set[str] = set()
        for folder in self.folders:
            try:
                names = os.listdir(os.path.join(tree, folder))
            except OSError:
                continue
            found.update(os.path.join(folder, name) for name in names if name != "__pycache__")
        return found


def _state(tree: str, path: str) -> _State:
    """Inode, size and times of a plain file that no link leads to; None where there is none."""
    at = tree
    parts = path.split("/")
    try:
        for part in parts[:-1]:
            at = os.path.join(at, part)
            if not stat.S_ISDIR(os.lstat(at).st_mode):
                return None
        found = os.lstat(os.path.join(at, parts[-1]))
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return (found.st_ino, found.st_size, found.st_mode, found.st_nlink, found.st_mtime_ns, found.st_ctime_ns)


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()
