"""The usual mistakes of a benchmark, its drivers and its checks, found in their text. Pure: text in, mistakes out.

A mistake is a warning, not a proof: the rules are patterns over lines, without the comments. `doctor` shows them,
and `init --plan` holds its own drafts against them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from autoresearch.prepare.lint_rules import RULES, TIMED, ScriptKind
from autoresearch.verdict.units import seconds_in

DRIVER_SUFFIXES = (
    ".py", ".js", ".mjs", ".cjs", ".ts", ".sh", ".rb", ".pl", ".go", ".rs", ".c", ".cc", ".cpp",
)  # fmt: skip


@dataclass(frozen=True)
class Mistake:
    """One finding: `rule` is its short name, `line` counts from 1 (0 = the whole text)."""

    rule: str
    line: int
    found: str
    fix: str


def lint(
    text: str,
    kind: ScriptKind = "benchmark",
    *,
    metric: str = "",
    scripts: Mapping[str, str] | None = None,
    root: str = "",
) -> list[Mistake]:
    """Mistakes of one file's text, by line.

    `metric` is the objective's name (a build inside is right where build time is measured), `scripts` the scripts
    of package.json (looked into where `npm test` or `npm run x` calls one), `root` the project's own path. What is
    meant says so in a comment: `# lint: allow RULE`, on its line, or on a line of its own for the whole file.
    """
    lines = _code_lines(text)
    whole = "\n".join(lines)
    found: list[Mistake] = []
    if kind != "driver":
        found += _strict(whole)
    for rule in RULES:
        if kind not in rule.kinds or (rule.unless_metric and re.search(rule.unless_metric, metric)):
            continue
        if rule.unless_anywhere and re.search(rule.unless_anywhere, whole, re.MULTILINE):
            continue
        for number, line in enumerate(_expanded(lines, scripts or {}), 1):
            if re.search(rule.pattern, line) and not (rule.unless and re.search(rule.unless, line)):
                found.append(Mistake(rule.name, number, rule.found, rule.fix))
                break
    if root and len(root) > 4 and root in whole:
        found.append(
            Mistake(
                "elsewhere", _line_of(lines, root),
                "it names the project by its absolute path, so that no copy of it is measured",
                "Use relative paths: it runs in a copy, once for each side",
            )
        )  # fmt: skip
    if kind in TIMED:
        found += _clocked(lines, metric)
        found += _units(lines)
        found += _left_running(lines)
    meant = _meant(text)
    return sorted(
        (m for m in _once(found) if (m.rule, m.line) not in meant and (m.rule, 0) not in meant), key=lambda m: m.line
    )


def lint_unit(metric: str, unit: str, value: float, wall_seconds: float) -> Mistake | None:
    """Holds a printed time against the clock on the wall; `unit` may be empty, then the name says it.

    >>> lint_unit("time_s", "s", 731.0, 0.8).rule
    'unit'
    """
    scale = seconds_in(metric, unit)
    if scale is None or wall_seconds <= 0 or value <= 0:
        return None
    says = value * scale
    if says > 1.2 * wall_seconds:
        return Mistake(
            "unit", 0, f"{metric} says {says:.3g} s, but the whole run took {wall_seconds:.3g} s",
            "The unit is wrong, or the result was cached",
        )  # fmt: skip
    for factor in (1e3, 1e6, 1e9):
        # A hot part of exactly the run's length, but for a factor between units, is a unit and not a hot part.
        if wall_seconds > 0.2 and 0.6 < says * factor / wall_seconds < 1.05:
            return Mistake(
                "unit", 0,
                f"{metric} says {says:.3g} s of a run of {wall_seconds:.3g} s: is the unit off by {factor:.0f}?",
                "Print the value in the unit that its name says",
            )  # fmt: skip
    return None


def is_driver(path: str) -> bool:
    """Whether a frozen file is code that the benchmark runs, by its ending."""
    return PurePosixPath(path).suffix in DRIVER_SUFFIXES


def _code_lines(text: str) -> list[str]:
    """The lines with comments emptied, so that numbers still count; a continued line is joined to its first."""
    out: list[str] = []
    carry = 0
    for raw in text.splitlines():
        line = "" if re.match(r"\s*(?:#(?!include|define)|//)", raw) else re.sub(r"\s#\s.*$", "", raw)
        if carry and out:
            out[-carry] += " " + line.strip().removesuffix("\\")
            out.append("")
        else:
            out.append(line.removesuffix("\\"))
        carry = carry + 1 if line.endswith("\\") else 0
    return out


def _meant(text: str) -> set[tuple[str, int]]:
    """(rule, line) of comments `lint: allow RULE`; such a comment alone on its line holds for the whole text."""
    found = set()
    for number, line in enumerate(text.splitlines(), 1):
        for allowed in re.finditer(r"(?:#|//)\s*lint: allow ([a-z-]+)", line):
            found.add((allowed[1], number if line[: allowed.start()].strip() else 0))
    return found


def _expanded(lines: list[str], scripts: Mapping[str, str]) -> Iterator[str]:
    for line in lines:
        called = re.search(r"\b(?:npm|pnpm|yarn|bun)\s+(?:run(?:-script)?\s+)?(?:-\S+\s+)*([\w:.-]+)", line)
        script = scripts.get(called[1], "") if called else ""
        yield f"{line} ; {script}" if script else line


def _strict(whole: str) -> Iterator[Mistake]:
    errexit = re.search(r"^\s*set\s+-[a-z]*e|^\s*set\s+.*-o\s+errexit|^#!.*\b(?:ba)?sh\s+-[a-z]*e", whole, re.MULTILINE)
    if not errexit or "pipefail" not in whole:
        yield Mistake("strict", 0, "no 'set -euo pipefail': a failing step may go unseen", "Put it on line 2")


_CLOCK = (
    r"date\s+\+%s|EPOCHREALTIME|\$SECONDS|^\s*SECONDS=|perf_counter|time\.time\(\)|monotonic\("
    r"|performance\.now"
    r"|hrtime|Instant::now|\.elapsed\(|clock_gettime|steady_clock|high_resolution_clock|time\.Now\("
    r"|time\.Since\("
)
_SETTING_UP = (
    r"\bopen\(|json\.loads?\(|\.read_(?:text|bytes)\(|readFileSync|pickle\.load|np\.load"
    r"|^\s*(?:import|from)\s+\w|\brequire\("
    r"|(?:^|\s)(?:mkdir|cp|tar|gunzip|unzip|gzip|seq|git)\s|\bgenerate_?\w*\(|\bmake_(?:data|input)\w*\("
    r"|\bsetup\(|\brandom\.\w+\("
)


def _clocked(lines: list[str], metric: str) -> Iterator[Mistake]:
    """Setting-up between the clock's start and its stop."""
    stamps = [number for number, line in enumerate(lines) if re.search(_CLOCK, line) and "import" not in line]
    if len(stamps) < 2 or re.search(r"import|load|startup|build|setup|boot", metric):
        return
    for number in range(stamps[0] + 1, stamps[-1]):
        line = lines[number]
        if number not in stamps and re.search(_SETTING_UP, line):
            yield Mistake(
                "setup-inside", number + 1, "loading or preparing between the clock's start and its stop",
                "Start the clock after it",
            )  # fmt: skip
            return


def _units(lines: list[str]) -> Iterator[Mistake]:
    """A printed unit that the clock's own does not have, with no factor between them anywhere in the text."""
    whole = "\n".join(lines)
    if re.search(
        r"[*/]\s*(?:1e|1_?000|10\*\*)|\b(?:1_?000|1e\d)\S*\s*\*|\b1e-?[369]\b|scale=|\.as_(?:secs|millis|micros|nanos)",
        whole,
    ):
        return
    own = next(
        (unit for pattern, unit in (
            (r"%s%N|perf_counter_ns|time_ns\(|monotonic_ns|hrtime\.bigint", "ns"),
            (r"performance\.now|Date\.now|%s%3N", "ms"),
            (r"perf_counter\(|time\.time\(|monotonic\(|EPOCHREALTIME|date \+%s\b|%s\.%N|\$SECONDS", "s"),
        ) if re.search(pattern, whole)),
        None,
    )  # fmt: skip
    for number, line in enumerate(lines, 1):
        printed = re.search(r"(?:METRIC\s+|\bmetric\(?\s*[\"'])\w*_([^\W_]+)[=\"']", line)
        says = seconds_in(printed[1]) if printed else None
        if own and printed and says is not None and says != seconds_in(own):
            yield Mistake(
                "unit", number, f"the clock counts {own}, but the metric's name says {printed[1]}",
                "Convert the value, or name the metric by its unit",
            )  # fmt: skip
            return


def _left_running(lines: list[str]) -> Iterator[Mistake]:
    whole = "\n".join(lines)
    if re.search(r"\bkill\b|\bwait\b|\btrap\b|\.terminate\(|\.kill\(", whole):
        return
    for number, line in enumerate(lines, 1):
        if re.search(r"\bnohup\b|\bsetsid\b|\bdisown\b|[^&|>]&\s*$", line) and not re.search(r"&&\s*$|>&\s*$", line):
            yield Mistake(
                "left-running", number, "a process goes on after the run, into the next measurement",
                "trap 'kill $pid' EXIT",
            )  # fmt: skip
            return


def _line_of(lines: list[str], text: str) -> int:
    return next((number for number, line in enumerate(lines, 1) if text in line), 0)


def _once(found: list[Mistake]) -> Iterator[Mistake]:
    """One line does not say the same thing twice."""
    seen = set()
    for mistake in found:
        key = (mistake.rule, mistake.line)
        if key not in seen:
            seen.add(key)
            yield mistake
