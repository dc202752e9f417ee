"""Uncontained, a git of the measured program finds no repository above its tree, in no stage."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from autoresearch.workspace.git import git
from driver import Driver, commit_all

OFF = "contain: {mode: off}\n"
# What builds and checks of real projects do, each on what lies above them where they find it.
ACTS = ("git reset --hard -q", "git stash -u -q", "git checkout -q -- .", "git clean -fdxq", "git diff --exit-code",
        "git rev-parse --show-toplevel", "git -C .. reset --hard -q", "cd \"$HOME\" && git reset --hard -q",
        "cd \"$TMPDIR\" && git stash -u -q")  # fmt: skip


def acting(root: Path, stage: str) -> None:
    """Every stage goes on, whatever git says; one that finds a repository is seen by what it prints into the tree."""
    lines = "".join(f"({act}) >/dev/null 2>&1 && echo '{n}' >> found || true\n" for n, act in enumerate(ACTS))
    if stage == "build":
        (root / "build.sh").write_text(lines)
        config = (root / "autoresearch.yaml").read_text()
        old = next(line for line in config.splitlines() if line.startswith("build:"))
        (root / "autoresearch.yaml").write_text(config.replace(old, "build: bash build.sh"))
    else:
        path = (
            root / {"setup": "setup_deps.sh", "benchmark": "autoresearch.sh", "checks": "autoresearch.checks.sh"}[stage]
        )
        path.write_text((path.read_text() if path.exists() else "#!/bin/sh\n") + lines)
    last = root / "autoresearch.checks.sh"
    last.write_text(last.read_text() + "test ! -e found || { cat found; exit 1; }\n")


def dirty(root: Path) -> dict[str, str]:
    """The user is in the middle of something."""
    (root / "README.md").write_text("not committed\n")
    (root / "notes.txt").write_text("untracked\n")
    return {"status": git(root, "status", "--porcelain"), "readme": (root / "README.md").read_text(),
            "stash": git(root, "stash", "list"), "head": git(root, "rev-parse", "HEAD")}  # fmt: skip


def now(root: Path) -> dict[str, str]:
    return {"status": git(root, "status", "--porcelain"), "readme": (root / "README.md").read_text(),
            "stash": git(root, "stash", "list"), "head": git(root, "rev-parse", "HEAD")}  # fmt: skip


@pytest.mark.parametrize("stage", ["setup", "build", "benchmark", "checks"])
def test_git_finds_nothing_above_the_tree(fresh: Driver, stage: str) -> None:
    fresh.configure(OFF)
    acting(fresh.root, stage)
    commit_all(fresh.root)
    before = dirty(fresh.root)
    _, data = fresh("doctor", "--timeout", "60")
    assert not [f for f in data["findings"] if f["level"] == "fail"], data
    assert now(fresh.root) == before
    assert fresh.until_done("baseline", "--timeout", "20")[0] == 0
    fresh.open("e1")
    fresh.edit("e1", "1000", "700")
    assert fresh.measure("e1")[0] == 0
    found = now(fresh.root)
    assert {k: found[k] for k in ("readme", "stash", "head")} == {k: before[k] for k in ("readme", "stash", "head")}
    assert (fresh.root / "notes.txt").read_text() == "untracked\n"


def test_nor_in_a_plan(tmp_path: Path) -> None:
    root = tmp_path / "plain"
    (root / "src").mkdir(parents=True)
    (root / "src" / "main.py").write_text("print('hello')\n")
    subprocess.run(["git", "init", "-q", "-b", "main", str(root)], check=True)
    (root / "README.md").write_text("committed\n")
    commit_all(root)
    before = dirty(root)
    done = Driver(root).run(
        "init", "--plan", "--json", "--yes", "--benchmark", f"({ACTS[0]}; {ACTS[1]}; python3 src/main.py)"
    )
    assert "Traceback" not in done.stderr
    assert {k: now(root)[k] for k in ("readme", "stash", "head")} == {k: before[k] for k in ("readme", "stash", "head")}
    assert (root / "notes.txt").exists()
