"""What an experiment's copy holds, read as git objects, and put on another commit. The user's files are left alone.

A candidate is read from its worktree through a private index, so nothing that the agent staged, committed or
ignored there matters: only the difference between its files and its parent commit.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from autoresearch.errors import BadInput
from autoresearch.project import Project
from autoresearch.workspace.git import EXACT, GitError, git, run_git, toplevel
from autoresearch.workspace.objects import Change, changes_between, commit_tree, diff, move_ref, private_index

EXPERIMENT_REFS = "refs/autoresearch/exp"


@dataclass(frozen=True)
class Candidate:
    """What an experiment's worktree holds, as git objects."""

    experiment: str
    parent: str
    commit: str
    tree: str
    changes: tuple[Change, ...]
    diff_sha256: str
    lines_added: int
    lines_removed: int


class Conflict(Exception):
    """The candidate does not apply to the current best commit."""


def snapshot(project: Project, experiment: str, parent: str, overlaid: dict[str, str]) -> Candidate:
    """Read a candidate from its worktree as git objects.

    `overlaid` maps files that we put into the worktree (path from the repository's top) to their sha256: left as
    they are they do not count as changes; edited, they show up in `changes` and the evaluator refuses them.
    """
    where = project.worktree(experiment)
    if not (where / ".git").exists():
        raise BadInput(f"{experiment} has no worktree", next=f"autoresearch new {experiment}")
    own_index = Path(git(where, "rev-parse", "--git-path", "index"))
    with private_index(project, own_index if own_index.is_absolute() else where / own_index) as env:
        try:
            git(where, *EXACT, "add", "--all", "--", ".", env=env)
        except GitError as exc:
            raise BadInput(f"cannot read the files of {experiment}: {exc.said}") from None
        ours = [p for p, digest in overlaid.items() if _sha256(where / p) == digest]
        _restore_paths(where, parent, ours, env)
        tree = git(where, "write-tree", env=env)
    commit = commit_tree(project, tree, parent, f"autoresearch candidate {experiment}")
    move_ref(project, f"{EXPERIMENT_REFS}/{experiment}", commit)
    patch = diff(where, parent, tree)
    added, removed = _line_counts(where, parent, tree)
    return Candidate(
        experiment, parent, commit, tree, changes_between(where, parent, tree),
        hashlib.sha256(patch).hexdigest(), added, removed,
    )  # fmt: skip


def _restore_paths(where: Path, parent: str, paths: list[str], env: dict[str, str]) -> None:
    """Set index entries back to what `parent` has there, dropping those it has not."""
    for path in paths:
        entry = git(where, "ls-tree", parent, "--", path)
        if entry:
            mode, _, blob = entry.split("\t")[0].split(" ")
            git(where, "update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}", env=env)
        else:
            git(where, "update-index", "--force-remove", "--", path, env=env)


def _sha256(path: Path) -> str | None:
    if path.is_symlink() or not path.is_file():
        return None
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _line_counts(where: Path, old: str, new: str) -> tuple[int, int]:
    added = removed = 0
    for line in git(where, "diff-tree", "-r", "--numstat", "--no-renames", old, new).splitlines():
        plus, minus, *_ = line.split("\t")
        added += int(plus) if plus.isdigit() else 0
        removed += int(minus) if minus.isdigit() else 0
    return added, removed


def common_base(project: Project, candidate: Candidate, tip: str) -> str:
    """The newest commit that `tip` and the candidate share: what the candidate would add is relative to it."""
    return git(project.root, "merge-base", tip, candidate.commit)


def onto(project: Project, candidate: Candidate, tip: str) -> str:
    """The tree of the candidate's change applied to `tip`; raises `Conflict` where it does not fit.

    The change is the difference to the newest common ancestor of `tip` and the candidate, so a candidate that
    was opened from an older best commit, or from another experiment, is measured as what it would add to the tip.
    """
    base = common_base(project, candidate, tip)
    if base == tip:
        return candidate.tree
    patch = diff(project.root, base, candidate.tree)
    with private_index(project) as env:
        git(project.root, "read-tree", tip, env=env)
        if patch:
            try:
                run_git(
                    toplevel(project.root),
                    ["apply", "--cached", "--3way", "--whitespace=nowarn", "-"], env=env, stdin=patch,
                )  # fmt: skip
            except GitError as exc:
                raise Conflict(str(exc)) from None
        return git(project.root, "write-tree", env=env)


def export(project: Project, tree: str, to: Path) -> None:
    """Write a tree's files below `to`. Not `git archive`, which obeys export-ignore and export-subst.

    Filters of the repository's config are not run, except for Git LFS: one could write another program than the commit
    holds.
    """
    to.mkdir(parents=True, exist_ok=True)
    with private_index(project) as env:
        git(project.root, *EXACT, "read-tree", tree, env=env)
        plain = {**env, **_without_filters(project)}
        git(
            toplevel(project.root), *EXACT, "checkout-index", "--all", "--force", f"--prefix={to}/", env=plain
        )


def _without_filters(project: Project) -> dict[str, str]:
    """Environment in which no filter of a configuration has a command of its own."""
    try:
        names = git(project.root, "config", "-z", "--name-only", "--get-regexp", r"^filter\.").split("\0")
    except GitError:  # there is none
        return {}
    drivers = {name[len("filter.") :].rpartition(".")[0] for name in names if name}
    values = {}
    for driver in sorted(drivers):
        lfs = driver == "lfs"
        values[f"filter.{driver}.smudge"] = "git-lfs smudge -- %f" if lfs else ""
        values[f"filter.{driver}.process"] = "git-lfs filter-process" if lfs else ""
        values[f"filter.{driver}.required"] = "true" if lfs else "false"
    found = {"GIT_CONFIG_COUNT": str(len(values))}
    for number, (name, value) in enumerate(values.items()):
        found |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return found
