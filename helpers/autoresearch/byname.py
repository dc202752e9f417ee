"""Files that work by their name alone: dependency locks, and what a tool loads although nobody imports it.

A scope such as `src/**` means source code, and who wrote it did not think of these. So a candidate may touch one only
where a line of scope names that very file.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

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
    return ""


def _named(path: str, name: str, scope: Sequence[str]) -> bool:
    from pathspec import GitIgnoreSpec

    own = [line for line in scope if not line.startswith("!") and line.rpartition("/")[2] == name]
    return GitIgnoreSpec.from_lines(own).match_file(path)
