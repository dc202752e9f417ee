"""The documents agree with the code: every command line parses, every table and version is the code's own."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
import yaml

from autoresearch import __version__
from autoresearch.cli import COMMANDS, group
from autoresearch.config import Config, parse_config
from autoresearch.errors import Exit
from story import REFERENCES

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("README.md", "SKILL.md", "instructions.md", *REFERENCES)
BLOCK = re.compile(r"^(?P<indent> *)```(?:console|bash)\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def shell_lines(name: str) -> Iterator[str]:
    """The command lines of a document's console and bash blocks, prompts removed."""
    for block in BLOCK.finditer(text(name)):
        for line in block["body"].splitlines():
            words = line.strip().removeprefix("$ ")
            if words:
                yield words


def autoresearch_lines() -> Iterator[Any]:
    for name in DOCUMENTS:
        for line in shell_lines(name):
            if line.startswith("autoresearch "):
                yield pytest.param(line, id=f"{name}: {line[:60]}")


def parse(command: click.Command, words: list[str], name: str = "autoresearch") -> None:
    """Parse `words` as the command would, down to the last subcommand, and run nothing. Raises on a misuse."""
    context = command.make_context(name, list(words), resilient_parsing=False)
    if isinstance(command, click.Group):
        # Click 8.1 calls these protected_args; later ones keep them in _protected_args.
        rest = [*context._protected_args, *context.args]
        child_name, child, rest = command.resolve_command(context, rest)
        assert child is not None
        parse(child, rest, str(child_name))


@pytest.mark.parametrize("line", [*autoresearch_lines()])
def test_every_command_line_in_the_documents_parses(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    parse(group, words)


@pytest.mark.parametrize("bad", ["decide e1 --force", "frobnicate", "wait --timeout soon", "ideas add"])
def test_the_check_above_can_fail(bad: str) -> None:
    with pytest.raises(click.UsageError):
        parse(group, shlex.split(bad))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_words_in_code_quotes_are_commands(name: str) -> None:
    """`autoresearch COMMAND` in running text names a command that exists."""
    for found in re.finditer(r"`autoresearch ([a-z]+)[^`]*`", text(name)):
        assert found[1] in COMMANDS, found[0]


def test_every_block_of_the_documents_is_read() -> None:
    for name in DOCUMENTS:
        fences = len(re.findall(r"^ *```(?:console|bash)$", text(name), re.MULTILINE))
        assert fences == len([*BLOCK.finditer(text(name))])
        assert fences > 0 or name in REFERENCES


def test_waits_fit_into_an_agents_shell() -> None:
    for name in ("SKILL.md", "instructions.md"):
        for line in shell_lines(name):
            words = shlex.split(line, comments=True)
            if words[:2] in (["autoresearch", "wait"], ["autoresearch", "ab"], ["autoresearch", "baseline"]):
                assert "--timeout 25" in line, line


def front_matter() -> dict[str, Any]:
    _, head, _ = text("SKILL.md").split("---\n", 2)
    data = yaml.safe_load(head)
    assert isinstance(data, dict)
    return data


def test_front_matter_follows_the_agent_skills_specification() -> None:
    head = front_matter()
    assert set(head) <= {"name", "description", "license", "compatibility", "metadata", "allowed-tools"}
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", head["name"])
    assert len(head["name"]) <= 64
    assert 0 < len(head["description"]) <= 1024
    assert "Use when" in head["description"]
    assert not re.search(r"[<>]", head["description"])
    assert 0 < len(head["compatibility"]) <= 500
    assert all(isinstance(value, str) for value in head["metadata"].values())


def test_the_skill_is_short_and_installed_under_its_name() -> None:
    assert len(text("SKILL.md").splitlines()) < 200
    assert f"skills/{front_matter()['name']}" in text("setup.sh")


def test_there_is_one_version() -> None:
    declared = re.search(r'^version = "(.+)"$', text("pyproject.toml"), re.MULTILINE)
    assert declared is not None
    assert declared[1] == __version__ == front_matter()["metadata"]["version"]
    newest = re.search(r"^## (\S+)$", text("CHANGELOG.md"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == __version__


@pytest.mark.parametrize("name", ["README.md", "SKILL.md"])
def test_the_exit_codes_are_the_codes_own(name: str) -> None:
    assert [int(n) for n in re.findall(r"^\| (\d) \|", text(name), re.MULTILINE)] == [int(code) for code in Exit]


def test_the_readme_lists_every_command_and_defends_every_dependency() -> None:
    rows = "\n".join(line for line in text("README.md").splitlines() if line.startswith("| "))
    for command in COMMANDS:
        assert f"`{command}`" in rows, command
    block = re.search(r"^dependencies = \[(.*?)\]", text("pyproject.toml"), re.MULTILINE | re.DOTALL)
    assert block is not None
    for package in re.findall(r'"([a-z]+)', block[1]):
        assert f"| {package} |" in rows, package


def test_links_lead_somewhere() -> None:
    pages = (path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))
    for name in (*DOCUMENTS, "CHANGELOG.md", "CONTRIBUTING.md", *pages):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text(name)):
            assert ((ROOT / name).parent / target).exists(), f"{name}: {target}"


@pytest.mark.parametrize("name", REFERENCES)
def test_a_playbook_is_short_and_somebody_sends_the_agent_there(name: str) -> None:
    assert len(text(name).splitlines()) < 120
    sent = [
        other for other in DOCUMENTS if other != name and re.search(rf"\]\((references/)?{name[11:]}\)", text(other))
    ]
    assert sent, f"no document links to {name}"


def keys(data: object) -> object:
    return {k: keys(v) for k, v in data.items()} if isinstance(data, dict) else None


def filled_template() -> str:
    """The template as `init` fills it, with values that stand out."""
    filled = text("templates/autoresearch.yaml")
    values = {"NAME": '"n"', "GOAL": '"g"', "METRIC": '"time_s"', "UNIT": '""', "DIRECTION": '"lower"',
              "SCOPE": '["src/**"]', "OFF_LIMITS": "[]",
              "EVALUATOR": "[]", "BUILD": '""'}  # fmt: skip
    for key, value in values.items():
        assert filled.count(f"@{key}@") == 1, key
        filled = filled.replace(f"@{key}@", value)
    assert "@" not in filled
    return filled


def test_the_config_template_has_every_key_and_no_other_default() -> None:
    config = parse_config(filled_template())
    assert keys(yaml.safe_load(filled_template())) == keys(msgspec.to_builtins(config))
    required = {"name": "n", "goal": "g", "objective": {"metric": "time_s"}, "scope": ["src/**"]}
    assert config == msgspec.convert(required, Config)


def test_every_config_key_is_explained() -> None:
    """A comment stands above each key; a mapping's first key may follow the mapping's own."""
    lines = text("templates/autoresearch.yaml").splitlines()
    unexplained = []
    for before, line in itertools.pairwise(lines):
        if re.match(r" *[a-z_]+:", line) and not before.strip().startswith("#"):
            unexplained.append(line.strip())
    # Sections without a comment of their own, and the keys that their section's comment explains together.
    grouped = {"objective:", "test:", "stop:", "setup: 900.0", "build: 600.0", "benchmark: 300.0",
               "checks: 600.0", "hours: null", "target: null", "min_gain_per_hour_pct: null"}  # fmt: skip
    assert set(unexplained) <= grouped


@pytest.mark.parametrize("name", ["autoresearch.sh", "autoresearch.checks.sh"])
def test_a_script_that_was_never_written_fails_with_a_sentence(name: str, tmp_path: Path) -> None:
    import subprocess

    script = ROOT / "templates" / name
    done = subprocess.run(["bash", str(script)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "still the template" in done.stderr
    assert done.stdout == ""


def test_the_lock_has_hashes_and_no_address() -> None:
    lock = text("requirements-dev.lock")
    assert "://" not in lock
    assert "index" not in lock
    requirements = [part for part in re.split(r"\n(?=\S)", lock) if not part.startswith("#")]
    assert len(requirements) > 20
    for requirement in requirements:
        assert "==" in requirement.split()[0]
        assert "--hash=sha256:" in requirement, requirement.split()[0]
