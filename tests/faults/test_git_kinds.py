"""Kinds of repositories, from the baseline on: shallow, partial, sparse, linked, filtered, huge, oddly named."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fault_session import GIT_IDENTITY, SCRIPT, Place, a_place, drive, edit, git, make_project, preload

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

FULL = os.environ.get("AUTORESEARCH_FAULTS") == "full"
STEP = {step.name: step for step in SCRIPT}


def _shallow(origin: Path, to: Path) -> None:
    git(origin.parent, "clone", "-q", "--depth=1", f"file://{origin}", str(to))


def _partial(origin: Path, to: Path) -> None:
    git(origin, "config", "uploadpack.allowFilter", "true")
    git(origin, "config", "uploadpack.allowAnySHA1InWant", "true")
    git(origin.parent, "clone", "-q", "--filter=blob:none", f"file://{origin}", str(to))


def _sparse(origin: Path, to: Path) -> None:
    git(origin.parent, "clone", "-q", "--sparse", str(origin), str(to))
    git(to, "sparse-checkout", "set", "docs")


def _alternates(origin: Path, to: Path) -> None:
    git(origin.parent, "clone", "-q", "--shared", str(origin), str(to))


def _linked(origin: Path, to: Path) -> None:
    git(origin, "worktree", "add", "-q", "-b", "mine", str(to))


def _of_a_bare_one(origin: Path, to: Path) -> None:
    bare = origin.with_name("bare.git")
    git(origin.parent, "clone", "-q", "--bare", str(origin), str(bare))
    git(bare, "worktree", "add", "-q", "-b", "mine", str(to))


def _filtered(origin: Path, to: Path) -> None:
    """A filter: what git stores is not what the files hold. Only Git LFS is run, and it may not be installed here."""
    git(origin.parent, "clone", "-q", str(origin), str(to))
    for key, value in (("clean", "tr a-z A-Z"), ("smudge", "tr A-Z a-z"), ("required", "true")):
        git(to, "config", f"filter.upper.{key}", value)
    (to / ".gitattributes").write_text("*.txt filter=upper\n")
    (to / "big.txt").write_text("large file\n")
    git(to, "add", "-A")
    git(to, *GIT_IDENTITY, "commit", "-q", "-m", "large files")


def _huge(origin: Path, to: Path) -> None:
    git(origin.parent, "clone", "-q", str(origin), str(to))
    for folder in range(40):
        (to / "data" / str(folder)).mkdir(parents=True)
        for number in range(250):
            (to / "data" / str(folder) / f"{number}.txt").write_text(f"{folder} {number}\n")
    git(to, "add", "-A")
    git(to, *GIT_IDENTITY, "commit", "-q", "-m", "ten thousand files")


KINDS = (_shallow, _partial, _sparse, _alternates, _linked, _of_a_bare_one, _filtered, _huge)


@pytest.mark.parametrize("kind", KINDS if FULL else (_filtered,), ids=lambda kind: kind.__name__.strip("_"))
def test_a_session_in_another_kind_of_repository(kind: Callable[[Path, Path], None]) -> None:
    with _elsewhere(kind, "project") as place:
        _a_short_session(place)


def test_a_session_at_a_path_with_blanks_and_line_breaks() -> None:
    with _elsewhere(_alternates, "my project\n名 'x' $(y)") as place:
        _a_short_session(place)


@contextlib.contextmanager
def _elsewhere(kind: Callable[[Path, Path], None], name: str) -> Iterator[Place]:
    """A place whose project is another kind of copy of the usual one."""
    preload()
    with a_place() as place:
        origin = place.base / "origin"
        make_project(origin)
        (origin / "docs").mkdir()
        (origin / "docs" / "read.me").write_text("docs\n")
        git(origin, "add", "docs")
        git(origin, *GIT_IDENTITY, "commit", "-q", "-m", "docs")
        shutil.rmtree(place.root)
        place.name = name
        kind(origin, place.root)
        (place.root / "notes.txt").write_text("untracked\n")
        yield place


def _a_short_session(place: Place) -> None:
    from fault_session import write_evaluator

    if not (place.root / "README.md").exists():  # a sparse checkout
        (place.root / "docs" / "read.me").write_text("edited\n")
    write_evaluator(place)
    shutil.copy(Path(__file__).resolve().parents[2] / "experiment.yaml", place.root / "experiment.yaml")
    before = _user(place)
    done = drive(place, STEP["baseline"])
    assert done.code == 0, done
    done = place.run("new", "e1", "--hypothesis", "counting less takes fewer steps")
    assert done.code == 0, done
    edit("e1", "1000", "900")(place)
    done = drive(place, STEP["ab"])
    assert done.code == 0, done
    done = drive(place, STEP["keep"])
    assert done.code == 0, done
    assert "return 900" in git(place.root, "show", "autoresearch/t:src/work.py")
    assert git(place.root, "diff", "--name-only", "HEAD", "autoresearch/t").split() == ["src/work.py"]
    assert _user(place) == before
    done = place.run("doctor", "--repair")
    assert (done.code, done.data["left"]) == (0, []), done


def _user(place: Place) -> dict[str, object]:
    """As `users_work`, for copies that may lack some of the usual files."""
    root = place.root
    index = Path(git(root, "rev-parse", "--path-format=absolute", "--git-path", "index").removesuffix("\n"))
    return {
        "HEAD": git(root, "rev-parse", "--symbolic-full-name", "HEAD"),
        "index": (index.read_bytes(), index.stat().st_mtime_ns),
        "status": git(root, "status", "--porcelain=v2", "--untracked-files=no"),
        "refs": [line for line in git(root, "for-each-ref").splitlines() if "autoresearch" not in line],
        "files": {
            str(p.relative_to(root)): (p.read_bytes(), p.stat().st_mtime_ns)
            for p in sorted(root.rglob("*"))
            if p.is_file() and ".git" not in p.parts and "autoresearch" not in str(p.relative_to(root))
            and p.name != "IMPROVEMENTS.md"
        },
    }  # fmt: skip
