"""What kind of project this is: languages, build, tests, benchmarks and the files that hold the code.

Looks at names and at the text of a few well-known files; runs and writes nothing. `planning` makes a plan of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from autoresearch.prepare import toolchain
from autoresearch.prepare.toolchain import READ_AT_MOST, Benchmark, scripts_of
from autoresearch.workspace.customs import is_check, pattern_of

LANGUAGES = {
    ".py": "Python", ".pyx": "Cython", ".c": "C", ".h": "C", ".cc": "C++", ".cpp": "C++", ".cxx": "C++",
    ".hpp": "C++", ".hh": "C++", ".cu": "CUDA", ".rs": "Rust", ".go": "Go", ".js": "JavaScript",
    ".mjs": "JavaScript", ".cjs": "JavaScript",
    ".jsx": "JavaScript", ".ts": "TypeScript", ".tsx": "TypeScript", ".java": "Java", ".kt": "Kotlin", ".rb": "Ruby",
    ".swift": "Swift", ".zig": "Zig", ".cs": "C#", ".php": "PHP", ".lua": "Lua", ".hs": "Haskell", ".ml": "OCaml",
    ".ex": "Elixir", ".scala": "Scala", ".jl": "Julia", ".sh": "Shell", ".pl": "Perl",
}  # fmt: skip
_ASIDE = {"doc", "docs", "example", "examples", "sample", "samples", "demo", "demos", "script", "scripts",
          "tool", "tools", "ci", "contrib", "fuzz", "fuzzers", "fuzzing", "node_modules", "dist", "site", "fixtures",
          "testdata", "tasks"}  # fmt: skip
_VENDORED = {"vendor", "third_party", "thirdparty", "3rdparty", "external", "extern", "deps", "_vendor"}
_BENCHES = {"bench", "benches", "benchmark", "benchmarks", "perf", "performance"}
_NOT_SOURCE = {"setup.py", "conftest.py", "noxfile.py", "tasks.py", "manage.py", "versioneer.py", "fabfile.py",
               "gulpfile.js", "gruntfile.js", "configure", "build.rs"}  # fmt: skip
_GENERATED = ("*_pb2.py", "*.pb.go", "*.min.js", "*_generated.*")
# Files that say how something is built: flags are no improvement, so a candidate leaves them alone.
_RECIPES = (
    "Makefile", "CMakeLists.txt", "meson.build", "Cargo.toml", "setup.py", "package.json", "build.rs", "go.mod",
)  # fmt: skip


@dataclass(frozen=True)
class Survey:
    """The facts of a project; paths are relative to its root, with slashes."""

    name: str
    languages: dict[str, int]  # language -> number of its source files, most first
    builds: tuple[str, ...]  # files that say how it is built, the one to use first
    build: str  # a clean build command; empty = none
    setup: str  # what a fresh copy needs first (dependencies); empty = nothing
    environment: dict[str, str]  # variables by which a run finds the copy's own code
    tests: str  # a run-once test command; empty = none found
    test_files: tuple[str, ...]
    benchmarks: tuple[Benchmark, ...]
    bench_files: tuple[str, ...]
    scope: tuple[str, ...]
    off_limits: tuple[str, ...]
    packages: tuple[str, ...]  # importable top-level Python names
    bundle: tuple[str, ...]  # what an npm package ships, or a build's output directory
    scripts: dict[str, str]  # of package.json

    @property
    def language(self) -> str:
        return next(iter(self.languages), "")


def survey(root: Path, files: Iterable[str]) -> Survey:
    """Look at `files` (tracked paths, relative to `root`)."""

    def read(name: str) -> str:
        path = root / name
        if not path.is_file() or path.is_symlink() or path.stat().st_size > READ_AT_MOST:
            return ""
        return path.read_text("utf-8", "replace")

    return look(root.name, sorted(set(files)), read)


def look(name: str, files: list[str], read: Callable[[str], str]) -> Survey:
    """`survey` over any store of files: `read` gives a file's text, or nothing."""
    have = set(files)
    own = [f for f in files if not _VENDORED.intersection(_parts(f))]
    checked = toolchain.checked_sources(have, read)
    data = {f for f in own if _BENCHES.intersection(_parts(f)) and not is_source(f)}
    tests = tuple(f for f in own if (is_check(f) and f not in data) or f in checked)
    benches = tuple(f for f in own if _is_bench(f) and f not in tests)
    source = [
        f for f in files
        if PurePosixPath(f).suffix in LANGUAGES and f not in tests and f not in benches and not _is_aside(f)
    ]  # fmt: skip
    counted = Counter(LANGUAGES[PurePosixPath(f).suffix] for f in source)
    languages = dict(counted.most_common())
    if "Go" in languages and "go.mod" in have:
        languages = {"Go": languages.pop("Go"), **languages}
    scripts = scripts_of(read("package.json")) if "package.json" in have else {}
    packages = tuple(dict.fromkeys((*_packages(source), *toolchain.extension_names(have, read))))
    src_layout = any(f.startswith("src/") and f.endswith(".py") for f in source)
    environment = {"PYTHONPATH": "src" if src_layout else "."} if packages else {}
    builds, build = toolchain.build(have, source, scripts, read)
    return Survey(
        name=name, languages=languages, builds=builds, build=build,
        setup=toolchain.setup(have, read), environment=environment,
        tests=toolchain.tests(have, tests, scripts, read, builds), test_files=tests,
        benchmarks=toolchain.benchmarks(have, tests, benches, scripts, read), bench_files=benches,
        scope=_scope(source, languages), off_limits=_off_limits(files, source, tests),
        packages=packages, bundle=toolchain.bundle(read, have, scripts), scripts=scripts,
    )  # fmt: skip


# --- which file is what


def is_source(path: str) -> bool:
    """Whether its ending is a language's."""
    return PurePosixPath(path).suffix in LANGUAGES


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part.lower() for part in PurePosixPath(path).parts[:-1])


def _is_aside(path: str) -> bool:
    name = PurePosixPath(path).name.lower()
    parts = _parts(path)
    return (
        bool({*_ASIDE, *_VENDORED}.intersection(parts))
        or any(part.startswith(".") or part.endswith(".egg-info") for part in parts)
        or (not parts and (name in _NOT_SOURCE or ".config." in name or name.startswith(".")))
        or name.endswith((".d.ts", ".min.js"))
    )


def _is_bench(path: str) -> bool:
    name = PurePosixPath(path).name.lower()
    return PurePosixPath(path).suffix in LANGUAGES and (
        bool(_BENCHES.intersection(_parts(path)))
        or bool(re.match(r"(bench|benchmark|perf)s?([-_.].*)?\.[a-z]+$|.*([-_.](bench|benchmark|perf))\.[a-z]+$", name))
    )  # fmt: skip


def _packages(source: list[str]) -> tuple[str, ...]:
    """Importable names: directories with __init__.py and single modules, at the top or below src/."""
    found = []
    for base in ("src/", ""):
        for f in source:
            inside = PurePosixPath(f[len(base) :]) if f.startswith(base) else None
            if inside is None or inside.suffix != ".py":
                continue
            if len(inside.parts) == 2 and inside.name == "__init__.py":
                found.append(inside.parts[0])
            elif len(inside.parts) == 1 and re.fullmatch(r"[A-Za-z_]\w*\.py", inside.name):
                found.append(inside.stem)
    return tuple(dict.fromkeys(n for n in found if n != "src" and not n.startswith("__")))


def _scope(source: list[str], languages: Mapping[str, int]) -> tuple[str, ...]:
    """Globs of the directories and top-level files that hold the code of the main languages."""
    if not source:
        return ()
    first = max(languages.values())
    main = {language for language, count in languages.items() if count * 10 >= first}
    main = main - {"Shell", "Perl"} or main
    places: Counter[str] = Counter()
    for f in source:
        # A name that reads as a pattern would mean other files than itself.
        if LANGUAGES[PurePosixPath(f).suffix] not in main or re.search(r"[^\w./+@ -]|^!", f):
            continue
        parts = PurePosixPath(f).parts
        places[f"{parts[0]}/**" if len(parts) > 1 else f] += 1
    loose = [place for place in places if not place.endswith("/**")]
    if len(loose) > 4:
        endings = dict.fromkeys(PurePosixPath(place).suffix for place in loose)
        for place in loose:
            del places[place]
        places.update({f"/*{ending}": 1 for ending in endings})
    return tuple(place for place, _ in places.most_common(8))


def _off_limits(files: list[str], source: list[str], tests: Iterable[str]) -> tuple[str, ...]:
    """What lies among the code and is not to be touched: tests, build recipes, generated and vendored files."""
    tops = {PurePosixPath(f).parts[0] for f in source if "/" in f}
    inside = [f for f in files if PurePosixPath(f).parts[0] in tops or "/" not in f]
    found: list[str] = []
    for f in tests:
        if f in inside:
            found.append(pattern_of(f))
    names = {PurePosixPath(f).name for f in inside}
    found += [f"**/{recipe}" for recipe in _RECIPES if recipe in names]
    found += [shape for shape in _GENERATED if any(PurePosixPath(f).match(shape) for f in inside)]
    found += [f"**/{v}/**" for v in sorted(_VENDORED) if any(v in _parts(f) for f in inside)]
    return tuple(dict.fromkeys(found))[:12]
