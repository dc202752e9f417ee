"""From the facts of a project to a plan: what may be measured, with which scripts, and what may change. Pure.

Every draft says in its first lines where it comes from and what is weak about it; `dryrun` tries it.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from autoresearch.config import check_unit
from autoresearch.errors import BadInput
from autoresearch.prepare.aloud import MODULE, aloud, script_of
from autoresearch.prepare.drivers import SAID, STANDS_ON, Same, driver, said_module
from autoresearch.prepare.harnesses import EACH_SECONDS, HARNESSES, calibrated, harness_of, unread
from autoresearch.prepare.survey import Survey
from autoresearch.prepare.toolchain import Benchmark
from autoresearch.prepare.tracing import among
from autoresearch.project import READER
from autoresearch.verdict.units import is_rate, seconds_in
from autoresearch.workspace.scope import inside

# A run should last this long at least, or the clock and the start-up of processes drown what is measured.
AIM_SECONDS = 0.5
# Of the program's rounds, where they are paired: 30 of them while they fit into the first, 10 of the second at most.
PAIRED_SECONDS, LONGEST_ROUND = 1.8, 0.25


@dataclass(frozen=True)
class Option:
    """One way to measure this project. `body` are the script's commands; empty = the command is timed as a whole."""

    id: str
    metric: str
    unit: str
    direction: str
    command: str
    why: str
    body: str = ""  # of a harness, with what HARNESSES fills in
    repeats: bool = True  # whether more rounds make a run longer
    alone: str = ""  # why a frozen copy of the project is nothing to pair it with
    harness: str = ""  # whose own numbers it reads; how long such a run takes says nothing of them
    picked: str = ""  # for `--pick`, where it is not the id

    @property
    def own(self) -> bool:
        """Whether it is proposed here, and not what the user has."""
        return self.id not in ("given", "yours")


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
    # The text of the reader that stands beside a script with `metric --from`.
    reader: str = ""
    # Modules that a benchmark stands on, by name: texts of templates/*.py.
    modules: Mapping[str, str] = field(default_factory=dict)
    # Texts of the project's scripts that its benchmarks start, by name.
    texts: Mapping[str, str] = field(default_factory=dict)
    # Whether such a script is rewritten to say what it computes.
    aloud: bool = True
    # The directory for the benchmark's files.
    home: str = "evaluator"
    # Why there can be no copy of this project to pair the benchmark with; empty = there can.
    alone: str = ""
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
    paired: bool = False
    home: str = "evaluator"
    each: float = EACH_SECONDS  # for how long a harness measures each benchmark, about


def picked(choices: list[Option], pick: str) -> Option:
    """The first of `choices`, or the one that `pick` names: ID, or ID:METRIC for another metric that it prints."""
    name, _, metric = pick.partition(":")
    option = next((option for option in choices if option.id == (name or choices[0].id)), None)
    if option is None or (metric and not option.body):
        raise BadInput(f"no proposal is called {pick}", fix=f"Choose one of {', '.join(o.id for o in choices)}")
    if not metric:
        return option
    way = "higher" if is_rate(metric) else "lower"
    return replace(
        option, picked=pick, metric=metric, unit=_unit_in(metric), direction=way, why=f"{option.id}'s {metric}"
    )


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
        harness = harness_of(wishes.benchmark, wishes.drivers)
        reason = "" if harness else unread(wishes.benchmark, wishes.drivers)
        if reason:
            raise BadInput(f"{wishes.benchmark}: {reason}", fix="See docs/formats.md, or give another --benchmark")
        if harness:
            return [_of_harness("given", Benchmark(wishes.benchmark, "the command that you gave", harness))]
        return [_timed("given", "time_s", wishes.benchmark, "the command that you gave")]
    made = [
        *(_of_benchmark(n, bench) for n, bench in enumerate(found.benchmarks, 1) if not bench.unread),
        *_fallbacks(found),
    ]
    if wishes.metric:
        made = [option for option in made if option.metric == wishes.metric]
    if not made:
        unusable = "".join(f"; {bench.command}: {bench.unread}" for bench in found.benchmarks if bench.unread)
        what = f"measures {wishes.metric}" if wishes.metric else "can be measured as it is"
        raise BadInput(
            f"nothing in this project {what}: no benchmark, no tests, no package that could be started{unusable}",
            fix="Give the command: --benchmark 'COMMAND', with --metric NAME if it prints METRIC NAME=value itself",
            next="autoresearch init --plan --benchmark COMMAND",
        )
    return made


def _of_benchmark(number: int, bench: Benchmark) -> Option:
    name = f"bench{number}" if number > 1 else "bench"
    return _of_harness(name, bench) if bench.harness else _timed(name, "time_s", bench.command, bench.why)


def _of_harness(name: str, bench: Benchmark) -> Option:
    """What a harness measures itself, read from its results: the time of the whole of it would say nothing."""
    made = HARNESSES[bench.harness]
    why = f"{bench.why}: the geometric mean of what {bench.harness} measures"
    return Option(
        name, made.metric, made.unit, made.direction, bench.command, why, made.body(bench.command), repeats=False,
        harness=bench.harness,
    )  # fmt: skip


def _fallbacks(found: Survey) -> list[Option]:
    """What every project of its kind has: honest numbers, though seldom the one that matters most."""
    made = []
    if found.tests:
        why = "no benchmark is needed: the time of the test suite"
        made.append(_timed("tests", "tests_s", found.tests, why, alone="a test suite is not one piece of work"))
    for package in found.packages[:1]:
        made.append(_timed("import", "import_s", f"python3 -c 'import {package}'", f"the time to import {package}"))
    entry = found.bundle[0] if found.bundle and found.bundle[0].endswith((".js", ".mjs", ".cjs")) else ""
    if entry and not found.build:
        load = f"import({json.dumps('./' + entry)})"
        made.append(_timed("import", "import_s", f"node -e {shlex.quote(load)}", f"the time to load {entry}"))
    if found.bundle:
        made.append(_size(found.bundle[0]))
    if found.build and not found.build.startswith(("npm", "python3")):
        why, alone = "the time of a clean build (a run per copy)", "a build is not repeated in one tree"
        made.append(_timed("build", "build_s", found.build, why, repeats=False, alone=alone))
    return made


def _timed(name: str, metric: str, command: str, why: str, *, repeats: bool = True, alone: str = "") -> Option:
    return Option(name, metric, "s", "lower", command, why, repeats=repeats, alone=alone)


def _size(target: str) -> Option:
    why = f"the size of {target} as users load it, gzipped"
    return Option("size", "bundle_bytes", "bytes", "lower", f"gzip {target}", why, _gzipped(target), False)


def _printing(name: str, metric: str, wishes: Wishes, command: str, why: str) -> Option:
    return _as_is(name, metric, wishes, command, why, f"{command}\n")


def _as_is(name: str, metric: str, wishes: Wishes, command: str, why: str, text: str) -> Option:
    unit = wishes.unit or _unit_in(metric)
    way = wishes.direction or ("higher" if is_rate(metric, unit) else "lower")
    return Option(name, metric, unit, way, command, why, text, repeats=False)


def _unit_in(metric: str) -> str:
    """The unit that a metric's name ends in; empty where it does not."""
    ending = metric.rpartition("_")[2]
    timed = seconds_in(metric) is not None and seconds_in(ending) is not None
    return ending if timed or ending in ("bytes", "allocs") else ""


def _printed(script: str) -> str:
    """The metric that a script prints, by itself or with one of the signing helpers; empty = none is seen."""
    script = re.sub(r"(?m)^\s*#.*$", "", script)  # what the template explains is not what is printed
    read = re.search(r"\bmetric --from ([\w.-]+)", script)
    if read and read[1] in HARNESSES:
        return HARNESSES[read[1]].metric
    name = r"([A-Za-z0-9_.µ]+)"
    found = re.search(rf"\bMETRIC {name}=", script) or re.search(rf"""\bmetric[( ]["']{name}["'=]""", script)
    return found[1] if found else ""


def _signs(script: str) -> bool:
    return "signed_metric" in script or "AUTORESEARCH_TOKEN" in script


_UNTRIED = "it does not run in a copy, or there was no time to try that: --timeout 110"


def better(
    found: Survey,
    option: Option,
    wishes: Wishes,
    seconds: float,
    *,
    took: float = 0.0,
    benchmarks: int = 0,
    said: tuple[bytes, ...] = (),
) -> Iterator[Plan]:
    """Plans for a command whose round takes `seconds` and printed `said`, to be tried in this order until one runs.

    A harness that has measured `benchmarks` and `took` seconds is to measure the same ones, for as long as suits.
    """
    if benchmarks:
        yield draft(found, option, wishes, expect=benchmarks, each=calibrated(took))
    if option.body:
        return
    enough = round(AIM_SECONDS / max(seconds, 0.005))
    pairs = max(10, min(30, round(PAIRED_SECONDS / seconds)), min(100, enough))
    alone = option.alone or wishes.alone
    if not alone and seconds > LONGEST_ROUND:
        alone = f"a round takes {seconds:.2g} s, and a run needs 20 at least: measure a smaller part"
    if not alone:
        ways: tuple[Same, ...] = ("aloud", "exact", "alike")
        for same in ways if _spoken(option, wishes) else ways[1:]:
            yield draft(found, option, wishes, pairs, nominal=seconds, same=same, said=said)
    more = option.repeats and seconds < AIM_SECONDS
    rounds = min(200, max(2, enough)) if more else 1
    yield draft(found, option, replace(wishes, alone=alone or _UNTRIED), rounds, said=said)


def _spoken(option: Option, wishes: Wishes) -> tuple[str, list[str]] | None:
    """The option's script as one that says what it computes, and its arguments; None where there is none."""
    script = script_of(option.command) if wishes.aloud and not option.body else None
    if script is None:
        return None
    name, _, code = script[0].partition("\n")
    known = code or wishes.texts.get(name, "")
    text = aloud(name, known) if known else ""
    return (text, script[1]) if text else None


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


def draft(
    found: Survey, option: Option, wishes: Wishes, rounds: int = 1, nominal: float = 0.0, *, same: Same = "aloud",
    said: tuple[bytes, ...] = (), expect: int = 0, each: float = EACH_SECONDS, count: bool = False,
) -> Plan:  # fmt: skip
    """The plan for one option: scripts, settings, and why each is as it is; paired where `nominal` is given.

    `said` is what the command has printed, which one that is not paired has to print again.
    A harness measures each benchmark for about `each` seconds; there have to be `expect` of them (0: as many as there
    are), or with `count` it prints how many there were.
    """
    build = wishes.build if wishes.build is not None else "" if option.id == "build" else found.build
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in found.environment.items())
    files = {}
    spoken = _spoken(option, wishes) if same == "aloud" else None
    if "autoresearch.sh" not in wishes.scripts:
        # A driver that signs its own results needs the token.
        signing = "" if option.id == "given" and _signs(wishes.drivers) else wishes.signing
        text = option.body
        if option.harness:
            text = HARNESSES[option.harness].body(option.command, each, expect, count=count)
        body = signing + exports + text if text else f"exec python3 {wishes.home}/bench.py\n"
        files["autoresearch.sh"] = _script(_warning(option), body)
        if not option.body:
            needed = (*STANDS_ON, "loud.py") if spoken else STANDS_ON
            made = {name: text for name, text in wishes.modules.items() if name in needed}
            made |= {MODULE: spoken[0]} if spoken else {}
            made |= {SAID: said_module(said)} if said and not nominal else {}
            made["bench.py"] = driver(
                option.command, option.metric, found.environment, wishes.home, rounds, nominal,
                same=same if spoken or same == "exact" else "alike", warm=not option.alone,
                arguments=spoken[1] if spoken else None,
            )  # fmt: skip
            files |= {f"{wishes.home}/{name}": text for name, text in made.items()}
        if "metric --from" in option.body and READER not in wishes.scripts:
            files[READER] = wishes.reader
    tests = wishes.checks or found.tests
    if "autoresearch.checks.sh" not in wishes.scripts:
        smoke = _smoke(found)
        if tests:
            files["autoresearch.checks.sh"] = _script(_CHECKS_NOTE, f"{exports}{tests}\n")
        elif smoke:
            files["autoresearch.checks.sh"] = _script(_SMOKE_NOTE, f"{exports}{smoke}\n")
    set_up = wishes.setup and (not wishes.checks or bool(build) or option.id.startswith(("bench", "tests")))
    steps = f"{found.setup}\n" if found.setup and set_up else ""
    steps += (
        f"(cd {wishes.home}/reference && {build})  # before the candidate's own build\n" if nominal and build else ""
    )
    if steps and "setup_deps.sh" not in wishes.scripts:
        files["setup_deps.sh"] = _script("What a fresh copy needs before its build.", steps)
    scope = wishes.scope or found.scope
    reasons = [
        f"{option.metric}: {option.why}",
        f"checks: {tests}" if tests else "checks: NO TESTS FOUND, only a smoke test: write better ones first",
        f"build: {build or 'nothing to build'}"
        + (f" ({found.builds[0]})" if build and found.builds and wishes.build is None else ""),
        "scope: as you gave it" if wishes.scope else f"scope: where the {found.language or 'source'} files are",
    ]
    if not option.body:
        told = f"each round with one of {wishes.home}/reference, a copy of the project as it is now"
        reasons.append(f"paired: {told}" if nominal else f"not paired: {wishes.alone or option.alone or 'not tried'}")
        if not spoken and said and not any(map(bytes.strip, said)):
            reasons.append("WEAK: it prints nothing, so one that ends at once looks fast: print what it computes")
    reasons += [f"passed over: {bench.command}: {bench.unread}" for bench in found.benchmarks if bench.unread]
    if found.setup and not wishes.setup:
        reasons.append(f"setup: left out, as it fails here and nothing needs it: {found.setup}")
    frozen = (*(wishes.evaluator or _frozen(found)), *(() if option.body else (f"{wishes.home}/**",)))
    return Plan(
        option, files, build, scope, (*wishes.off_limits, *(() if wishes.scope else found.off_limits)),
        frozen, tuple(reasons), rounds, nominal > 0, wishes.home, each,
    )  # fmt: skip


def without_checked(plan: Plan, checked: set[str] | None, files: list[str], known: list[str]) -> Plan:
    """The plan with what only the checks open (`tracing.only_checked`) taken out of its scope, among `files`.

    `known` are the files that are the evaluator's by their names. None: it was not traced, which the plan says.
    """
    if checked is None:
        told = "not traced: which files the checks open, as no access times are kept here"
        return replace(plan, reasons=(*plan.reasons, told))
    within = [name for name in inside(files, plan.scope, plan.off_limits) if name not in known]
    held = [name for name in among(checked, within) if not re.search(r"[^\w./+@ -]|^!", name)]
    if not held or len(held) == len(within):
        return plan
    patterns: dict[str, None] = {}
    for name in held:
        top = f"{PurePosixPath(name).parent}/"
        whole = top != "./" and all(other in held for other in within if other.startswith(top))
        patterns[f"{top}**" if whole else name] = None
    told = f"off limits, too: {len(held)} files that the checks open and neither build nor benchmark does"
    return replace(plan, off_limits=(*plan.off_limits, *patterns), reasons=(*plan.reasons, told))


_CHECKS_NOTE = "The project's tests. Add comparisons with good outputs: what is not checked will be optimised away."
_SMOKE_NOTE = "ONLY A SMOKE TEST, as no tests were found. Write real checks before the baseline."


def _warning(option: Option) -> str:
    if not option.own and not option.repeats:
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
