"""The commands of well-known tool chains: build, dependencies, tests and benchmarks, told by file names and texts.

`have` is the set of a project's paths, `read` gives a file's text (or nothing). Nothing is run.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from autoresearch.prepare.harnesses import harness_of, unread

READ_AT_MOST = 200_000
# Endings by which a benchmark may be started as it is.
RUNNABLE = {
    ".py": "python3", ".js": "node", ".mjs": "node", ".cjs": "node", ".sh": "bash", ".rb": "ruby", ".pl": "perl",
}  # fmt: skip


class Benchmark(NamedTuple):
    """A command that measures. `harness` measures by itself (a name of `HARNESSES`); `unread` says why it cannot be."""

    command: str
    why: str
    harness: str = ""
    unread: str = ""


def npm_scripts(root: Path) -> dict[str, str]:
    """The scripts of package.json; empty where there is none or it cannot be read."""
    path = root / "package.json"
    if not path.is_file() or path.stat().st_size > READ_AT_MOST:
        return {}
    return scripts_of(path.read_text("utf-8", "replace"))


def scripts_of(text: str) -> dict[str, str]:
    try:
        data = json.loads(text)
    except ValueError:
        return {}
    scripts = data.get("scripts") if isinstance(data, dict) else None
    return {str(k): str(v) for k, v in scripts.items()} if isinstance(scripts, dict) else {}


def extension_names(have: set[str], read: Callable[[str], str]) -> tuple[str, ...]:
    """Top-level names of a Python package's compiled modules."""
    said = read("setup.py") if _extension(have, read) else ""
    found = re.findall(r"\bExtension\(\s*(?:name\s*=\s*)?[\"']([A-Za-z_]\w*)", said)
    return tuple(dict.fromkeys(found))


def _extension(have: set[str], read: Callable[[str], str]) -> bool:
    """Whether a Python package has compiled parts that setuptools builds."""
    said = read("setup.py") + read("pyproject.toml")
    return "setup.py" in have and bool(re.search(r"\bExtension\(|ext_modules|cythonize|cffi_modules", said))


def build(
    have: set[str], source: list[str], scripts: Mapping[str, str], read: Callable[[str], str]
) -> tuple[tuple[str, ...], str]:
    """Build files found, and the command of the first that applies."""
    compiled = any(PurePosixPath(f).suffix in (".c", ".cc", ".cpp", ".cxx", ".cu") for f in source)
    # A script or two beside the code make no Python project.
    python = any(f.endswith(".py") for f in source) and bool({"setup.py", "pyproject.toml", "setup.cfg"} & have)
    locked = " --locked" if "Cargo.lock" in have else ""
    makefile = next((f for f in ("Makefile", "GNUmakefile", "makefile") if f in have), "")
    options = [
        ("setup.py", _extension(have, read), "python3 setup.py -q build_ext --inplace"),
        ("Cargo.toml", not python, f"cargo build --release{locked}"),
        ("go.mod", True, "go build ./..."),
        ("CMakeLists.txt", compiled and not python,
         "cmake -S . -B build -DCMAKE_BUILD_TYPE=Release && cmake --build build -j2"),
        ("meson.build", compiled and not python,
         "meson setup build --buildtype=release && meson compile -C build"),
        ("configure", compiled and not python, "./configure && make -j2"),
        (makefile, compiled and not python, "make -j2"),
        ("package.json", "build" in scripts, "npm run --silent build"),
        ("pom.xml", True, "mvn -q -o package -DskipTests"),
        ("gradlew", True, "./gradlew --offline assemble"),
        ("pyproject.toml", False, ""),
    ]  # fmt: skip
    found = tuple(dict.fromkeys(f for f, _, _ in options if f and f in have))
    chosen = next(((f, command) for f, applies, command in options if f in found and applies), ("", ""))
    return tuple(sorted(found, key=lambda f: f != chosen[0])), chosen[1]


def setup(have: set[str], read: Callable[[str], str]) -> str:
    """npm's dependencies: the one thing that never comes with a clean copy and is not on the machine."""
    if "package.json" not in have:
        return ""
    try:
        data = json.loads(read("package.json"))
    except ValueError:
        return ""
    if not isinstance(data, dict) or not (data.get("dependencies") or data.get("devDependencies")):
        return ""
    for lock, command in (
        ("pnpm-lock.yaml", "pnpm install --frozen-lockfile --prefer-offline"),
        ("yarn.lock", "yarn install --frozen-lockfile --prefer-offline"),
        ("package-lock.json", "npm ci --no-audit --no-fund --prefer-offline"),
    ):
        if lock in have:
            return f"[ -d node_modules ] || {command}"
    return "[ -d node_modules ] || npm install --no-audit --no-fund --no-package-lock --prefer-offline"


def _make_target(have: set[str], read: Callable[[str], str], names: Iterable[str]) -> str:
    for makefile in ("Makefile", "GNUmakefile", "makefile", "Makefile.am"):
        if makefile not in have:
            continue
        text = read(makefile)
        for target in names:
            if re.search(rf"^{target}\s*:(?!=)", text, re.MULTILINE):
                return target
    return ""


def tests(
    have: set[str],
    tests: tuple[str, ...],
    scripts: Mapping[str, str],
    read: Callable[[str], str],
    builds: tuple[str, ...],
) -> str:
    script = scripts.get("test", "")
    if script and "no test specified" not in script:
        return _once_only(script)
    python = [f for f in tests if re.match(r"(test_.*|.*_test|tests?)\.py$", PurePosixPath(f).name)]
    if python:
        return _python_tests(have, python, read)
    if "Cargo.toml" in have:
        return "cargo test --quiet" + (" --locked" if "Cargo.lock" in have else "")
    if "go.mod" in have and any(f.endswith("_test.go") for f in tests):
        return "go test ./..."
    if builds[:1] == ("CMakeLists.txt",) and "enable_testing" in read("CMakeLists.txt"):
        return "ctest --test-dir build --output-on-failure"
    target = _make_target(have, read, ("check", "test", "tests"))
    if target:
        return f"make {target}"
    for build, command in (("pom.xml", "mvn -q -o test"), ("gradlew", "./gradlew --offline --rerun-tasks test")):
        if build in have:
            return command
    if "Rakefile" in have:
        return "rake test"
    return "node --test" if any(f.endswith((".test.js", ".test.mjs")) for f in tests) else ""


def checked_sources(have: set[str], read: Callable[[str], str]) -> set[str]:
    """The sources of programs that CMake makes for its tests only."""
    tests: set[str] = set()
    others: set[str] = set()
    for file in (name for name in sorted(have) if PurePosixPath(name).name == "CMakeLists.txt"):
        text = re.sub(r"(?m)#.*$", "", read(file))
        started = set(re.findall(r"\b(?:add_test|gtest_discover_tests|catch_discover_tests)\s*\(([^)]*)\)", text))
        words = {word.strip('"') for line in started for word in re.findall(r"[^\s]+", line)}
        for target, sources in re.findall(r"\badd_(?:executable|library)\s*\(\s*([\w.+-]+)([^)]*)\)", text):
            named = {(PurePosixPath(file).parent / word.strip('"')).as_posix() for word in sources.split()}
            (tests if words & {target, f"$<TARGET_FILE:{target}>", f"./{target}"} else others).update(named & have)
    return tests - others


def _python_tests(have: set[str], tests: list[str], read: Callable[[str], str]) -> str:
    tops = list(dict.fromkeys("." if "/" not in f else PurePosixPath(f).parts[0] for f in tests))
    folder = str(PurePosixPath(tests[0]).parent) if tops[0] == "src" else tops[0]
    said = read("pyproject.toml") + read("setup.cfg") + read("tox.ini")
    fixtures = "conftest.py" in {PurePosixPath(f).name for f in have} or "pytest.ini" in have or "pytest" in said
    if fixtures or any("import pytest" in read(f) for f in tests[:10]):
        return f"python3 -m pytest -q -x -p no:cacheprovider {shlex.quote(folder)}"
    top = " -t ." if f"{folder}/__init__.py" in have else ""
    return f"python3 -m unittest discover -q -s {shlex.quote(folder)}{top}"


def _once_only(script: str) -> str:
    """The form of an npm test script that ends by itself."""
    if re.search(r"\bvitest\b(?!\s+(run|bench))", script):
        return "npx vitest run"
    if re.search(r"\b(react-scripts|ng)\s+test|\bjest\b|--watch", script):
        return "CI=true npm test --silent"
    return "npm test --silent"


def benchmarks(
    have: set[str],
    tests: tuple[str, ...],
    benches: tuple[str, ...],
    scripts: Mapping[str, str],
    read: Callable[[str], str],
) -> tuple[Benchmark, ...]:
    """Commands that measure something already, the most specific first."""
    found: list[Benchmark] = []

    def add(command: str, why: str, *texts: str) -> None:
        """`texts`: what it runs, and the files that this names."""
        names = {
            PurePosixPath(word).as_posix() for text in texts for word in re.findall(r"[\w./@-]+", text[:READ_AT_MOST])
        }
        texts = (command, *texts, *(read(name) for name in sorted(names & have)))
        found.append(Benchmark(command, why, harness_of(*texts), unread(*texts)))

    for name in ("bench", "benchmark", "benchmarks", "perf"):
        if name in scripts:
            tail = " --" if "vitest bench" in scripts[name] else ""
            add(f"npm run --silent {name}{tail}", f"package.json has a script {name!r}", scripts[name])
    target = _make_target(have, read, ("bench", "benchmark", "benchmarks", "perf"))
    if target:
        add(f"make {target}", f"the Makefile has a target {target!r}", _recipe(have, read, target))
    rust = [f for f in benches if f.endswith(".rs")] if "Cargo.toml" in have else []
    criterion = [f"--bench {PurePosixPath(f).stem}" for f in rust if harness_of(read(f)) == "criterion"]
    if rust:
        # By name: the library's own tests do not know criterion's flags.
        command = " ".join(["cargo bench", *criterion]) if criterion else "cargo bench --quiet"
        text = "\n".join(map(read, rust))
        found.append(Benchmark(command, "there are Rust benchmarks", harness_of(text) or "bencher", unread(text)))
    go = [f for f in tests if f.endswith("_test.go") and "func Benchmark" in read(f)]
    if go:
        found.append(Benchmark("go test -run '^$' -bench . ./...", f"{go[0]} has Go benchmarks", "go"))
    fixture = r"def test_\w*\([^)]*\bbenchmark\b"
    marked = [f for f in (*tests, *benches) if f.endswith(".py") and re.search(fixture, read(f))]
    if marked:
        command = f"python3 -m pytest -q -p no:cacheprovider --benchmark-only {shlex.quote(marked[0])}"
        found.append(Benchmark(command, f"{marked[0]} uses pytest-benchmark", "pytest-benchmark"))
    if "asv.conf.json" in have:
        found.append(Benchmark("asv run", "there is an asv.conf.json", "asv"))
    for binary in _google_benchmarks(have, read):
        command = f'"$(find build -type f -name {binary} -print -quit)"'
        found.append(Benchmark(command, f"CMake builds the google-benchmark {binary}", "google-benchmark"))
    for f in benches:
        starter = RUNNABLE.get(PurePosixPath(f).suffix)
        text = read(f)
        if starter is None or f in marked or PurePosixPath(f).name.startswith(("__", "conftest", "setup")):
            continue
        if not text.strip() or (starter == "python3" and not _does_something(text)):
            continue
        add(f"{starter} {shlex.quote(f)}", f"{f} looks like a benchmark", text)
    return tuple(found[:6])


def _recipe(have: set[str], read: Callable[[str], str], target: str) -> str:
    """The lines of a Makefile's target."""
    texts = [read(name) for name in ("Makefile", "GNUmakefile", "makefile", "Makefile.am") if name in have]
    found = re.search(rf"^{target}\s*:.*\n((?:[\t#].*\n|\s*\n)*)", "\n".join(texts) + "\n", re.MULTILINE)
    return found[1] if found else ""


def _google_benchmarks(have: set[str], read: Callable[[str], str]) -> list[str]:
    """Targets of CMake that are linked with google-benchmark."""
    texts = [read(name) for name in sorted(have) if PurePosixPath(name).name == "CMakeLists.txt"]
    linked = r"target_link_libraries\(\s*([\w.+-]+)[^)]*\bbenchmark(?:::benchmark|_main)?\b[^)]*\)"
    return [name for text in texts for name in re.findall(linked, text)]


def _does_something(text: str) -> bool:
    """A Python file that does work when it is started, not only one that defines (an asv suite, a helper)."""
    return "__main__" in text or bool(re.search(r"^(?:for|while|with|print\(|\w+\()", text, re.MULTILINE))


def bundle(read: Callable[[str], str], have: set[str], scripts: Mapping[str, str]) -> tuple[str, ...]:
    """What an npm package sends to its users, where it is small enough to count by name."""
    if "package.json" not in have:
        return ()
    try:
        data = json.loads(read("package.json"))
    except ValueError:
        return ()
    if not isinstance(data, dict):
        return ()
    names = [data.get(key) for key in ("browser", "module", "main")] + ["index.js"]
    first = next((n.removeprefix("./") for n in names if isinstance(n, str)), "")
    if "build" in scripts:
        return ("dist",) if "dist" in first or first not in have else (first,)
    return (first,) if first in have else ()
