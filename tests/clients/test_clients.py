"""Real Pi, Claude Code and Codex go through a session; only the model's words are a script.

What is asserted is git, the ledger and files. AGENT_CLIENTS names the directory with the installed clients.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from drive import CLIENTS, PREFIX, SKILLS_DIR, ClientMissing, call, executable, run
from fake_model import Turn
from place import Account, autoresearch, copy_source, git, ledger, make_bare_project, make_project, sh, tree

from driver import BENCHMARK, CHECKS

if not PREFIX:
    pytest.skip("AGENT_CLIENTS is not set: real clients untested (setup.sh --test clients)", allow_module_level=True)

pytestmark = pytest.mark.timeout(1200)  # a whole session; on a busy machine it takes its time
POLL = "--timeout 25 --json"
# What a client writes outside of its HOME by itself, with or without us.
OWN: dict[str, tuple[str, ...]] = {"pi20": (), "pi": (), "claude": (), "codex": ()}
SESSION_FILES = {
    "autoresearch.jsonl",
    "autoresearch.md",
    "autoresearch.ideas.md",
    "autoresearch.svg",
    "IMPROVEMENTS.md",
}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Account:
    """The command, installed once by setup.sh."""
    place = tmp_path_factory.mktemp("account")
    (place / "home").mkdir()
    (place / "first").mkdir()
    found = Account(place / "home", copy_source(place / "source"))
    done = found.setup(place / "first")
    assert done.returncode == 0, done.stdout + done.stderr
    return found


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    try:
        executable(name)
    except ClientMissing as exc:
        pytest.skip(str(exc))
    return name


def with_skill(account: Account, root: Path) -> Path:
    """The project with the skill in it, as setup.sh leaves it."""
    done = account.setup(root)
    assert done.returncode == 0, done.stdout + done.stderr
    git(root, "add", "-A")
    git(root, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", "skill")
    return root


@pytest.fixture
def project(account: Account, tmp_path: Path) -> Path:
    """A project whose session is set up, without a baseline."""
    return with_skill(account, make_project(tmp_path / "project"))


@pytest.fixture
def bare(account: Account, tmp_path: Path) -> Path:
    """A project that no session has been set up in."""
    return with_skill(account, make_bare_project(tmp_path / "project"))


def first_turns(skill: str) -> list[Turn]:
    """Discover and read the skill; set up; baseline; two experiments at once and a cheat; keep the winner."""
    work, cheat = ".autoresearch/worktrees/e1/src/work.py", ".autoresearch/worktrees/e3/autoresearch.sh"
    return [
        {"expect": {"prompt": ["autoresearch", "measured experiments"]},
         "calls": [{"skill": "autoresearch", "path": f"{skill}/SKILL.md"}]},
        {"expect": {"seen": "The agent proposes, the code decides"},
         "calls": [{"read": f"{skill}/instructions.md"}]},
        {"expect": {"result": "Phase 1: measure the measurement"},
         "calls": [sh("autoresearch status --json; echo exit=$?")]},
        {"expect": {"result": "exit=2"}, "calls": [{"write": "autoresearch.sh", "content": BENCHMARK}]},
        {"calls": [{"write": "autoresearch.checks.sh", "content": CHECKS}]},
        {"calls": [sh(
            "autoresearch init --name t --goal 'Fewer steps' --metric steps --direction lower --scope 'src/**' "
            "--build 'python3 -m compileall -q src' --max-iterations 9 --json && "
            "sed -i.was -e 's/dry: 20/dry: 1/' -e 's/noise_runs: 20/noise_runs: 4/' "
            "-e 's/layout: auto/layout: fresh/' autoresearch.yaml && "
            "rm autoresearch.yaml.was && git add -A && "
            "git -c user.name=a -c user.email=a@example.org commit -q -m Session && autoresearch status --json")]},
        {"expect": {"result": '"next":"autoresearch doctor"'}, "calls": [sh("autoresearch doctor --json")]},
        {"expect": {"result": '"ready":true'},
         "repeat_while": '"done":false', "calls": [sh(f"autoresearch baseline {POLL}")]},
        # Where Codex had left the command after 30 seconds, it has ended by now.
        {"expect": {"result": '"done":true|measured already'}, "calls": [sh(
            "for e in e1 e2 e3; do autoresearch new $e --hypothesis \"$e does less\" --json; done")]},
        {"expect": {"result": "worktrees/e3"}, "calls": [{"read": work}]},
        {"calls": [{"edit": work, "old": "    return 1000", "new": "    return 900"}]},
        {"calls": [sh("cd .autoresearch/worktrees && echo 'CALM = 2' > e2/src/calm.py && "
                      f"echo 'echo METRIC steps=1' > ../../{cheat} && "
                      "autoresearch run e1 e2 --json && autoresearch run e3 --json; echo exit=$?")]},
        {"expect": {"result": ["belongs to the evaluator", "exit=5"]},
         "repeat_while": '"done":false', "calls": [sh(f"autoresearch wait {POLL}")]},
        {"expect": {"result": '"e2":"screened'}, "repeat_while": '"running":{"e1"',
         "calls": [sh(f"autoresearch ab e1 {POLL}")]},
        {"expect": {"result": '"verdict":"keep"'},
         "calls": [sh("autoresearch decide e1 --description 'Fewer steps' --risk 'who reads the count' "
                      "--checked 'the checks pass' --json")]},
        {"expect": {"result": '"status":"keep"'}, "text": "Interrupted."},
    ]  # fmt: skip


def resumed_turns() -> list[Turn]:
    """A fresh agent knows nothing but what `status` says, and does what `next` names until a stop rule ends it.

    The guard is on: stopping before is answered with the next step, stopping after the stop rule is not.
    """
    return [
        {"calls": [sh("autoresearch status --json")]},
        {"capture": {"NEXT": r'"next":"(autoresearch ab e2[^"]*)"'}, "text": "Enough for today."},
        {"expect": {"last": "no stop rule is reached.*autoresearch ab e2"}, "repeat_while": '"running":{"e2"',
         "calls": [sh("${{NEXT}} --json")]},
        {"capture": {"NEXT": r'"next":"(autoresearch decide e2[^"]*)"'},
         "calls": [sh("${{NEXT}} --description 'No difference' --json; echo exit=$?")]},
        {"expect": {"result": "exit=1"}, "calls": [sh("autoresearch status --json; echo exit=$?")]},
        {"expect": {"result": "exit=4"}, "capture": {"NEXT": r'"next":"([^"]+)"'},
         "calls": [sh("autoresearch new e4 --hypothesis more --json; echo exit=$?; ${{NEXT}}")]},
        {"expect": {"result": "exit=4"}, "text": "The session is over."},
    ]  # fmt: skip


def test_a_session_from_the_skill_to_the_stop_rule(client: str, account: Account, bare: Path, tmp_path: Path) -> None:
    """The guard is off at first: what refuses the cheat is the frozen evaluator itself."""

    def drive(turns: list[Turn], prompt: str, home: Path, *, guard: bool) -> None:
        env = {} if guard else {"AUTORESEARCH_HOOKS": "off"}
        args = hooked(client, project, account, home) if guard else ()
        result = run(client, project, home, turns, prompt, args=args, path=[account.bin], env=env)
        assert result.ok, result.explain()
        assert [name for name in result.touched if not name.startswith(OWN[client])] == []

    project = bare
    skill = f"{SKILLS_DIR.get(client, '.agents/skills')}/autoresearch"
    before, given = git(project, "rev-parse", "HEAD"), tree(account.home)

    drive(first_turns(skill), "Optimize this project with autoresearch", tmp_path / "home", guard=False)
    start = git(project, "rev-parse", "HEAD")
    assert git(project, "log", "--format=%s", f"{before}..main") == "Session", "the agent's own commit of its set-up"
    assert ledger(project)[0]["base_commit"] == start
    assert (project / "autoresearch.sh").read_text() == BENCHMARK
    runs = [r for r in ledger(project) if "run" in r]
    assert [(r["experiment"], r["status"]) for r in runs] == [("baseline", "keep"), ("e1", "keep")]
    kinds = [(r.get("type"), r["experiment"]) for r in ledger(project) if r.get("type") in ("job", "test")]
    assert kinds == [("job", "e1"), ("job", "e2"), ("test", "e1")], "two at once; the cheat reaches no machine"

    # Another HOME: nothing of the first conversation is left.
    drive(resumed_turns(), "Go on with the session", tmp_path / "second", guard=True)
    lines = ledger(project)
    runs = [r for r in lines if "run" in r]
    assert [(r["experiment"], r["status"]) for r in runs[1:]] == [("e1", "keep"), ("e2", "discard")]
    assert runs[1]["verdict"]["verdict"] == "keep"
    assert (runs[1]["metric"], runs[1]["base_metric"]) == (900, 1000)
    assert not [r for r in lines if r.get("experiment") == "e4"], "a session that has ended opens no experiment"

    assert git(project, "rev-list", "--count", f"{start}..autoresearch/t") == "1"
    assert git(project, "diff", "--name-only", start, "autoresearch/t") == "src/work.py"
    assert "return 900" in git(project, "show", "autoresearch/t:src/work.py")
    assert git(project, "rev-parse", "main") == start
    changed = git(project, "diff", "--name-only", "HEAD").splitlines()
    untracked = git(project, "ls-files", "--others", "--exclude-standard").splitlines()
    assert {*changed, *untracked} <= SESSION_FILES | ({".codex/hooks.json"} if client == "codex" else set())
    assert "Fewer steps" in (project / "IMPROVEMENTS.md").read_text()
    assert tree(account.home) == given
    assert {p.name for p in tmp_path.iterdir()} == {"project", "home", "second"}


def guard_turns() -> list[Turn]:
    """An agent that tries to bend the measurement, floods its context, and stops too early, twice."""
    frozen = "frozen since the baseline"
    return [
        {"expect": {"seen": ["An autoresearch session is open", "next: autoresearch ideas next"]},
         "calls": [{"read": "autoresearch.sh"}]},
        {"expect": {"result": "pipefail"},
         "calls": [{"edit": "autoresearch.sh", "old": "set -euo pipefail", "new": "set -eu"}]},
        {"expect": {"result": frozen}, "calls": [sh("echo 'echo METRIC steps=1' > autoresearch.sh")]},
        {"expect": {"result": frozen}, "calls": [sh("rm -rf .autoresearch/pin")]},
        {"expect": {"result": frozen}, "calls": [sh("echo '{\"run\":2}' >> autoresearch.jsonl")]},
        {"expect": {"result": "only the command writes it"}, "calls": [sh("autoresearch status --json")]},
        {"expect": {"result": '"session":"t"'},
         "calls": [sh("yes 'a rather long line of output' | head -n 2000; echo METRIC steps=77; seq 1 500")]},
        {"expect": {"result": "METRIC steps=77.*characters cut"}, "text": "I will stop here."},
        {"expect": {"last": "no stop rule is reached.*autoresearch ideas next"},
         "calls": [sh("autoresearch new e1 --hypothesis less --json")]},
        {"expect": {"result": "worktrees/e1"},
         "calls": [sh("echo 'echo METRIC steps=1' > .autoresearch/worktrees/e1/autoresearch.sh")]},
        {"expect": {"result": frozen}, "text": "Stopping again."},
        {"expect": {"last": "autoresearch run e1"}, "text": "And again."},
        {"expect": {"last": "autoresearch run e1"}, "text": "Stopped for good."},
    ]  # fmt: skip


@pytest.fixture
def begun(account: Account, project: Path) -> Path:
    """A session with its baseline."""
    for _ in range(5):
        done = autoresearch(account, project, "baseline", "--timeout", "25", "--json")
        if done.returncode == 0:
            return project
    raise AssertionError(done.stdout + done.stderr)


def hooked(client: str, project: Path, account: Account, home: Path) -> tuple[str, ...]:
    """Switch the guard on as README says; Claude Code finds it in what setup.sh installed."""
    skill = project / ".agents/skills/autoresearch"
    if client == "pi20":
        return ("-e", str(skill / "pi/autoresearch.ts"))
    if client == "pi":
        call(client, home, project, "install", str(account.source))
    if client != "codex":
        return ()
    (project / ".codex").mkdir()
    (project / ".codex/hooks.json").write_bytes((skill / "hooks/hooks.json").read_bytes())
    return ()


def test_the_guard(client: str, account: Account, begun: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    args = hooked(client, begun, account, home)
    before = {n: (begun / n).read_bytes() for n in ("autoresearch.sh", "autoresearch.checks.sh")}
    pins = tree(begun / ".autoresearch/pin")
    result = run(client, begun, tmp_path / "home", guard_turns(), "Optimize on", args=args, path=[account.bin])
    assert result.ok, result.explain()
    assert {n: (begun / n).read_bytes() for n in before} == before
    assert (begun / ".autoresearch/worktrees/e1/autoresearch.sh").read_bytes() == before["autoresearch.sh"]
    assert tree(begun / ".autoresearch/pin") == pins
    assert [r["run"] for r in ledger(begun) if "run" in r] == [1]
    counts = json.loads((begun / ".autoresearch/hook.json").read_text())
    assert (counts["blocks"], counts["idle"]) == (3, 2)
