"""Run a real coding-agent client, headless, against the scripted model.

Every run gets a HOME of its own and an environment built from nothing, so that no setting, key or session of the
machine's user is read.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fake_model import FakeModel, Turn

CLIENTS = ("pi20", "pi", "claude", "codex")
# Where a client looks for a project's skills.
SKILLS_DIR = {"claude": ".claude/skills"}
PREFIX = os.environ.get("AGENT_CLIENTS", "")
WATCHED = Path(__file__).with_name("watched.sh")


class ClientMissing(Exception):
    """The client, or the Node that it needs, is not installed under AGENT_CLIENTS."""


@dataclass(frozen=True)
class Result:
    """What one run of a client left behind."""

    done: subprocess.CompletedProcess[str]
    model: FakeModel
    touched: tuple[str, ...] = ()  # files outside of the project and the HOME; byte code is no file of anybody's

    @property
    def ok(self) -> bool:
        return self.done.returncode == 0 and self.model.followed

    def requests(self) -> list[dict[str, Any]]:
        """Bodies of the main loop's requests, in order."""
        lines = map(json.loads, self.model.log.read_text(encoding="utf-8").splitlines())
        return [line["body"] for line in lines if line["main"]]

    def explain(self) -> str:
        model, done = self.model, self.done
        return "\n".join(
            [f"exit {done.returncode}, turns {model.used}/{len(model.turns)}, overrun {model.overrun}",
             *model.failures, f"out: {done.stdout[-1500:]}", f"err: {done.stderr[-1500:]}"]
        )  # fmt: skip


def executable(client: str) -> Path:
    """The client's command; `ClientMissing` when it is not there."""
    base = Path(PREFIX) / client / "node_modules"
    # Claude Code's native binary itself, so that no install script is needed.
    pattern = {"claude": "@anthropic-ai/claude-code-*/claude", "codex": ".bin/codex", "skills": ".bin/skills"}
    found = sorted(base.glob(pattern.get(client, ".bin/pi"))) if PREFIX else []
    if not found:
        raise ClientMissing(f"{client} is not installed (bash setup.sh --test clients installs it)")
    return found[0]


def environment(client: str, home: Path, path: list[Path], **more: str) -> dict[str, str]:
    """All that a client sees. `path` comes first on PATH."""
    node: list[Path] = []
    if client in ("pi", "skills"):
        node = sorted(Path(PREFIX).glob("node22/node_modules/node-linux-*/bin"))
    elif client != "claude":
        node = [Path(found).parent] if (found := shutil.which("node")) else []
    if not node and client != "claude":
        raise ClientMissing(f"no Node for {client}")
    python = Path(shutil.which("python3") or "/usr/bin/python3").parent
    places = [*path, *node, python, "/usr/local/bin", "/usr/bin", "/bin"]
    (home / "tmp").mkdir(parents=True, exist_ok=True)  # clients leave logs and sockets there
    return {
        "HOME": str(home), "TMPDIR": str(home / "tmp"), "PATH": ":".join(map(str, places)), "LANG": "C.UTF-8",
        "TERM": "dumb", "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", **more,
    }  # fmt: skip


def run(
    client: str, project: Path, home: Path, turns: list[Turn], prompt: str,
    *, args: tuple[str, ...] = (), path: list[Path] | None = None, env: dict[str, str] | None = None,
    timeout: float = 600,
) -> Result:  # fmt: skip
    """One headless run of `client` in `project`, with a new process and the model that `turns` script."""
    exe = executable(client)
    home.mkdir(parents=True, exist_ok=True)
    # Codex runs a login shell, which sets PATH anew: a user's profile has what setup.sh asks for.
    (home / ".profile").write_text("".join(f'PATH="{place}:$PATH"\n' for place in path or []))
    log = home / "requests.jsonl"
    log.unlink(missing_ok=True)
    with FakeModel(turns, log) as fake:
        configure = {"claude": _claude, "codex": _codex}.get(client, _pi)
        argv, extra = configure(home, project.resolve(), fake.url)
        report = home / "touched.txt"
        report.unlink(missing_ok=True)
        watch = ["sh", str(WATCHED), str(report), str(project.resolve()), str(home)] if can_watch() else []
        done = subprocess.run(
            [*watch, str(exe), *argv, *args, *([] if client in ("claude", "codex") else ["-p"]), prompt],
            cwd=project, env=environment(client, home, path or [], **extra, **(env or {})), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
    lines = report.read_text().splitlines() if report.exists() else []
    return Result(done, fake, tuple(line for line in lines if not line.endswith(".pyc")))


@functools.cache
def _watching_works() -> bool:
    with tempfile.TemporaryDirectory() as place:
        report = Path(place) / "report"
        command = ["sh", str(WATCHED), str(report), place, place, "touch", "/tmp/autoresearch-probe"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode == 0 and report.read_text().split() == ["./tmp/autoresearch-probe"]


def can_watch() -> bool:
    """Whether what a client writes outside can be seen here; if not, that is said, and only trees are compared."""
    if _watching_works():
        return True
    warnings.warn("no overlay in a mount namespace here: what clients write elsewhere is not watched", stacklevel=3)
    return False


def call(client: str, home: Path, cwd: Path, *args: str) -> str:
    """What one command of a client says, outside any conversation, such as `pi install`; it must succeed."""
    env = environment(client, home, [], PI_OFFLINE="1", DISABLE_TELEMETRY="1")
    done = subprocess.run(
        [str(executable(client)), *args], cwd=cwd, env=env, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _pi(home: Path, project: Path, url: str) -> tuple[list[str], dict[str, str]]:
    agent = home / ".pi/agent"
    agent.mkdir(parents=True, exist_ok=True)
    model = {"id": "fake-model", "contextWindow": 200000, "maxTokens": 8000}
    provider = {"baseUrl": f"{url}/v1", "api": "openai-completions", "apiKey": "dummy", "models": [model]}
    (agent / "models.json").write_text(json.dumps({"providers": {"fake": provider}}))
    # From 0.79 on, a headless Pi ignores a folder that nobody can be asked about. `pi install` writes here, too.
    settings = agent / "settings.json"
    known = json.loads(settings.read_text()) if settings.exists() else {}
    settings.write_text(json.dumps(known | {"defaultProjectTrust": "always"}))
    return ["--provider", "fake", "--model", "fake-model"], {"PI_OFFLINE": "1", "PI_TELEMETRY": "0"}


def _claude(home: Path, project: Path, url: str) -> tuple[list[str], dict[str, str]]:
    conf = home / ".claude"
    conf.mkdir(parents=True, exist_ok=True)
    state = conf / ".claude.json"
    data = json.loads(state.read_text()) if state.exists() else {}
    data.setdefault("projects", {}).setdefault(str(project), {})["hasTrustDialogAccepted"] = True
    state.write_text(json.dumps(data))
    return ["--allowedTools=Bash,Read,Edit,Write,Skill", "-p"], {
        "CLAUDE_CONFIG_DIR": str(conf), "ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "dummy",
        "ANTHROPIC_MODEL": "fake-model", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_TMPDIR": str(home / "tmp"),
    }  # fmt: skip


CODEX_CONFIG = """\
model = "gpt-5.5"
model_provider = "fake"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false
[model_providers.fake]
name = "fake"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "FAKE_API_KEY"
[features]
plugins = false
[analytics]
enabled = false
[projects.{project}]
trust_level = "trusted"
"""


def _codex(home: Path, project: Path, url: str) -> tuple[list[str], dict[str, str]]:
    conf = home / ".codex"
    conf.mkdir(parents=True, exist_ok=True)
    text = CODEX_CONFIG.format(url=url, project=json.dumps(str(project)))
    (conf / "config.toml").write_text(text, encoding="utf-8")
    argv = ["exec", "--skip-git-repo-check", "--dangerously-bypass-hook-trust"]
    return argv, {"CODEX_HOME": str(conf), "FAKE_API_KEY": "dummy"}
