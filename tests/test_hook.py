"""The guard, as the clients call it: an event on stdin, an answer or nothing on stdout, exit 0 always."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.cli._guard import IDLE_BLOCKS, Guarded, Loop, send_back, shell_targets, shorten, written
from autoresearch.project import Project
from driver import Driver, Run

Hook = Callable[..., dict[str, Any] | None]


@pytest.fixture
def hook(project: Project) -> Hook:
    """Send one event from the project; the answer, or None."""

    def send(name: str, cwd: Path | None = None, env: Mapping[str, str] | None = None, **fields: Any) -> Any:
        event = {"hook_event_name": name, "cwd": str(cwd or project.root), "session_id": "s1", **fields}
        done = run_hook(json.dumps(event), env or {})
        assert done.stderr == ""
        return json.loads(done.stdout) if done.stdout else None

    return send


def run_hook(text: str, env: Mapping[str, str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = Driver(cwd or Path.cwd()).run("hook", stdin=text, **env)
    assert done.returncode == 0, done.stderr
    return done


def write(path: str) -> dict[str, Any]:
    return {"tool_name": "Write", "tool_input": {"file_path": path, "content": "x"}}


def bash(command: str) -> dict[str, Any]:
    return {"tool_name": "Bash", "tool_input": {"command": command}}


def denied(answer: Any) -> str | None:
    """The reason of a denial; None when the call may go on."""
    if answer is None:
        return None
    said = answer["hookSpecificOutput"]
    # Codex refuses keys that it does not know.
    assert set(answer) == {"hookSpecificOutput"}
    assert set(said) == {"hookEventName", "permissionDecision", "permissionDecisionReason"}
    assert (said["hookEventName"], said["permissionDecision"]) == ("PreToolUse", "deny")
    return str(said["permissionDecisionReason"])


# --- the command


@pytest.mark.parametrize("name", ["SessionStart", "PreToolUse", "PostToolUse", "Stop", "Unheard"])
def test_silent_without_a_session(tmp_path: Path, name: str) -> None:
    event = {"hook_event_name": name, "cwd": str(tmp_path), **bash("echo > autoresearch.sh")}
    done = run_hook(json.dumps(event | {"tool_response": "x" * 99999}), {}, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "not json", "[]", "null", '{"hook_event_name": 7}', "\x00\xff", '{"cwd": {}}'])
def test_malformed_input_never_breaks_the_agent(project: Project, text: str) -> None:
    done = run_hook(text, {}, cwd=project.root)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_a_broken_session_is_named_to_people_and_lets_the_agent_go_on(project: Project) -> None:
    (project.root / "autoresearch.yaml").write_text("name: [\n")
    done = run_hook(json.dumps({"hook_event_name": "SessionStart", "cwd": str(project.root)}), {})
    assert done.stdout == ""
    assert done.stderr.startswith("autoresearch hook: BadInput: autoresearch.yaml")


def test_before_the_baseline_the_evaluator_is_still_being_written(project: Project, hook: Hook) -> None:
    assert hook("PreToolUse", **write("autoresearch.sh")) is None
    assert hook("Stop") is None
    note = hook("SessionStart", source="startup")
    assert note is not None
    assert "next: autoresearch doctor" in note["hookSpecificOutput"]["additionalContext"]


def test_the_guard_after_the_baseline(session: Driver, hook: Hook, autoresearch: Run) -> None:
    root = session.root
    refused: list[dict[str, Any]] = [
        write("autoresearch.sh"),
        write(str(root / "autoresearch.checks.sh")),
        write("src/../setup_deps.sh"),
        write("autoresearch.jsonl"),
        write(".autoresearch/pin/x/autoresearch.sh"),
        write(".autoresearch/jobs/j1/output.txt"),
        write(".autoresearch/worktrees/e1/autoresearch.sh"),
        bash("echo x > autoresearch.sh"),
        bash("cd .autoresearch/worktrees/e1 && sed -i s/1000/1/ autoresearch.checks.sh"),
        bash("rm -rf .autoresearch"),
        bash('cp /tmp/mine "$ROOT/autoresearch.sh"'),
        {"tool_name": "apply_patch", "tool_input": {"command": "*** Begin Patch\n*** Delete File: autoresearch.sh\n"}},
        {"tool_name": "Edit", "tool_input": {"file_path": "link.sh"}},
    ]  # fmt: skip
    (root / "link.sh").symlink_to("autoresearch.sh")
    for call in refused:
        reason = denied(hook("PreToolUse", **call))
        assert reason, call
        assert "Next: autoresearch status" in reason
    allowed = [
        write("src/work.py"),
        write(".autoresearch/worktrees/e1/src/work.py"),
        write("autoresearch.md"),
        write("/tmp/autoresearch.sh"),
        bash("cat autoresearch.sh > /dev/null; bash autoresearch.sh | tee /tmp/log"),
        bash("grep '>' autoresearch.jsonl 2>/dev/null"),
        {"tool_name": "Read", "tool_input": {"file_path": "autoresearch.sh"}},
    ]
    for call in allowed:
        assert hook("PreToolUse", **call) is None, call
    assert denied(hook("PreToolUse", cwd=root / "src", **write("../autoresearch.sh")))
    inside = root / ".autoresearch/worktrees/e1/src"
    inside.mkdir(parents=True)
    (inside.parent / "autoresearch.yaml").write_text("a copy\n")
    assert denied(hook("PreToolUse", cwd=inside, **write("../autoresearch.sh")))
    assert hook("PreToolUse", env={"AUTORESEARCH_HOOKS": "off"}, **write("autoresearch.sh")) is None
    # What the guard cannot do without is left as it was.
    assert autoresearch("status", "--json").returncode == 0


def test_the_note_says_where_the_session_stands(session: Driver, hook: Hook, autoresearch: Run) -> None:
    for number in range(4):
        assert autoresearch("new", f"e{number}", "--hypothesis", "x").returncode == 0
        assert autoresearch("decide", f"e{number}", "--abandon", "--description", "é" * 79).returncode == 1
    for source in ("startup", "resume", "compact"):
        answer = hook("SessionStart", source=source)
        assert answer is not None
        note = answer["hookSpecificOutput"]["additionalContext"]
        assert "next: autoresearch ideas next" in note
        assert len(note.encode()) < 2000


def test_an_agent_is_sent_back_until_a_stop_rule_ends_the_session(
    session: Driver, hook: Hook, autoresearch: Run
) -> None:
    first = hook("Stop", stop_hook_active=False)
    assert first is not None
    assert set(first) == {"decision", "reason"}
    assert first["decision"] == "block"
    assert "autoresearch ideas next" in first["reason"]
    assert hook("Stop", stop_hook_active=True) is not None
    assert hook("Stop", stop_hook_active=True) is None, "idle twice after being sent back: let it go"

    assert autoresearch("new", "e1", "--hypothesis", "x").returncode == 0
    after = hook("Stop", stop_hook_active=True)
    assert after is not None, "it has worked since"
    assert "autoresearch run e1" in after["reason"]

    config = session.root / "autoresearch.yaml"
    config.write_text(config.read_text() + "stop: {dry: 1}\n")
    assert autoresearch("decide", "e1", "--abandon").returncode == 1
    assert hook("Stop", stop_hook_active=False) is None


def test_an_agent_with_another_task_is_left_alone(session: Driver, hook: Hook) -> None:
    hook("SessionStart", source="startup")
    assert hook("Stop") is None
    assert hook("PreToolUse", **bash("ls")) is None
    assert hook("Stop") is None
    assert hook("PreToolUse", **bash("autoresearch status --json")) is None
    assert hook("Stop") is not None


def test_a_long_output_is_shortened_with_the_verdict_first(session: Driver, hook: Hook) -> None:
    text = "noise\n" * 9000 + "METRIC time_s=0.7\n" + "noise\n" * 9000
    claude = hook("PostToolUse", tool_name="Bash", tool_response={"stdout": text, "stderr": "", "interrupted": False})
    assert claude is not None
    new = claude["hookSpecificOutput"]["updatedToolOutput"]
    assert new["stdout"].startswith("METRIC time_s=0.7\n")
    assert len(new["stdout"]) < 6000
    assert (new["stderr"], new["interrupted"]) == ("", False)
    codex = hook("PostToolUse", tool_name="Bash", tool_response=text)
    assert codex == {"decision": "block", "reason": new["stdout"]}
    assert hook("PostToolUse", tool_name="Bash", tool_response="short") is None


# --- the decisions


@pytest.mark.parametrize(
    ("command", "targets"),
    [
        ("echo x > a", ["a"]),
        ("echo x >>a 2>&1", ["a"]),
        ("echo 'a > b'; ls", []),
        ("python3 -c \"print(1 > 2)\"", []),
        ("# do not > a\necho x >| 'b c'", ["b c"]),
        ("cat > n.md <<'EOF' && echo y > z\necho > autoresearch.sh\nEOF\n", ["n.md", "z"]),
        ("cd w && cd v && echo > a", ["w/v/a"]),
        ("bash -lc 'cd w; echo > q'", ["w/q"]),
        ("ls | tee -a log", ["log"]),
        ("FOO=1 sudo rm -rf d", ["d"]),
        ("dd if=/dev/zero of=out", ["out"]),
        ("cp x.sh dir/", ["dir/", "dir/x.sh"]),
        ("if true; then echo > a; fi", ["a"]),
        ("echo $(date > a)", ["a"]),
        ("sed s/a/b/ f", []),
        ("perl -pi -e s/a/b/ f", ["s/a/b/", "f"]),
    ],
)  # fmt: skip
def test_what_a_shell_command_writes(command: str, targets: list[str]) -> None:
    assert shell_targets(command) == targets


@given(st.text(alphabet=st.sampled_from("ab >|&;()'\"\\\n$`#<-{}=/."), max_size=80))
def test_any_command_can_be_read(command: str) -> None:
    assert all(isinstance(target, str) for target in shell_targets(command))


@given(
    st.sampled_from(["Bash", "Edit", "apply_patch", "x"]),
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["command", "file_path"]), inner),
        max_leaves=6,
    ),
)
def test_any_arguments_can_be_read(tool: str, arguments: Any) -> None:
    if isinstance(arguments, dict):
        assert all(isinstance(path, str) for path in written(tool, arguments))


def test_worktrees_of_a_project_inside_a_repository() -> None:
    guarded = Guarded(frozenset({"autoresearch.sh"}), prefix="sub/")
    assert guarded.hit(".autoresearch/worktrees/e1/sub/autoresearch.sh")
    assert guarded.hit(".autoresearch/worktrees/e1/autoresearch.sh") is None
    assert guarded.hit("autoresearch.sh")
    assert guarded.hit("../autoresearch.sh") is None


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=200), st.integers(1, 30))
def test_no_loop_is_endless(steps: list[tuple[bool, bool, bool]], limit: int) -> None:
    """Without a decision an agent is sent back at most `limit` times, whatever else it writes meanwhile."""
    loop, runs, ledger, since, idle = Loop(), 1, 100, 0, 0
    for again, writes, decides in steps:
        if decides:
            runs, ledger, since, idle = runs + 1, ledger + 1, 0, 0
        elif writes:
            ledger, idle = ledger + 1, 0
        back, loop = send_back(loop, "a", runs, ledger, again=again, limit=limit)
        since += back
        idle = (idle + 1 if again else 1) if back else idle
        assert since <= limit
        assert idle <= IDLE_BLOCKS
        loop = Loop.read(json.loads(json.dumps(loop.__dict__)))


@pytest.mark.parametrize("data", [None, [], {"blocks": "x", "waiting": 3}, {"blocks": True}, {"ledger": None}])
def test_a_damaged_count_starts_anew(data: object) -> None:
    assert Loop.read(data) == Loop()


def test_short_output_is_left_alone() -> None:
    assert shorten("x" * 12000) is None
    assert len(shorten("x" * 12001) or "") < 5000
