"""Isolated copies and candidate diffs, on real repositories."""

from __future__ import annotations

import os
import subprocess
import zlib
from pathlib import Path

import pytest

from autoresearch.errors import BadInput, IntegrityFault
from autoresearch.files import sha256_of
from autoresearch.project import Project
from autoresearch.workspace import copies, objects
from autoresearch.workspace.branch import advance, commit_winner, create_branch
from autoresearch.workspace.candidate import Conflict, export, onto, snapshot
from autoresearch.workspace.git import commits, git, resolve
from driver import commit_all


def head(project: Project) -> str:
    commit = resolve(project.root, "HEAD")
    assert commit
    return commit


def files_of(project: Project, tree: str) -> set[str]:
    return set(git(project.root, "ls-tree", "-r", "--name-only", tree).splitlines())


def opened(project: Project, name: str = "e1") -> Path:
    project.state.mkdir(exist_ok=True)
    return copies.open_worktree(project, name, head(project))


def test_snapshot_sees_edits_however_the_agent_left_them(project: Project) -> None:
    where = opened(project)
    (where / "src" / "work.py").write_text("def steps(): return 1\n")
    (where / "src" / "new file é.py").write_text("X = 1\n")
    (where / "src" / "fixed.py").unlink()
    subprocess.run(["git", "add", "src/new file é.py"], cwd=where, check=True)
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "agent"], cwd=where, check=True
    )
    (where / "ignored.pyc").write_text("left alone")
    (where / "src" / "__pycache__").mkdir()
    (where / "src" / "__pycache__" / "work.pyc").write_text("generated")
    found = snapshot(project, "e1", head(project), {})
    assert {(c.path, c.kind) for c in found.changes} == {
        ("src/work.py", "M"), ("src/new file é.py", "A"), ("src/fixed.py", "D"), ("ignored.pyc", "A"),
    }  # fmt: skip
    assert (found.lines_added, found.lines_removed) == (3, 7)


def test_snapshot_leaves_the_worktrees_own_index_alone(project: Project) -> None:
    where = opened(project)
    (where / "src" / "work.py").write_text("def steps(): return 1\n")
    before = git(where, "status", "--porcelain")
    snapshot(project, "e1", head(project), {})
    assert git(where, "status", "--porcelain") == before


def test_equal_changes_have_equal_hashes_and_no_change_has_none(project: Project) -> None:
    opened(project, "e1")
    opened(project, "e2")
    nothing = snapshot(project, "e1", head(project), {})
    assert nothing.changes == ()
    for name in ("e1", "e2"):
        (project.worktree(name) / "src" / "work.py").write_text("def steps(): return 1\n")
    one, two = (snapshot(project, name, head(project), {}) for name in ("e1", "e2"))
    assert one.diff_sha256 == two.diff_sha256 != nothing.diff_sha256


def test_an_edit_of_equal_size_in_the_same_second_is_seen(project: Project) -> None:
    where = opened(project)
    for value in ("2000", "3000", "4000", "5000"):
        (where / "src" / "work.py").write_text((where / "src" / "work.py").read_text().replace("1000", value))
        found = snapshot(project, "e1", head(project), {})
        assert [c.path for c in found.changes] == ["src/work.py"], value
        subprocess.run(["git", "checkout", "-q", "src/work.py"], cwd=where, check=True)


def test_overlaid_files_count_only_when_edited(project: Project) -> None:
    where = opened(project)
    content = (project.root / "autoresearch.sh").read_bytes()
    (where / "autoresearch.sh").write_bytes(content)
    placed = {"autoresearch.sh": sha256_of(where / "autoresearch.sh") or ""}
    assert snapshot(project, "e1", head(project), placed).changes == ()
    (where / "autoresearch.sh").write_text("echo METRIC steps=1\n")
    assert [c.path for c in snapshot(project, "e1", head(project), placed).changes] == ["autoresearch.sh"]


def test_a_change_moves_onto_a_newer_tip(project: Project) -> None:
    where = opened(project)
    (where / "src" / "work.py").write_text((where / "src" / "work.py").read_text().replace("1000", "900"))
    candidate = snapshot(project, "e1", head(project), {})
    other = opened(project, "e2")
    (other / "src" / "added.py").write_text("Y = 2\n")
    winner = snapshot(project, "e2", head(project), {})
    tip = commit_winner(project, winner.tree, head(project), "winner")
    tree = onto(project, candidate, tip)
    assert "src/added.py" in files_of(project, tree)
    assert "return 900" in git(project.root, "show", f"{tree}:src/work.py")


def test_a_change_that_does_not_fit_the_tip_is_a_conflict(project: Project) -> None:
    for name, value in (("e1", "900"), ("e2", "800")):
        where = opened(project, name)
        (where / "src" / "work.py").write_text((where / "src" / "work.py").read_text().replace("1000", value))
    winner = snapshot(project, "e2", head(project), {})
    tip = commit_winner(project, winner.tree, head(project), "winner")
    with pytest.raises(Conflict):
        onto(project, snapshot(project, "e1", head(project), {}), tip)


def test_export_ignores_export_attributes(project: Project, tmp_path: Path) -> None:
    (project.root / ".gitattributes").write_text("src/fixed.py export-ignore\nsrc/work.py export-subst\n")
    subprocess.run(["git", "add", ".gitattributes"], cwd=project.root, check=True)
    tree = git(project.root, "write-tree")
    export(project, tree, tmp_path / "out dir")
    assert (tmp_path / "out dir" / "src" / "fixed.py").read_text() == "LIMIT = 1\n"


def test_the_users_tree_index_and_head_are_never_touched(project: Project) -> None:
    (project.root / "README.md").write_text("edited, not committed\n")
    (project.root / "src" / "draft.py").write_text("untracked\n")
    subprocess.run(["git", "add", "README.md"], cwd=project.root, check=True)
    (project.root / "README.md").write_text("edited again\n")
    before = (git(project.root, "status", "--porcelain=v2"), head(project), git(project.root, "stash", "list"))
    create_branch(project, "autoresearch/t", head(project))
    where = opened(project)
    (where / "src" / "work.py").write_text("def steps(): return 1\n")
    found = snapshot(project, "e1", head(project), {})
    commit = commit_winner(project, found.tree, head(project), "winner")
    advance(project, "autoresearch/t", commit, head(project))
    copies.close_worktree(project, "e1")
    after = [line for line in git(project.root, "status", "--porcelain=v2").splitlines() if ".autoresearch" not in line]
    assert ("\n".join(after), head(project), git(project.root, "stash", "list")) == before
    assert not where.exists()


def test_a_checked_out_session_branch_is_not_moved(project: Project) -> None:
    subprocess.run(["git", "switch", "-qc", "autoresearch/t"], cwd=project.root, check=True)
    with pytest.raises(IntegrityFault, match="checked out"):
        advance(project, "autoresearch/t", head(project), head(project))


def test_a_branch_moved_by_somebody_else_is_not_overwritten(project: Project) -> None:
    create_branch(project, "autoresearch/t", head(project))
    with pytest.raises(IntegrityFault, match="somebody else"):
        advance(project, "autoresearch/t", head(project), "1" * 40)


def test_git_hooks_do_not_run(project: Project, tmp_path: Path) -> None:
    mark = tmp_path / "hook-ran"
    for name in ("pre-commit", "post-checkout", "reference-transaction", "post-commit"):
        hook = project.root / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch '{mark}'\nexit 1\n")
        hook.chmod(0o755)
    where = opened(project)
    (where / "src" / "work.py").write_text("def steps(): return 1\n")
    found = snapshot(project, "e1", head(project), {})
    commit_winner(project, found.tree, head(project), "winner")
    assert not mark.exists()


def test_works_without_a_git_identity(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMAIL", "")
    opened(project)
    found = snapshot(project, "e1", head(project), {})
    assert git(project.root, "show", "-s", "--format=%cn", found.commit) == "autoresearch"


def test_a_subdirectory_of_a_repository_is_a_project_too(tmp_path: Path, project: Project) -> None:
    inner = Project(project.root / "src")
    assert objects.prefix(project) == ""
    assert objects.prefix(inner) == "src/"


def test_outside_a_repository_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="git work tree"):
        objects.prefix(Project(tmp_path))


def test_a_foreign_git_environment_does_not_mislead(project: Project, tmp_path: Path) -> None:
    other = tmp_path / "other"
    subprocess.run(["git", "init", "-q", str(other)], check=True)
    os.environ["GIT_DIR"] = str(other / ".git")
    try:
        assert resolve(project.root, "HEAD") is not None
    finally:
        del os.environ["GIT_DIR"]


def test_a_copy_with_a_repository_of_its_own_cannot_hide_a_change(project: Project) -> None:
    where = opened(project)
    (where / "src" / "work.py").write_text("def steps(): return 1\n")
    honest = snapshot(project, "e1", head(project), {})
    assert [c.path for c in honest.changes] == ["src/work.py"]
    (where / ".git").unlink()
    subprocess.run(["git", "init", "-q"], cwd=where, check=True)
    objects_there = where / ".git" / "objects"
    (objects_there / "info").mkdir(exist_ok=True)
    (objects_there / "info" / "alternates").write_text(f"{project.root / '.git' / 'objects'}\n")
    # Under the name of the changed tree, this repository holds the unchanged one.
    old = subprocess.run(
        ["git", "cat-file", "tree", f"{head(project)}^{{tree}}"], cwd=project.root, capture_output=True, check=True
    ).stdout
    forged = objects_there / honest.tree[:2] / honest.tree[2:]
    forged.parent.mkdir()
    forged.write_bytes(zlib.compress(b"tree %d\0" % len(old) + old))
    assert git(where, "diff-tree", "-r", "--name-only", head(project), honest.tree) == ""
    found = snapshot(project, "e1", head(project), {})
    assert (found.tree, found.changes, found.diff_sha256) == (honest.tree, honest.changes, honest.diff_sha256)


def test_a_copy_cannot_hide_the_change_of_a_submodule(project: Project) -> None:
    def index(where: Path, *args: str) -> None:
        subprocess.run(["git", "update-index", *args], cwd=where, check=True)

    (project.root / ".gitmodules").write_text('[submodule "sub"]\n\tpath = sub\n\turl = ./sub\n')
    (project.root / "sub").mkdir()
    index(project.root, "--add", "--cacheinfo", f"160000,{head(project)},sub")
    commit_all(project.root)
    where = opened(project)
    index(where, "--assume-unchanged", ".gitmodules")
    (where / ".gitmodules").write_text('[submodule "sub"]\n\tpath = sub\n\turl = ./sub\n\tignore = all\n')
    index(where, "--cacheinfo", f"160000,{head(project)},sub")
    assert [c.path for c in snapshot(project, "e1", head(project), {}).changes] == ["sub"]


def test_commits_are_read_at_once_and_one_that_is_broken_hides_no_other(project: Project) -> None:
    tip = head(project)
    broken = commit_winner(project, f"{tip}^{{tree}}", tip, "winner")
    blob = git(project.root, "rev-parse", "HEAD:README.md")
    asked = ["refs/heads/main", "refs/heads/none", blob, broken, "refs/heads/a\nb", tip]
    before = commits(project.root, asked)
    assert [found and found[0] for found in before] == [tip, None, None, broken, None, tip]
    assert before[3] is not None
    assert f"\nparent {tip}\n" in before[3][1]
    assert before[3][1].endswith("\n\nwinner")
    loose = project.root / ".git" / "objects" / broken[:2] / broken[2:]
    loose.chmod(0o644)
    loose.write_bytes(b"not an object")
    assert commits(project.root, asked) == [before[0], None, None, None, None, before[0]]
