"""One root, every client: the manifests agree with each other and with the one SKILL.md."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from autoresearch import __version__

ROOT = Path(__file__).resolve().parents[1]


def load(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((ROOT / name).read_text(encoding="utf-8"))
    return data


@pytest.fixture(scope="module")
def skill() -> dict[str, Any]:
    head = (ROOT / "SKILL.md").read_text(encoding="utf-8").split("---\n")[1]
    data: dict[str, Any] = yaml.safe_load(head)
    return data


@pytest.fixture(scope="module")
def project() -> dict[str, str]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return dict(re.findall(r'^(name|version|description|license) = "(.*)"$', text, re.MULTILINE))


def test_every_version_is_pyprojects(skill: dict[str, Any], project: dict[str, str]) -> None:
    found = {
        "the package": __version__,
        "SKILL.md": skill["metadata"]["version"],
        "plugin.json": load(".claude-plugin/plugin.json")["version"],
        "package.json": load("package.json")["version"],
    }
    assert found == dict.fromkeys(found, project["version"])


def test_names_and_words_agree(skill: dict[str, Any], project: dict[str, str]) -> None:
    plugin, package = load(".claude-plugin/plugin.json"), load("package.json")
    assert plugin["name"] == skill["name"] == "autoresearch"
    assert package["name"] == project["name"]
    assert plugin["description"] == package["description"] == project["description"]
    assert plugin["license"] == package["license"] == project["license"] == skill["license"]


def test_the_skill_keeps_to_the_specification(skill: dict[str, Any]) -> None:
    """https://agentskills.io/specification: fields, lengths and the form of a name."""
    allowed = {"name", "description", "license", "compatibility", "metadata", "allowed-tools"}
    assert set(skill) <= allowed
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", skill["name"])
    assert len(skill["name"]) <= 64
    assert 0 < len(skill["description"]) < 1024
    assert len(skill["compatibility"]) <= 500
    assert all(isinstance(value, str) for value in skill["metadata"].values())
    assert len((ROOT / "SKILL.md").read_text(encoding="utf-8").splitlines()) < 200


def test_there_is_one_skill_file() -> None:
    listed = subprocess.run(["git", "ls-files", "*SKILL.md"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout: the files that belong to it cannot be listed")
    assert listed.stdout.split() == ["SKILL.md"]


def test_what_the_manifests_name_exists_and_travels() -> None:
    package, plugin = load("package.json"), load(".claude-plugin/plugin.json")
    shipped = re.search(r'^readonly SHIPPED="([^"]+)"', (ROOT / "setup.sh").read_text(), re.MULTILINE)
    assert shipped is not None
    travels = shipped[1].split()
    for name in [*package["pi"]["skills"], *package["pi"]["extensions"], *plugin["skills"]]:
        path = ROOT / name
        assert path.is_file() or (path / "SKILL.md").is_file(), name
        assert path == ROOT or path.relative_to(ROOT).parts[0] in travels, name
    assert {".claude-plugin", "hooks", "package.json"} <= set(travels)


def test_pi_gets_no_dependency_and_runs_no_script() -> None:
    package = load("package.json")
    assert not [key for key in package if "ependencies" in key or key in ("scripts", "bin", "main")]
    imports = re.findall(r'^import .* from "([^"]+)";$', (ROOT / "pi/autoresearch.ts").read_text(), re.MULTILINE)
    assert imports
    assert all(name.startswith("node:") for name in imports)


def test_every_hook_is_the_one_command_and_cannot_fail_its_client(tmp_path: Path) -> None:
    """A client takes exit 2 as a refusal: no hook may return it, with the command missing, old or broken."""
    events = load("hooks/hooks.json")["hooks"]
    assert set(events) == {"SessionStart", "PreToolUse", "PostToolUse", "Stop"}
    hooks = [hook for groups in events.values() for group in groups for hook in group["hooks"]]
    assert len({json.dumps(hook, sort_keys=True) for hook in hooks}) == 1
    line = hooks[0]["command"]
    home = tmp_path / "home"
    (home / ".local/bin").mkdir(parents=True)
    env = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    inside = tmp_path / "a project" / "src"
    inside.mkdir(parents=True)

    def fire(cwd: Path, **more: str) -> str:
        # More than a pipe holds: a client must not see its write fail, whoever reads it.
        event = "{}" + " " * 200_000
        done = subprocess.run(
            ["sh", "-c", line], cwd=cwd, env=env | more, capture_output=True, text=True, input=event, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    (inside.parent / "autoresearch.yaml").touch()
    assert fire(inside) == "", "the command is not installed"
    command = home / ".local/bin/autoresearch"
    command.write_text("#!/bin/sh\ncat >/dev/null; echo answered; exit 2\n")
    command.chmod(0o755)
    assert fire(inside) == "answered\n"
    assert fire(inside.parent) == "answered\n"
    # Without a session nothing is started that would cost a client time.
    assert fire(home) == ""
    assert fire(home, CLAUDE_PROJECT_DIR=str(inside)) == "answered\n"
    assert fire(Path("/")) == ""
