"""What an experiment's copy holds, read as git objects, and put on another commit. The user's files are left alone.

A candidate is read from its worktree through a private index, so nothing that the agent staged, committed or
ignored there matters: only the difference between its files and its parent commit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autoresearch.config import Diff
from autoresearch.errors import BadInput
from autoresearch.files import sha256_of
from autoresearch.project import Project
from autoresearch.workspace.copies import link
from autoresearch.workspace.git import EXACT, GitError, git, run_git
from autoresearch.workspace.intake import add_all, asked_of
from autoresearch.workspace.objects import (
    Change,
    changes_between,
    commit_tree,
    compare,
    config_values,
    diff,
    move_ref,
    places_of,
    private_index,
    settings_of,
)
from autoresearch.workspace.owner import candidates


@dataclass(frozen=True)
class Candidate:
    """What an experiment's worktree holds, as git objects.

    `added` is what it would add to `tip`: the difference to `base`, the newest commit that both share.
    """

    experiment: str
    parent: str
    commit: str
    tree: str
    changes: tuple[Change, ...]
    diff_sha256: str
    lines_added: int
    lines_removed: int
    patch: bytes = b""
    tip: str = ""
    base: str = ""
    added: tuple[Change, ...] = ()


class Conflict(Exception):
    """The candidate does not apply to the current best commit."""


def snapshot(
    project: Project, experiment: str, parent: str, overlaid: dict[str, str], tip: str = "", limits: Diff | None = None
) -> Candidate:
    """Read a candidate from its worktree as git objects.

    `overlaid` maps files that we put into the worktree (path from the repository's top) to their sha256: left as
    they are they do not count as changes; edited, they show up in `changes` and the evaluator refuses them. `tip` is
    what it is to be put on, `parent` if empty. Raises `IntegrityFault` for a diff beyond `limits`.
    """
    where = project.worktree(experiment)
    if not where.is_dir():
        raise BadInput(f"{experiment} has no worktree", fix="Open it again", next="autoresearch doctor --repair")
    admin = link(project, experiment, parent)
    with private_index(project, admin / "index") as index:
        env = {**index, **asked_of(project, admin, where)}
        add_all(where, env, limits, overlaid)
        ours = [p for p, digest in overlaid.items() if sha256_of(where / p) == digest]
        if ours:  # back to what `parent` has there, or has not
            git(where, "--literal-pathspecs", *EXACT, "reset", "--quiet", parent, "--", *ours, env=env)
        tree = git(where, "write-tree", env=env)
    commit = commit_tree(project, tree, parent, f"autoresearch candidate {experiment}")
    # In the copy it has a short name, for who reviews it there.
    seen = f"worktrees/{admin.name}/refs/worktree/candidate"
    move_ref(project, f"{candidates(project)}/{experiment}", commit, also=seen)
    found = compare(project, where, parent, tree)
    tip = tip or parent
    base = parent if parent == tip else git(project.root, "merge-base", tip, commit)
    return Candidate(
        experiment, parent, commit, tree, found.changes, hashlib.sha256(found.patch).hexdigest(),
        found.lines_added, found.lines_removed, found.patch, tip, base,
        found.changes if base == parent else changes_between(project.root, base, tree),
    )  # fmt: skip


def onto(project: Project, candidate: Candidate, tip: str) -> str:
    """The tree of the candidate's change applied to `tip`; raises `Conflict` where it does not fit.

    The change is the difference to the newest common ancestor of `tip` and the candidate, so a candidate that
    was opened from an older best commit, or from another experiment, is measured as what it would add to the tip.
    """
    base = candidate.base if candidate.tip == tip else git(project.root, "merge-base", tip, candidate.commit)
    if base == tip:
        return candidate.tree
    patch = diff(project.root, base, candidate.tree)
    with private_index(project) as env:
        git(project.root, "read-tree", tip, env=env)
        if patch:
            try:
                run_git(
                    places_of(project)[0],
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
    check_out(project, tree, to, _without_filters(project))


def check_out(project: Project, tree: str, to: Path, settings: Mapping[str, str] | None = None) -> None:
    """Write a tree's files below `to` by git's own way; `settings` are more of its environment."""
    with private_index(project) as env:
        git(project.root, *EXACT, "read-tree", tree, env=env)
        more = {**env, **(settings or {})}
        git(places_of(project)[0], *EXACT, "checkout-index", "--all", "--force", f"--prefix={to}/", env=more)


def _without_filters(project: Project) -> dict[str, str]:
    """Environment in which no filter of a configuration has a command of its own."""
    names = [name for name in settings_of(project) if name.startswith("filter.")]
    drivers = {name[len("filter.") :].rpartition(".")[0] for name in names}
    values = {}
    for driver in sorted(drivers):
        lfs = driver == "lfs"
        values[f"filter.{driver}.smudge"] = "git-lfs smudge -- %f" if lfs else ""
        values[f"filter.{driver}.process"] = "git-lfs filter-process" if lfs else ""
        values[f"filter.{driver}.required"] = "true" if lfs else "false"
    return config_values(values)
