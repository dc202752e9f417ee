"""From the facts of a project to a plan: what may be measured, with which scripts, and what may change. Pure.

Every draft says in its first lines where it comes from and what is weak about it; `dryrun` tries it.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from autoresearch.config import check_unit
from autoresearch.errors import BadInput
from autoresearch.prepare.survey import Survey
from autoresearch.verdict.units import seconds_in

# A run should last this long at least, or the clock and the start-up of processes drown what is measured.
AIM_SECONDS = 0.5


@dataclass(frozen=True)
class Option:
    """One way to measure this project. `body` makes the script's commands for a number of rounds."""

    id: str
    metric: str
    unit: str
    direction: str
    command: str
    why: str
    body: Callable[[int], str]
    repeats: bool = True  # whether more rounds make a run longer


@dataclass(frozen=True)
class Wishes:
    """What the user has said already; empty = up to the plan."""

    metric: str = ""
    unit: str = ""
    direction: str = ""
    benchmark: str = ""
    checks: str = ""
    build: str | None = None  # "" = there is nothing to build
    scope: tuple[str, ...] = ()
    off_limits: tuple[str, ...] = ()
    evaluator: tuple[str, ...] = ()
    # How a script signs its results: shell lines that define the function `metric`.
    signing: str = ""
    # The text of the files that the given benchmark names.
    drivers: str = ""
    # Whether a fresh copy needs its dependencies installed; False = tried, and it goes without.
    setup: bool = True
    # Scripts that stand in the project already, by name.
    scripts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_unit(self.unit, "--unit")


@dataclass(frozen=True)
class Plan:
    """A draft session: the files it would write, and the settings for autoresearch.yaml."""

    option: Option
    files: dict[str, str]
    build: str
    scope: tuple[str, ...]
    off_limits: tuple[str, ...]
    evaluator: tuple[str, ...]
    reasons: tuple[str, ...]
    rounds: int = 1


def options(found: Survey, wishes: Wishes) -> list[Option]:
    """What could be measured here, the best first. `BadInput` when nothing is known to run."""
    given = wishes.scripts.get("autoresearch.sh")
    if given is not None:
        metric = wishes.metric or _printed(given) or "time_s"
        return [_as_is("yours", metric, wishes, "bash autoresearch.sh", "autoresearch.sh is here already", given)]
    printed = wishes.metric or (_printed(wishes.drivers) if wishes.benchmark else "")
    if wishes.benchmark and printed:
        return [_printing("given", printed, wishes, wishes.benchmark, "the command that you gave")]
    if wishes.benchmark:
        return [_timed("given", "time_s", wishes.benchmark, "the command that you gave")]
    made = [
        *(_of_benchmark(n, command, why, found) for n, (command, why) in enumerate(found.benchmarks, 1)),
        *_fallbacks(found),
    ]
    if wishes.metric:
        made = [option for option in made if option.metric == wishes.metric]
    if not made:
        what = f"measures {wishes.metric}" if wishes.metric else "can be measured as it is"
        raise BadInput(
            f"nothing in this project {what}: no benchmark, no tests, no package that could be started",
            fix="Give the command: --benchmark 'COMMAND', with --metric NAME if it prints METRIC NAME=value itself",
            next="autoresearch init --plan --benchmark COMMAND",
        )
    return made


def _of_benchmark(number: int, command: str, why: str, found: Survey) -> Option:
    name = f"bench{number}" if number > 1 else "bench"
    if command.startswith(("go test", "cargo bench")):
        go = command.startswith("go")
        metric, word = ("ns_per_op", "ns/op") if go else ("ns_per_iter", "ns/iter")
        pattern = r"\s([0-9.]+) ns/op" if go else r"bench:\s+([0-9,.]+) ns/iter"
        return Option(
            name, metric, "ns", "lower", command, f"{why}: geometric mean of {word}",
            lambda _: _mean_of(metric, command, pattern), repeats=False,
        )  # fmt: skip
    return _timed(name, "time_s", command, why)


def _fallbacks(found: Survey) -> list[Option]:
    """What every project of its kind has: honest numbers, though seldom the one that matters most."""
    made = []
    if found.tests:
        made.append(_timed("tests", "tests_s", found.tests, "no benchmark is needed: the time of the test suite"))
    for package in found.packages[:1]:
        made.append(_timed("import", "import_s", f"python3 -c 'import {package}'", f"the time to import {package}"))
    entry = found.bundle[0] if found.bundle and found.bundle[0].endswith((".js", ".mjs", ".cjs")) else ""
    if entry and not found.build:
        load = f"import({json.dumps('./' + entry)})"
        made.append(_timed("import", "import_s", f"node -e {shlex.quote(load)}", f"the time to load {entry}"))
    if found.bundle:
        made.append(_size(found.bundle[0]))
    if found.build and not found.build.startswith(("npm", "python3")):
        made.append(
            _timed("build", "build_s", found.build, "the time of a clean build (a run per copy)", repeats=False)
        )
    return made


def _timed(name: str, metric: str, command: str, why: str, *, repeats: bool = True) -> Option:
    return Option(name, metric, "s", "lower", command, why, lambda rounds: _clock(metric, command, rounds), repeats)


def _size(target: str) -> Option:
    why = f"the size of {target} as users load it, gzipped"
    return Option("size", "bundle_bytes", "bytes", "lower", f"gzip {target}", why, lambda _: _gzipped(target), False)


def _printing(name: str, metric: str, wishes: Wishes, command: str, why: str) -> Option:
    return _as_is(name, metric, wishes, command, why, f"{command}\n")


def _as_is(name: str, metric: str, wishes: Wishes, command: str, why: str, text: str) -> Option:
    ending = metric.rpartition("_")[2]
    unit = wishes.unit or (ending if seconds_in(metric) is not None and seconds_in(ending) is not None else "")
    return Option(name, metric, unit, wishes.direction or "lower", command, why, lambda _: text, repeats=False)


def _printed(script: str) -> str:
    """The metric that a script prints, by itself or with one of the signing helpers; empty = none is seen."""
    name = r"([A-Za-z0-9_.µ]+)"
    found = re.search(rf"\bMETRIC {name}=", script) or re.search(rf"""\bmetric[( ]["']{name}["'=]""", script)
    return found[1] if found else ""


def _signs(script: str) -> bool:
    return "signed_metric" in script or "AUTORESEARCH_TOKEN" in script


def _clock(metric: str, command: str, rounds: int) -> str:
    """Times `command` as a whole, `rounds` times in a row; its output is shown only when it fails."""
    return f"""export BENCH_COMMAND={shlex.quote(command)} BENCH_ROUNDS={rounds}
seconds=$(python3 - <<'PY'
import os, subprocess, sys, time

command, rounds = os.environ["BENCH_COMMAND"], int(os.environ["BENCH_ROUNDS"])
begun = time.perf_counter()
for _ in range(rounds):
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    if done.returncode:
        sys.stderr.buffer.write(done.stdout[-4000:])
        sys.exit(1)
print(f"{{(time.perf_counter() - begun) / rounds:.6f}}")
PY
)
metric "{metric}=$seconds"
"""


def _mean_of(metric: str, command: str, pattern: str) -> str:
    """Runs `command` and prints the geometric mean of the numbers that `pattern` finds in its output."""
    return f"""output=$({command} 2>&1) || {{ printf '%s\\n' "$output" >&2; exit 1; }}
mean=$(printf '%s\\n' "$output" | python3 -c '
import math, re, sys
found = [float(n.replace(",", "")) for n in re.findall(r"{pattern}", sys.stdin.read())]
if not found:
    sys.exit("the benchmark printed no result")
print("%.3f" % math.exp(sum(map(math.log, found)) / len(found)))
')
metric "{metric}=$mean"
"""


def _gzipped(target: str) -> str:
    return f"""sizes=$(python3 - {shlex.quote(target)} <<'PY'
import gzip, pathlib, sys

top = pathlib.Path(sys.argv[1])
files = sorted(p for p in top.rglob("*") if p.is_file() and p.suffix != ".map") if top.is_dir() else [top]
if not files:
    sys.exit(f"{{top}} holds no file")
print(sum(len(gzip.compress(p.read_bytes(), 9, mtime=0)) for p in files), sum(p.stat().st_size for p in files))
PY
)
metric "bundle_bytes=${{sizes% *}}"
metric "raw_bytes=${{sizes#* }}"
"""


def draft(found: Survey, option: Option, wishes: Wishes, rounds: int = 1) -> Plan:
    """The plan for one option: scripts, settings, and why each is as it is."""
    build = wishes.build if wishes.build is not None else "" if option.id == "build" else found.build
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in found.environment.items())
    files = {}
    if "autoresearch.sh" not in wishes.scripts:
        # A driver that signs its own results needs the token.
        signing = "" if option.id == "given" and _signs(wishes.drivers) else wishes.signing
        files["autoresearch.sh"] = _script(_warning(option), signing + exports + option.body(rounds))
    tests = wishes.checks or found.tests
    if "autoresearch.checks.sh" not in wishes.scripts:
        smoke = _smoke(found)
        if tests:
            files["autoresearch.checks.sh"] = _script(_CHECKS_NOTE, f"{exports}{tests}\n")
        elif smoke:
            files["autoresearch.checks.sh"] = _script(_SMOKE_NOTE, f"{exports}{smoke}\n")
    needed = wishes.setup and (not wishes.checks or bool(build) or option.id.startswith(("bench", "tests")))
    if found.setup and needed and "setup_deps.sh" not in wishes.scripts:
        files["setup_deps.sh"] = _script("Dependencies of a fresh copy.", f"{found.setup}\n")
    scope = wishes.scope or found.scope
    reasons = [
        f"{option.metric}: {option.why}",
        f"checks: {tests}" if tests else "checks: NO TESTS FOUND, only a smoke test: write better ones first",
        f"build: {build or 'nothing to build'}"
        + (f" ({found.builds[0]})" if build and found.builds and wishes.build is None else ""),
        "scope: as you gave it" if wishes.scope else f"scope: where the {found.language or 'source'} files are",
    ]
    if found.setup and not wishes.setup:
        reasons.append(f"setup: left out, as it fails here and nothing needs it: {found.setup}")
    return Plan(
        option, files, build, scope, (*wishes.off_limits, *(() if wishes.scope else found.off_limits)),
        wishes.evaluator or _frozen(found), tuple(reasons), rounds,
    )  # fmt: skip


_CHECKS_NOTE = "The project's tests. Add comparisons with good outputs: what is not checked will be optimised away."
_SMOKE_NOTE = "ONLY A SMOKE TEST, as no tests were found. Write real checks before the baseline."


def _warning(option: Option) -> str:
    if option.id in ("yours", "given") and not option.repeats:
        return "Runs the command, which prints its own METRIC line."
    if option.repeats or option.id == "build":
        return f"{option.why}. It times the whole command: narrow it to the hot part where you can."
    return f"{option.why}."


def _script(note: str, body: str) -> str:
    # A file name could hold a line end, and would then leave the comment.
    note = " ".join(note.split())
    return f"#!/usr/bin/env bash\n# Draft by autoresearch init --plan: {note}\nset -euo pipefail\n{body}"


def _smoke(found: Survey) -> str:
    if found.packages:
        return f"python3 -c {shlex.quote('import ' + ', '.join(found.packages[:3]))}"
    if found.language == "JavaScript":
        files = [place for place in found.scope if place.endswith((".js", ".mjs", ".cjs")) and "*" not in place]
        return "\n".join(f"node --check {shlex.quote(name)}" for name in files)
    return ""


def _frozen(found: Survey) -> tuple[str, ...]:
    """Globs of benchmark and test files; a tree of many hundred is left to `scope`, which keeps it as well."""
    globs: dict[str, None] = {}
    if len(found.bench_files) + len(found.test_files) > 600:
        return ()
    for path in (*found.bench_files, *found.test_files):
        top, _, rest = path.partition("/")
        if not rest:
            globs[path] = None
        elif re.fullmatch(r"(?i)_*(tests?|specs?|bench\w*|perf\w*|t)_*", top):
            globs[f"{top}/**"] = None
        else:
            globs[path] = None
    plain = [g for g in globs if not re.search(r"[*?\[]", g.removesuffix("/**"))]
    return tuple(plain) if len(plain) <= 12 else tuple(g for g in plain if g.endswith("/**"))
