"""Runs git without its surprises: no hooks, no prompts, no pager, no user's diff drivers."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from autoresearch.errors import AutoresearchError, BadInput, EnvironmentMissing, Exit
from autoresearch.safetext import one_line

_QUIET = [
    "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false",
    "-c", "submodule.recurse=false", "-c", "i18n.commitEncoding=UTF-8", "-c", "commit.gpgSign=false",
    # The ledger names commits: after a power cut they must be there, too (from git 2.36 on).
    "-c", "core.fsync=objects,reference", "-c", "core.filesRefLockTimeout=2000",
]  # fmt: skip
# For trees of our own: the bytes of the commit, whatever the user's checkout makes of them.
EXACT = (
    "-c", "core.autocrlf=false", "-c", "core.safecrlf=false", "-c", "core.sparseCheckout=false",
    "-c", "index.sparse=false",
)  # fmt: skip
# Used only where the user has set no identity, so that an overnight run does not die for want of a name.
IDENTITY = {
    "GIT_AUTHOR_NAME": "autoresearch",
    "GIT_AUTHOR_EMAIL": "autoresearch@localhost",
    "GIT_COMMITTER_NAME": "autoresearch",
    "GIT_COMMITTER_EMAIL": "autoresearch@localhost",
}
# Variables by which a caller (a git hook, say) would point our git at another repository, or change its answers.
_FOREIGN = frozenset(
    ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX",
     "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_QUARANTINE_PATH", "GIT_GRAFT_FILE",
     "GIT_SHALLOW_FILE", "GIT_IMPLICIT_WORK_TREE", "GIT_INTERNAL_SUPER_PREFIX", "GIT_NO_REPLACE_OBJECTS",
     "GIT_REPLACE_REF_BASE", "GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS",
     "GIT_ICASE_PATHSPECS", "GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS", "GIT_ATTR_SOURCE", "GIT_DEFAULT_HASH")
)  # fmt: skip


_DISK = ("No space left on device", "Out of diskspace", "Disk quota exceeded", "Read-only file system")


class GitError(AutoresearchError):
    """git answered no; the message holds what it said. Where nobody expects it, it is the environment's fault."""

    code = Exit.ENVIRONMENT

    def __init__(self, args: Sequence[str], status: int, stderr: str) -> None:
        self.said = one_line(stderr, 400) or f"exit status {status}"
        words = [word for word in args if word not in EXACT]
        super().__init__(f"git {' '.join(words[:2])} failed: {self.said}")


def run_git(
    where: Path, args: Sequence[str], *, env: Mapping[str, str] | None = None, stdin: bytes | None = None,
    patience: float | None = None,
) -> bytes:  # fmt: skip
    """Standard output of `git -C where args…`; raises `GitError` on a non-zero exit, or after `patience` seconds."""
    full = {k: v for k, v in os.environ.items() if k not in _FOREIGN}
    full.update({"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C", "GIT_PAGER": "cat"})
    # An object is what its name says, whatever `git replace` has been told.
    full["GIT_NO_REPLACE_OBJECTS"] = "1"
    full.update(env or {})
    try:
        done = subprocess.run(
            ["git", "-C", str(where), *_QUIET, *args],
            input=stdin if stdin is not None else b"",
            capture_output=True,
            env=full,
            check=False,
            timeout=patience,
        )
    except subprocess.TimeoutExpired:
        raise GitError(args, -1, f"no end after {patience:.0f} s") from None
    except FileNotFoundError:
        raise EnvironmentMissing("git is not installed", fix="Install git 2.32 or newer") from None
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace")
        if any(words in said for words in _DISK):
            # No other reading of git's answer: nobody may take a full disk for a candidate's fault.
            raise EnvironmentMissing(
                f"git cannot write to the disk of {where}: {one_line(said, 300)}", fix="Make room, and repeat"
            )
        raise GitError(args, done.returncode, said)
    return done.stdout


def git(where: Path, *args: str, env: Mapping[str, str] | None = None, stdin: bytes | None = None) -> str:
    """Like `run_git`, as text without its final newline (a path may end with a blank)."""
    return run_git(where, args, env=env, stdin=stdin).decode("utf-8", "surrogateescape").removesuffix("\n")


def places(where: Path) -> tuple[Path, Path, Path]:
    """Top directory of the work tree that holds `where`, and git's directories: that all its work trees share, and
    the one of its own."""
    # Between them a line of another kind, as each may hold line breaks.
    between = "--is-inside-work-tree"
    asked = ("--show-toplevel", between, "--git-common-dir", between, "--git-dir")
    try:
        said = git(where, "rev-parse", "--path-format=absolute", *asked)
    except GitError as exc:
        if "dubious ownership" in exc.said or "safe.directory" in exc.said:
            raise EnvironmentMissing(
                f"{where} belongs to another user, so git refuses it",
                fix=f"If you trust it: git config --global --add safe.directory {where}",
            ) from None
        if "must be run in a work tree" in exc.said:
            raise BadInput(
                f"{where} is in a bare repository, which has no files to measure",
                fix="Work in a checkout of it: git worktree add ../checkout, and start there",
            ) from None
        raise BadInput(
            f"{where} is not inside a git work tree",
            fix="autoresearch keeps winners as commits. Run git init && git add -A && git commit first",
        ) from None
    top, common, own = said.split("\ntrue\n", 2)
    return Path(top), Path(common), Path(own)


# What git writes into its directory while an operation waits for the user: (name, operation, how it ends).
_IN_PROGRESS = (
    ("rebase-merge", "a rebase", "git rebase --continue, or --abort"),
    ("rebase-apply", "a rebase or git am", "git rebase --continue, or --abort"),
    ("MERGE_HEAD", "a merge", "git merge --continue, or --abort"),
    ("CHERRY_PICK_HEAD", "a cherry-pick", "git cherry-pick --continue, or --abort"),
    ("REVERT_HEAD", "a revert", "git revert --continue, or --abort"),
    ("BISECT_LOG", "a bisect", "git bisect reset"),
)


def in_progress(where: Path) -> tuple[str, str] | None:
    """The operation that the user is in the middle of, and the command that ends it."""
    own = Path(git(where, "rev-parse", "--absolute-git-dir"))
    return next(((name, end) for file, name, end in _IN_PROGRESS if (own / file).exists()), None)


def resolve(where: Path, rev: str) -> str | None:
    """Full commit id of a revision, None where there is no such commit; `GitError` for a broken git configuration."""
    try:
        return git(where, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}")
    except GitError as exc:
        if "config" in exc.said:  # --quiet says nothing of a missing commit: this is a file that git cannot read
            raise
        return None


def commits(where: Path, revs: Sequence[str]) -> list[tuple[str, str] | None]:
    """Full id and text of each revision's commit, None where there is no such commit; one process for all."""
    asked = [rev for rev in revs if "\n" not in rev]
    lines = "".join(f"{rev}^{{commit}}\n" for rev in asked)
    try:
        left = run_git(where, ["cat-file", "--batch"], stdin=lines.encode("utf-8", "surrogateescape"))
    except GitError as exc:
        if "config" in exc.said:
            raise
        # One object that git cannot read ends its answer for all.
        return [None] if len(revs) == 1 else [commits(where, [rev])[0] for rev in revs]
    found: dict[str, tuple[str, str]] = {}
    for rev in asked:
        head, _, left = left.partition(b"\n")
        if head.endswith(b" missing"):
            continue
        name, _, size = head.decode("ascii").split(" ")
        found[rev] = name, left[: int(size)].decode("utf-8", "surrogateescape")
        left = left[int(size) + 1 :]
    return [found.get(rev) for rev in revs]


def identity(where: Path) -> dict[str, str]:
    """Environment that gives git a committer: empty where the user has one."""
    with contextlib.suppress(GitError):
        git(where, "var", "GIT_COMMITTER_IDENT")
        git(where, "var", "GIT_AUTHOR_IDENT")
        # git invents user@host when nothing is set; only a configured or exported identity counts.
        if os.environ.get("GIT_COMMITTER_EMAIL") or git(where, "config", "user.email"):
            return {}
    return dict(IDENTITY)


def version() -> tuple[int, int]:
    """git's (major, minor)."""
    words = git(Path.cwd(), "version").split()
    try:
        major, minor = words[2].split(".")[:2]
        return int(major), int(minor)
    except (IndexError, ValueError):
        return (0, 0)
