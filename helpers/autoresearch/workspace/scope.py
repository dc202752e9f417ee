"""Which paths a candidate may change: the declared scope, what belongs to the evaluator and to git, and files that
work by their name alone.

Those are dependency locks, and what a tool loads although nobody imports it. A scope such as `src/**` means source
code, and who wrote it did not think of these. So a candidate may touch one only where a line of scope names that very
file.
"""

from __future__ import annotations

import itertools
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from autoresearch.config import Config
from autoresearch.project import EVALUATOR_FILES, SESSION_DIRS, SESSION_FILES
from autoresearch.workspace.customs import is_check, says_checks
from autoresearch.workspace.evaluator import Manifest
from autoresearch.workspace.objects import Change

# What it is, in the words of the refusal -> names: of the last component, or of the last two.
_NAMES: dict[str, tuple[str, ...]] = {
    "pins dependencies": (
        # JavaScript
        "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb", "deno.lock",
        # Python
        "poetry.lock", "uv.lock", "pdm.lock", "pixi.lock", "Pipfile.lock", "pylock.toml", "pylock.*.toml",
        "requirements*.txt", "requirements/*.txt", "conda-lock.yml",
        # Rust, Go, Ruby, PHP
        "Cargo.lock", "go.sum", "go.work.sum", "Gemfile.lock", "gems.locked", "composer.lock",
        # .NET, the JVM, Swift, Dart, Elixir, R, C++, Nix, Bazel
        "packages.lock.json", "gradle.lockfile", "Package.resolved", "Podfile.lock", "pubspec.lock", "mix.lock",
        "renv.lock", "conan.lock", "flake.lock", "MODULE.bazel.lock",
    ),
    "is loaded by its name, without an import": (
        # Python's start, its tests and its installer
        "sitecustomize.py", "usercustomize.py", "*.pth", "conftest.py", "pytest.ini", ".pytest.ini", ".coveragerc",
        "pip.conf", "pip.ini", "uv.toml", ".condarc",
        # JavaScript
        ".npmrc", ".yarnrc", ".yarnrc.yml", ".pnpmfile.cjs", ".pnp.cjs", ".pnp.loader.mjs", "bunfig.toml",
        # Rust, Go
        ".cargo/config", ".cargo/config.toml", "rust-toolchain", "rust-toolchain.toml", "go.work",
        # the JVM, .NET, Ruby, R
        "gradle.properties", ".mvn/*", "Directory.Build.props", "Directory.Build.targets", "nuget.config",
        ".bundle/config", ".rspec", ".Rprofile", ".Renviron",
        # shells, tool managers, debuggers, Bazel
        ".envrc", ".tool-versions", "mise.toml", ".python-version", ".nvmrc", ".gdbinit", ".lldbinit", ".bazelrc",
    ),
}  # fmt: skip


def objection(path: str, scope: Sequence[str]) -> str:
    """Why `path` (from the project's directory) needs a line of scope of its own, in a few words.

    Empty if it needs none, or has one: a pattern of `scope` that matches it, and whose last component is its literal
    name. Names are compared without regard to case, as some disks do.
    """
    name = path.rpartition("/")[2]
    tail = "/".join(path.split("/")[-2:]).casefold()
    for what, names in _NAMES.items():
        if any(fnmatchcase(tail if "/" in known else name.casefold(), known.casefold()) for known in names):
            return "" if _named(path, name, scope) else what
    return "is a test, by its place or name" if is_check(path) and not _meant(path, scope) else ""


def _meant(path: str, scope: Sequence[str]) -> bool:
    """Whether a line of scope that speaks of tests holds this one."""
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines([line for line in scope if says_checks(line)]).match_file(path)


def _named(path: str, name: str, scope: Sequence[str]) -> bool:
    from pathspec import GitIgnoreSpec

    own = [line for line in scope if not line.startswith("!") and line.rpartition("/")[2] == name]
    return GitIgnoreSpec.from_lines(own).match_file(path)


# Never part of a candidate: they change what git checks out, or what other repositories bring in.
_GIT_CONTROL = (".gitmodules", ".gitattributes")


# In a tree made by hand: git add refuses them, and globs would take them for names.
_UNSAFE = {"", ".", "..", ".git"}
_LINK = "120000"
_SUBMODULE = "160000"


def violations(
    changes: Iterable[Change], config: Config, frozen: Manifest, prefix: str, links: Mapping[str, str]
) -> list[str]:
    """Why a diff may not be measured, one sentence a path; empty when it is in scope.

    `links` maps changed symbolic links to their targets. Globs are gitignore patterns (pathspec); they do not let in
    what works by its name alone (`objection`).
    """
    from pathspec import GitIgnoreSpec

    scope = GitIgnoreSpec.from_lines(config.scope)
    off_limits = GitIgnoreSpec.from_lines(config.off_limits)
    protected = {*frozen.files, *EVALUATOR_FILES}
    found = []
    for change in changes:
        path = change.path
        inside = path[len(prefix) :] if path.startswith(prefix) else None
        if _UNSAFE.intersection(path.split("/")):
            found.append(f"{path} is no path that git would check out")
        elif inside is not None and inside in protected:
            found.append(f"{path} belongs to the evaluator")
        elif inside is not None and (inside in SESSION_FILES or inside.split("/")[0] in SESSION_DIRS):
            found.append(f"{path} belongs to the session")
        elif posixpath.basename(path) in _GIT_CONTROL:
            found.append(f"{path} changes what git checks out")
        elif _SUBMODULE in (change.old_mode, change.new_mode):
            found.append(f"{path} is a submodule")
        elif inside is None or not scope.match_file(inside):
            found.append(f"{path} is outside scope")
        elif off_limits.match_file(inside):
            found.append(f"{path} is off limits")
        elif special := objection(inside, config.scope):
            found.append(f"{path} {special}: only a line of scope that names this file lets it change")
        elif change.new_mode == _LINK and _escapes(path, links.get(path, "")):
            found.append(f"{path} is a link that leaves the tree")
    return found


def inside(paths: Iterable[str], scope: Sequence[str], off_limits: Sequence[str]) -> list[str]:
    """Those of `paths` (from the project's directory) that are in scope and not off limits, by gitignore patterns."""
    from pathspec import GitIgnoreSpec

    within, off = GitIgnoreSpec.from_lines(scope), GitIgnoreSpec.from_lines(off_limits)
    return [path for path in paths if within.match_file(path) and not off.match_file(path)]


def changeable(paths: Iterable[str], config: Config) -> list[str]:
    """Those of `paths` that the settings let a candidate change."""
    held = inside(paths, config.scope, config.off_limits)
    return [path for path in held if not objection(path, config.scope)]


def in_scope(path: str, config: Config) -> bool:
    """Whether a file (from the project's directory) may change; what tools leave beside sources is none."""
    from pathspec import GitIgnoreSpec

    if path.endswith(("/", ".pyc", ".o", ".class", "~", ".swp")):
        return False
    return GitIgnoreSpec.from_lines(config.scope).match_file(path)


def _escapes(link: str, target: str) -> bool:
    """Whether a link may lead out of the tree. A step up after a name may start from where another link leads."""
    steps = [step for step in target.split("/") if step not in ("", ".")]
    climb = len(list(itertools.takewhile("..".__eq__, steps)))
    depth = len(posixpath.dirname(link).split("/")) if posixpath.dirname(link) else 0
    return not steps or target.startswith("/") or ".." in steps[climb:] or climb > depth
