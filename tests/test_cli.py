"""What every command promises: an example, --json, exit codes, one sentence on wrong use."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from autoresearch.cli import COMMANDS
from autoresearch.errors import Exit
from driver import Run

LEAVES_BY_DESIGN = {"ideas", "papers"}  # groups: their subcommands carry the promises


def leaves() -> Iterator[tuple[str, click.Command]]:
    for name in COMMANDS:
        command = importlib.import_module(f"autoresearch.cli.{name}").command
        if isinstance(command, click.Group):
            assert name in LEAVES_BY_DESIGN
            yield from ((f"{name} {sub}", found) for sub, found in command.commands.items())
        else:
            yield name, command


@pytest.mark.parametrize(("name", "command"), list(leaves()), ids=lambda x: x if isinstance(x, str) else "")
def test_every_command_has_an_example_and_json(name: str, command: click.Command) -> None:
    assert "Example" in (command.help or ""), name
    assert f"autoresearch {name}" in (command.help or ""), name
    if name == "hook":
        return  # JSON in and out by its protocol
    assert "--json" in {option for parameter in command.params for option in parameter.opts}, name


def test_help_lists_every_command_without_importing_one() -> None:
    script = (
        "import sys; from autoresearch.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted(m for m in sys.modules if m.startswith(('autoresearch', 'yaml', 'msgspec', 'matplotlib'))))"
    )
    helpers = Path(__file__).parents[1] / "helpers"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(helpers)}
    )
    assert all(name in done.stdout for name in COMMANDS)
    modules = set(done.stdout.splitlines()[-1].strip("[]").replace("'", "").split(", "))
    light = {"cli._output", "notices", "safetext"}  # what fits lines to the terminal
    assert modules == {"autoresearch", *(f"autoresearch.{name}" for name in {"cli", "errors", *light})}


def test_help_of_no_command_imports_more_than_click_and_words() -> None:
    """So that `--help` costs the same everywhere: a command imports what it works with when it is called."""
    script = (
        "import json, sys, click; seen = set(sys.modules)\n"
        "from autoresearch.cli import main\n"
        "found = {}\n"
        "for name in json.loads(sys.argv[1]):\n"
        "    try: main([*name.split(), '--help'])\n"
        "    except SystemExit as end: assert not end.code, name\n"
        "    found[name] = sorted(set(sys.modules) - seen); seen |= set(sys.modules)\n"
        "print(json.dumps(found))"
    )
    names = [*COMMANDS, *(name for name, _ in leaves())]
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(names)],
        capture_output=True, text=True, check=True, env={"PYTHONPATH": str(Path(__file__).parents[1] / "helpers")},
    )  # fmt: skip
    light = {"autoresearch", "autoresearch.cli", "autoresearch.errors", "autoresearch.safetext", "autoresearch.notices"}
    # Packages whose `__init__` holds words and no more: of ideas, of verdicts, the server's variable.
    light |= {f"autoresearch.{name}" for name in ("search", "search.ideas", "search.papers", "verdict")}
    light |= {f"autoresearch.cli.{name}" for name in (*COMMANDS, "_output", "_fit")}
    heavy = {"tempfile", "statistics", "difflib", "subprocess", "asyncio"}
    for name, modules in json.loads(done.stdout.splitlines()[-1]).items():
        other = {m for m in modules if m.split(".")[0] not in sys.stdlib_module_names or m in heavy} - light
        assert not other, (name, other)


def test_a_misspelt_command_is_answered_with_the_right_one(autoresearch: Run) -> None:
    done = autoresearch("statsu")
    assert done.returncode == Exit.USAGE
    assert "Did you mean 'status'?" in done.stderr


def test_no_session_is_one_sentence_and_a_next_step(autoresearch: Run, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    done = autoresearch("status", "--json", cwd=empty)
    assert done.returncode == Exit.USAGE
    assert json.loads(done.stdout)["next"].startswith("autoresearch init")
    assert "Traceback" not in done.stderr


def test_the_directory_option(autoresearch: Run, project: object, tmp_path: Path) -> None:
    root = project.root  # type: ignore[attr-defined]
    assert autoresearch("-C", str(root), "status", cwd=tmp_path).returncode == 0
    assert autoresearch("-C", str(tmp_path / "nowhere"), "status").returncode == Exit.USAGE


def test_init_scaffolds_keeps_the_users_files_and_backs_up(autoresearch: Run, tmp_path: Path) -> None:
    root = tmp_path / "my project"
    root.mkdir()
    (root / "autoresearch.sh").write_text("echo mine\n")
    arguments = ("init", "--goal", 'say "hi" & <b>', "--scope", "src/**", "--build", "make -j2", "--json")
    done = autoresearch(*arguments, cwd=root)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert {"autoresearch.yaml", "autoresearch.checks.sh", "experiment.yaml"} <= set(told["written"])
    assert told["left"] == ["autoresearch.sh"]
    assert (root / "autoresearch.sh").read_text() == "echo mine\n"
    from autoresearch.config import load_config

    config = load_config(root)
    assert (config.name, config.goal, config.build) == ("my-project", 'say "hi" & <b>', "make -j2")
    (root / "experiment.yaml").unlink()
    again = json.loads(autoresearch(*arguments, cwd=root).stdout)
    assert again["written"][0] == "experiment.yaml"  # as after a kill in the middle
    other = (*arguments, "--metric", "ops")
    assert autoresearch(*other, cwd=root).returncode == Exit.USAGE
    assert autoresearch(*other, "--force", cwd=root).returncode == 0
    assert (root / "autoresearch.yaml.bak-1").exists()


def test_ab_of_two_commands(autoresearch: Run, tmp_path: Path) -> None:
    count = tmp_path / "count"
    script = tmp_path / "sim.py"
    script.write_text(
        "import random, sys\n"
        f"path = {str(count)!r}\n"
        "with open(path, 'a+') as f: f.seek(0); slot = len(f.read()); f.write('x')\n"
        "print('METRIC time_s=%.9f' % (float(sys.argv[1]) * (1 + 0.02 * random.Random(slot).gauss(0, 1))))\n"
    )
    run = f"{sys.executable} {script}"
    done = autoresearch("ab", "--a", f"{run} 1", "--b", f"{run} 0.8", "--seed", "1", "--json", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert (done.returncode, told["verdict"], told["seed"], told["metric"]) == (0, "keep", 1, "time_s")
    assert told["ci_low_pct"] < 20 < told["ci_high_pct"]
    assert len(count.read_text()) == told["runs_used"] + 2, "one call a run, and one warm-up a side"
    done = autoresearch("ab", "--a", f"{run} 1", "--b", f"{run} 1.3", "--seed", "1", "--json", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["verdict"]) == (1, "discard")
    done = autoresearch("ab", "--a", f"{run} 1", "--b", "echo nothing", cwd=tmp_path)
    assert done.returncode == Exit.USAGE
    assert "no METRIC time_s" in done.stderr


def test_ab_of_recorded_samples(autoresearch: Run, tmp_path: Path) -> None:
    runs = []
    for block in range(8):
        for place, side in enumerate("ABBA" if block % 2 else "BAAB"):
            value = (1.0 if side == "A" else 0.9) * (1 + 0.001 * place)
            runs.append({"slot": 4 * block + place, "side": side, "value": value})
    data = {"metric": "time_s", "direction": "lower", "baseline": [], "candidate": [], "pairs": None, "runs": runs}
    for side, name in (("A", "baseline"), ("B", "candidate")):
        data[name] = [run["value"] for run in runs if run["side"] == side]
    file = tmp_path / "runs.json"
    file.write_text(json.dumps(data))
    done = autoresearch("ab", "--samples", str(file), "--json")
    assert (done.returncode, json.loads(done.stdout)["verdict"]) == (0, "keep")
    file.write_text(json.dumps({**data, "direction": "higher"}))
    assert autoresearch("ab", "--samples", str(file), "--json").returncode == 1
    file.write_text("{")
    assert autoresearch("ab", "--samples", str(file)).returncode == Exit.USAGE


def test_outside_git_every_step_is_one_sentence(autoresearch: Run, tmp_path: Path) -> None:
    root = tmp_path / "nogit"
    root.mkdir()
    assert autoresearch("init", "--scope", "src/**", cwd=root).returncode == 0
    done = autoresearch("doctor", "--no-run", cwd=root)
    assert done.returncode == Exit.ENVIRONMENT
    assert "not inside a git work tree" in done.stdout
    done = autoresearch("baseline", cwd=root)
    assert done.returncode == Exit.USAGE
    assert "git init" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_person_sees_which_experiment_is_packed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from autoresearch.cli import _submitting

    for watched, quiet, said in ((True, False, "… e1\n… e2\n"), (True, True, ""), (False, False, "")):
        monkeypatch.setattr(_submitting, "is_terminal", lambda watched=watched: watched)
        found = _submitting.submit_each(["e1", "e2"], lambda name: f"job-{name}", quiet=quiet)
        assert found == ({"e1": "job-e1", "e2": "job-e2"}, {})
        assert capsys.readouterr().err == said
