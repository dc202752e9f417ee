"""The frozen reference of a paired benchmark: the project's files as they are, copied in among the evaluator's."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from autoresearch.errors import BadInput
from autoresearch.files import write_atomic
from autoresearch.prepare.survey import Survey, survey
from autoresearch.project import EVALUATOR_FILES, SESSION_FILES, Project
from autoresearch.workspace.candidate import export
from autoresearch.workspace.git import git, places, resolve
from autoresearch.workspace.objects import prefix

# A copy goes into every tree that is measured.
MOST_FILES, MOST_BYTES = 2_000, 20_000_000
# What a benchmark's file says until the reference was timed on this machine (templates/cpu/evaluator/settings.py).
_UNMEASURED = re.compile(r"^(NOMINAL = )\S+(  # .*): not yet measured.*$", re.MULTILINE)
# Their test runners look through the whole tree and would find the copy's tests, too.
_SEARCHED = ("Python", "JavaScript", "TypeScript")


def tracked_files(root: Path) -> list[str]:
    """The project's own files: not the session's, nor what tools keep in hidden directories."""
    names = git(root, "ls-files", "-z").split("\0")
    return [
        name for name in names
        if name and name not in (*SESSION_FILES, *EVALUATOR_FILES) and not name.startswith(".")
    ]  # fmt: skip


def program_files(tracked: Iterable[str], found: Survey, home: str = "evaluator") -> list[str]:
    """Of the project's files, those that a copy of the program needs; `home` holds the evaluator's."""
    aside = set(found.test_files) if found.language in _SEARCHED else set()
    return [name for name in tracked if name not in aside and not name.startswith(f"{home}/")]


def unfit(tree: Path, names: Iterable[str]) -> str:
    """Why the files `names` of `tree` cannot be copied to stand beside the benchmark; empty when they can."""
    paths = [tree / name for name in names]
    if any(path.is_symlink() for path in paths):
        return "a link in the project cannot be frozen"
    sizes = [path.stat().st_size for path in paths if path.is_file()]
    if not sizes:
        return "there is no file to copy"
    if len(sizes) > MOST_FILES or sum(sizes) > MOST_BYTES:
        return f"{len(sizes)} files of {sum(sizes) / 1e6:.0f} MB are too much to copy into each tree"
    return ""


def lay(tree: Path, names: Iterable[str], to: Path) -> None:
    """Copy the files `names` of `tree` below `to`."""
    for name in names:
        if (tree / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(tree / name, to / name)


def copy_reference(root: Path, home: str = "evaluator", *, with_tests: bool = False) -> str:
    """Copy the program of the last commit to `home`/reference, unless something stands there; the reason if not."""
    to = root / home / "reference"
    if to.exists():
        return ""
    try:
        places(root)
    except BadInput as exc:
        return exc.message
    if resolve(root, "HEAD") is None:
        return "this repository has no commit yet"
    project, tracked = Project(root), tracked_files(root)
    with tempfile.TemporaryDirectory(prefix="autoresearch-reference-") as place:
        export(project, "HEAD", Path(place))
        tree, found = Path(place) / prefix(project), survey(root, tracked)
        names = program_files(tracked, replace(found, test_files=()) if with_tests else found, home)
        why = unfit(tree, names)
        if not why:
            lay(tree, names, to)
        return why


def set_nominal(root: Path, names: Iterable[str], seconds: float) -> str:
    """Write `seconds` into the evaluator's file that says they are not yet measured; its name, or nothing."""
    for name in names:
        path = root / name
        if not name.endswith(".py") or "/reference/" in name:
            continue
        text = path.read_text("utf-8", "replace")
        if _UNMEASURED.search(text):
            write_atomic(path, _UNMEASURED.sub(rf"\g<1>{seconds:.3g}\2", text).encode(), mode=0o644)
            return name
    return ""
