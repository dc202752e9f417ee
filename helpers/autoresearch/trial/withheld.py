"""Secrets of the evaluator: expected outputs, cases, held-out data, which the program's processes never find.

They are taken out of every tree before anything runs in it (set-up, build), and laid, for each benchmark and each
check, into a directory of a drawn name, which `AUTORESEARCH_SECRETS` names. The evaluator reads them and deletes the
directory before it starts anything of the candidate's; in any language, contained or not, as with the token of
`signing` (templates/worker.py does it). `left` says that it did not.
"""

from __future__ import annotations

import os
from typing import Dict, Tuple

from autoresearch.trial.places import remove

VARIABLE = "AUTORESEARCH_SECRETS"


class Withheld:
    """`paths` are files of the evaluator's, from the tree's top; the evaluator knows them from `subdir`."""

    def __init__(self, paths: Tuple[str, ...], subdir: str) -> None:
        self.paths = paths
        self._subdir = subdir
        self._kept: Dict[str, bytes] = {}  # alike on both sides: the evaluator is laid over each tree
        self._at = ""
        self.left = False

    def take(self, tree: str) -> None:
        """Out of a tree that was just unpacked."""
        for path in self.paths:
            at = os.path.join(tree, path)
            with open(at, "rb") as file:
                self._kept[path] = file.read()
            os.unlink(at)

    def lay(self, scratch: str) -> Dict[str, str]:
        """For the command that begins; what its environment gets."""
        if not self._kept:
            return {}
        self._at = os.path.join(scratch, os.urandom(6).hex())
        for path, content in self._kept.items():
            to = os.path.join(self._at, os.path.relpath(path, self._subdir) if self._subdir else path)
            os.makedirs(os.path.dirname(to), mode=0o700, exist_ok=True)
            with open(to, "wb") as file:
                file.write(content)
        return {VARIABLE: self._at}

    def gone(self) -> None:
        """The command has ended: what it left is taken away."""
        if self._at and os.path.lexists(self._at):
            self.left = True
            remove(self._at)
        self._at = ""
