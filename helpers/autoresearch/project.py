"""Where things are in a target project. Only paths; no file is opened here, so that a hook starts fast."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# A copy of peers/formats.py, which `metric --from FORMAT` of the benchmark runs.
READER = "autoresearch.formats.py"
EVALUATOR_FILES = ("autoresearch.sh", "autoresearch.checks.sh", "setup_deps.sh", "autoresearch.diff.sh", READER)
# Files a session owns at the project's top: never part of a candidate's diff.
SESSION_FILES = (
    "autoresearch.yaml",
    "autoresearch.jsonl",
    "autoresearch.md",
    "autoresearch.ideas.md",
    "autoresearch.svg",
    "autoresearch.png",
    "IMPROVEMENTS.md",
    "experiment.yaml",
    "instructions.md",
)


# pi-autoresearch's newer layout: every file of a session in one directory.
AUTO = ".auto"
AUTO_FILES = ("log.jsonl", "prompt.md", "ideas.md", "measure.sh", "checks.sh", "config.json")
# Directories that a session owns: never part of a candidate's diff either, as what is in them runs on this machine.
SESSION_DIRS = (AUTO, "autoresearch.hooks")

# What makes a directory the top of a session, ours or a peer's.
MARKS = ("autoresearch.yaml", "autoresearch.jsonl", ".auto/log.jsonl")


def session_root(start: Path, marks: tuple[str, ...] = MARKS) -> Path | None:
    """The nearest directory, from `start` upwards, that holds one of `marks`.

    Inside an experiment's worktree, which holds copies of them, it is the session that opened the worktree.
    """
    here = start.resolve()
    places = (here, *here.parents)
    opened = (p.parents[1] for p in places if p.name == "worktrees" and p.parent.name == ".autoresearch")
    for place in (*opened, *places):
        if any((place / mark).exists() for mark in marks):
            return place
    return None


@dataclass(frozen=True)
class Project:
    """A target project, by its top directory (the one that holds `autoresearch.yaml`)."""

    root: Path
    # What was asked about it once, such as where its repository is: an object lives as long as its command.
    facts: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def auto(self) -> bool:
        """Whether the session lives in `.auto/`: pi-autoresearch began it there, and its reader looks nowhere else.

        A ledger decides; where there is none yet, any of its session files does.
        """
        auto = self.root / AUTO
        if (auto / "log.jsonl").exists():
            return True
        if (self.root / "autoresearch.jsonl").exists():
            return False
        return any((auto / name).exists() for name in AUTO_FILES)

    def _at(self, auto: str, flat: str) -> Path:
        return self.root / AUTO / auto if self.auto else self.root / flat

    @property
    def ledger(self) -> Path:
        return self._at("log.jsonl", "autoresearch.jsonl")

    @property
    def document(self) -> Path:
        return self._at("prompt.md", "autoresearch.md")

    @property
    def improvements(self) -> Path:
        return self.root / "IMPROVEMENTS.md"

    @property
    def ideas(self) -> Path:
        return self._at("ideas.md", "autoresearch.ideas.md")

    @property
    def chart(self) -> Path:
        return self.root / "autoresearch.svg"

    @property
    def papers(self) -> Path:
        return self.root / "papers"

    @property
    def task(self) -> Path:
        return self.root / "experiment.yaml"

    @property
    def state(self) -> Path:
        """Everything that helpers keep, ignored by git by a `.gitignore` of its own."""
        return self.root / ".autoresearch"

    @property
    def pin(self) -> Path:
        """Pristine copies of the evaluator files."""
        return self.state / "pin"

    @property
    def hidden(self) -> Path:
        """Checks that no worktree ever holds, unless the config names another place."""
        return self.state / "hidden"

    @property
    def worktrees(self) -> Path:
        return self.state / "worktrees"

    @property
    def jobs(self) -> Path:
        return self.state / "jobs"

    @property
    def patches(self) -> Path:
        return self.state / "patches"

    @property
    def lock(self) -> Path:
        return self.state / "lock"

    def worktree(self, experiment: str) -> Path:
        return self.worktrees / experiment
