"""Each client's own way to install the root: plugin, Pi package, `skills add`. And it goes again without a trace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from drive import PREFIX, ClientMissing, call, executable, run
from place import copy_source, git, tree

if not PREFIX:
    pytest.skip("AGENT_CLIENTS is not set: run bash setup.sh --test clients", allow_module_level=True)


@pytest.fixture(autouse=True)
def _installed(request: pytest.FixtureRequest) -> None:
    """Skip what an installation without all clients cannot show."""
    named = request.node.callspec.params.get("client") if hasattr(request.node, "callspec") else None
    try:
        for client in [named] if named else ["claude", "codex", "skills"]:
            executable(client)
    except ClientMissing as exc:
        pytest.skip(str(exc))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return copy_source(tmp_path / "source")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty repository: nothing but what the client itself adds."""
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init", "-q")
    return root


def finds_the_skill(client: str, project: Path, home: Path) -> None:
    turn = {"expect": {"seen": "Optimise a codebase by measured experiments"}, "text": "Seen."}
    result = run(client, project, home, [turn], "What can you do?")
    assert result.ok, result.explain()


def test_claude_code_finds_no_fault_in_the_plugin(source: Path, tmp_path: Path, project: Path) -> None:
    call("claude", tmp_path / "home", project, "plugin", "validate", "--strict", str(source))
    (source / ".claude-plugin/plugin.json").write_text('{"name": "autoresearch", "frobnicate": 1}')
    with pytest.raises(AssertionError):
        call("claude", tmp_path / "home", project, "plugin", "validate", "--strict", str(source))


def test_claude_code_installs_the_plugin_and_takes_it_back(source: Path, tmp_path: Path, project: Path) -> None:
    home = tmp_path / "home"
    call("claude", home, project, "plugin", "marketplace", "add", str(source))
    call("claude", home, project, "plugin", "install", "autoresearch@autoresearch")
    listed = json.loads(call("claude", home, project, "plugin", "list", "--json"))
    assert [p["id"] for p in listed if p["enabled"]] == ["autoresearch@autoresearch"]
    call("claude", home, project, "plugin", "uninstall", "autoresearch@autoresearch")
    assert json.loads(call("claude", home, project, "plugin", "list", "--json")) == []
    call("claude", home, project, "plugin", "marketplace", "remove", "autoresearch")
    assert list(tree(project)) == [name for name in tree(project) if name.startswith(".git/")]


@pytest.mark.parametrize("client", ["pi20", "pi"])
def test_pi_installs_the_package_and_takes_it_back(client: str, source: Path, tmp_path: Path, project: Path) -> None:
    home = tmp_path / "home"
    call(client, home, project, "install", str(source))
    finds_the_skill(client, project, home)
    call(client, home, project, "remove", str(source))
    settings = json.loads((home / ".pi/agent/settings.json").read_text())
    assert not settings.get("packages")
    assert tree(source) == tree(copy_source(tmp_path / "again"))


def test_skills_add_and_remove(source: Path, tmp_path: Path, project: Path) -> None:
    home = tmp_path / "home"
    call("skills", home, project, "add", str(source), "-y", "-a", "codex", "-a", "claude-code")
    assert (project / ".agents/skills/autoresearch/SKILL.md").read_bytes() == (source / "SKILL.md").read_bytes()
    assert (project / ".claude/skills/autoresearch/instructions.md").is_file()
    for client in ("codex", "claude"):
        finds_the_skill(client, project, home)
    call("skills", home, project, "remove", "autoresearch", "-y")
    assert not [name for name in tree(project) if "skills/" in name]
