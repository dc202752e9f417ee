"""What of the user's home a candidate may see: tool chains and caches, but no secret.

HOME itself points to a fresh private directory, alike for both sides. The real one stays readable under its own
path, because compilers and interpreters live there; these variables lead the tools back to it.
"""

from __future__ import annotations

import glob
import os
import pwd
from typing import Dict, List, Mapping, NamedTuple, Tuple


class Tool(NamedTuple):
    """A variable, its usual place below the home, and whether the tool has to write there to work at all."""

    variable: str
    place: str
    writes: bool = False
    cache: bool = False  # gets a private layer of changes where the machine can give one


_TOOLS = (
    Tool("CARGO_HOME", ".cargo", cache=True),
    Tool("RUSTUP_HOME", ".rustup"),
    Tool("GOMODCACHE", "go/pkg/mod", cache=True),
    Tool("GOCACHE", ".cache/go-build", writes=True, cache=True),
    Tool("npm_config_cache", ".npm", writes=True, cache=True),
    Tool("GRADLE_USER_HOME", ".gradle", writes=True, cache=True),
    Tool("NUGET_PACKAGES", ".nuget/packages", cache=True),
    Tool("JULIA_DEPOT_PATH", ".julia", cache=True),
    Tool("STACK_ROOT", ".stack", cache=True),
    Tool("CABAL_DIR", ".cabal", cache=True),
    Tool("OPAMROOT", ".opam"),
    Tool("PYENV_ROOT", ".pyenv"),
    Tool("RBENV_ROOT", ".rbenv"),
    Tool("NVM_DIR", ".nvm"),
    Tool("VOLTA_HOME", ".volta"),
    Tool("ASDF_DATA_DIR", ".asdf"),
    Tool("MISE_DATA_DIR", ".local/share/mise"),
    Tool("SDKMAN_DIR", ".sdkman"),
    Tool("BUN_INSTALL", ".bun"),
    Tool("DOTNET_ROOT", ".dotnet"),
    Tool("UV_PYTHON_INSTALL_DIR", ".local/share/uv/python"),
    Tool("PLAYWRIGHT_BROWSERS_PATH", ".cache/ms-playwright"),
)
# Maven asks the password database for the home, so no variable can lead it elsewhere.
_CACHES = (".m2",)
# Where a mirror of the package index is named; used only by the step that may use the network.
_PIP_CONFIG = (".config/pip/pip.conf", ".pip/pip.conf")

SECRETS = (
    ".ssh", ".aws", ".azure", ".gnupg", ".kube", ".docker", ".oci", ".password-store", ".sops", ".terraform.d",
    ".config/gcloud", ".config/gh", ".config/glab-cli", ".config/hub", ".config/op", ".config/sops", ".config/doctl",
    ".config/rclone", ".config/heroku", ".config/containers", ".config/git", ".config/age", ".config/openai",
    ".config/anthropic", ".config/google-chrome", ".config/chromium", ".config/Code", ".config/Cursor",
    ".config/github-copilot", ".config/systemd", ".mozilla", ".thunderbird", ".local/share/keyrings",
    ".local/share/autoresearch", ".cache/autoresearch", ".local/share/gh",
    ".claude", ".codex", ".pi", ".gemini", ".cursor", ".anthropic", ".openai", ".copilot", ".aider", ".opencode",
    ".config/opencode", ".sky", "sky_workdir", "sky_logs", "autoresearch", ".vault", ".databricks",
    ".netrc", ".git-credentials", ".gitconfig", ".npmrc", ".yarnrc.yml", ".pypirc", ".pgpass", ".my.cnf", ".boto",
    ".s3cfg", ".vault-token", ".claude.json", ".databrickscfg", ".kaggle", ".huggingface",
    ".bash_history", ".zsh_history", ".python_history", ".node_repl_history", ".psql_history", ".lesshst",
    ".cargo/credentials", ".cargo/credentials.toml", ".gem/credentials", ".m2/settings.xml",
    ".m2/settings-security.xml", ".gradle/gradle.properties", ".cache/huggingface/token",
    ".cache/huggingface/stored_tokens", ".local/share/fish/fish_history",
)  # fmt: skip


def real_home(env: Mapping[str, str]) -> str:
    """The user's home as a real path; empty where there is none, or it is the whole machine."""
    home = env.get("HOME") or ""
    if not home:
        try:
            home = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            return ""
    home = os.path.realpath(home)
    return "" if home == "/" or not os.path.isdir(home) else home


def tool_variables(env: Mapping[str, str], *, layers: bool) -> Dict[str, str]:
    """What leads tools to the real home. `layers`: caches may be written to, in private."""
    home = real_home(env)
    found: Dict[str, str] = {}
    for tool in _TOOLS:
        usual = os.path.join(home, tool.place) if home else ""
        path = env.get(tool.variable) or usual
        if path and os.path.isdir(path) and (layers or not tool.writes):
            found[tool.variable] = path
    if home and glob.glob(os.path.join(home, ".local/lib/python*/site-packages")):
        found["PYTHONUSERBASE"] = os.path.join(home, ".local")
    return found


def unusable_variables(env: Mapping[str, str], *, layers: bool, read_only: bool) -> List[str]:
    """Variables of the caller that name a place where the tool could no longer write."""
    return [t.variable for t in _TOOLS if t.writes and read_only and not layers and t.variable in env]


def caches(env: Mapping[str, str]) -> Tuple[str, ...]:
    """Real paths of the caches that get a private layer."""
    home = real_home(env)
    places = [env.get(t.variable) or os.path.join(home, t.place) for t in _TOOLS if t.cache and home]
    places += [os.path.join(home, place) for place in _CACHES if home]
    found = sorted({os.path.realpath(place) for place in places if os.path.isdir(place)})
    return tuple(p for p in found if p not in ("/", home) and not any(p.startswith(o + "/") for o in found))


def secrets(env: Mapping[str, str]) -> Tuple[str, ...]:
    """Real paths of the secrets that are there: directories and files."""
    home = real_home(env)
    if not home:
        return ()
    found = {os.path.realpath(os.path.join(home, name)) for name in SECRETS}
    # A link may lead to what everybody needs, or to the home itself.
    return tuple(sorted(p for p in found if os.path.exists(p) and not (home + "/").startswith(p + "/")))


def pip_config(env: Mapping[str, str]) -> Dict[str, str]:
    """Where pip finds its index, for a step with network whose HOME is private."""
    home = real_home(env)
    for name in _PIP_CONFIG if home and "PIP_CONFIG_FILE" not in env else ():
        path = os.path.join(home, name)
        if os.path.isfile(path):
            return {"PIP_CONFIG_FILE": path}
    return {}
