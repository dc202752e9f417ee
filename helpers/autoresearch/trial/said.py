"""What a command's output says, so that two runs can be compared: facts, each with how often it was said. Pure.

What changes between two runs of the same program is masked: times, dates, addresses, paths, sizes, other numbers. Of a
known test runner the facts are what it tells of tests, its summaries and the lines of single ones; of any other output
they are its lines, the numbers of what was counted in them ("12 cases"), and digests. Only what is *missing* is ever
held against a candidate: more tests, lines and warnings are none of our business.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from typing import Callable, Dict, Iterator, List, NamedTuple, Tuple, Union

from autoresearch import safetext

# Of more text, or more lines, the first and the last half are looked at, of a line its beginning.
MOST_TEXT, MOST_LINES, MOST_LINE = 1 << 19, 10000, 400
# How a test and a number are marked among the facts, which are else lines: these characters are in no line.
TEST, _NUMBER_OF = "\1", "\2"

_TIME = r"(?:ns|nsecs?|us|µs|μs|usecs?|ms|msecs?|s|secs?|seconds?|min|mins|minutes?|h|hours?)"
_NUMBER = r"[+-]?(?:\d{1,3}(?:[,_]\d{3})+|\d+)(?:\.\d+)?(?:[eE][+-]?\d+)?"
_DAY, _MONTH = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)", "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_COUNTED = (
    r"tests?|test[ -]cases?|test[ -](?:files|suites?|programs?)|cases?|checks?|passed|passing|pass"
    r"|assertions?|examples?|specs?|suites?|inputs?|answers?|requests?|records?|items?|samples?|documents?|games?|mutants?"
    r"|scenarios?|vectors?|problems?|ok|successful|succeeded|verified|compared|checked"
)
_EXACT = re.compile(r"\b((?:check ?sum|digest|sha-?\d*|md5|crc-?\d*)\b\W{0,3})([0-9a-fA-F]{4,128})\b", re.IGNORECASE)
_MASKS: Tuple[Tuple["re.Pattern[str]", Union[str, Callable[["re.Match[str]"], str]]], ...] = (
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "#"),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "#"),
    # A path's directories: the stage, a temporary place. Its last name says what it is about, unless it is drawn.
    (re.compile(r"(?<![\w.:/])(?:[A-Za-z]:)?(?:/[^\s/:'\"()<>|]+)*/(?=(?:[^\s/:'\"()<>|,]*))"), "/"),
    (re.compile(r"/(?:tmp|tmp\.|pytest-)[\w.-]+"), "/#"),
    (re.compile(rf"\b{_DAY}[a-z]*\b,?(?=\s)|\b{_MONTH}[a-z]*\b\.?(?=\s+\d)|(?<=\d)\s+{_MONTH}\b|\b[AP]M\b"), "#"),
    (re.compile(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"), "#"),
    (re.compile(r"\b\d{1,2}:\d\d(?::\d\d)?(?:[.,]\d+)?\b"), "#"),
    (re.compile(r"\(cached\)"), ""),
    (re.compile(r"\b(seed|pid|port|gw|thread|worker)([ =:#-]{0,3})\d+", re.IGNORECASE), r"\1\2#"),
    (re.compile(r"\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{7,64}\b"), "#"),
    # Some runners tell a time only where it is long: it leaves nothing.
    (re.compile(rf"[(\[]?(?:(?<![\w.])){_NUMBER}\s?{_TIME}\b(?:\s?{_NUMBER}\s?{_TIME}\b)*[)\]]?"), ""),
    (re.compile(rf"\b(in ){_TIME}\b"), r"\1"),
    (re.compile(rf"(?:\b|(?<=\s)){_NUMBER}\s?(?:[kKMGT]i?)?(?:B|bytes?|bits?)\b(?:/#|/s\b)?|{_NUMBER}\s?%"), "#"),
)  # fmt: skip
_RUNS = re.compile(r"([-=_.*~#━─ ])\1{2,}")
_SPACE = re.compile(r"\s+")
_ANY = re.compile(_NUMBER)
_COUNT = re.compile(
    rf"(?:(?<![\w.,#/:])(\d[\d,_]*)(?![.\d]|/s\b| ?per\b)(?=\s+(?:\w+\s+)?(?:{_COUNTED})\b(?!\s*/|\s+per\b)))"
    rf"|(?:(?<=\s)|^|(?<=\W))(?:{_COUNTED})\b\s*[:=]\s*(\d[\d,_]*)(?![.\d])", re.IGNORECASE,
)  # fmt: skip
# What a build says, not a check: it may change with the code.
_TALK = re.compile(
    r"(?i:\bwarn(?:ing)?s?\b|\bnote:)|^\s*[|^~\d]*\s*[|^~]|^\[\s*\d+%\]|^-- "
    r"|^(?:\S*/)?(?:gcc|g\+\+|cc|c\+\+|clang\S*|ld|ar|rustc|make|ninja|cmake|npm|yarn|pnpm)\b"
    r"|^\s*(?:Compiling|Finished|Downloading|Downloaded|Updating|Blocking|Fresh)\b"
)  # fmt: skip

# The lines in which known runners sum up, and the lines of a single test or file of theirs.
_SUMMARIES: Dict[str, "re.Pattern[str]"] = {
    "pytest": re.compile(r"^=*\s*(?:\d+ [a-z]+(?: [a-z]+)?(?:, )?)+ in [\d.]+s\b|^=*\s*no tests ran in "),
    "unittest": re.compile(r"^Ran \d+ tests? in "),
    "cargo": re.compile(r"^test result: "),
    "nextest": re.compile(r"^\s*Summary \[.*\btests? run:"),
    "ctest": re.compile(r"^\d+% tests passed, \d+ tests? failed out of \d+"),
    "node": re.compile(r"^(?:ℹ|#) pass \d+$"),
    "vitest": re.compile(r"^\s*Tests\s+\d+ .*\(\d+\)$"),
    "jest": re.compile(r"^Tests:\s+.*\d+ total$"),
    "mocha": re.compile(r"^\s*\d+ (?:passing|pending)\b"),
    "junit": re.compile(r"Tests run: \d+, Failures: \d+, Errors: \d+"),
    "googletest": re.compile(r"^\[  PASSED  \] \d+ tests?"),
    "rspec": re.compile(r"^\d+ examples?, \d+ failures?"),
    "phpunit": re.compile(r"^OK \(\d+ tests?, \d+ assertions?\)"),
}
_SINGLE = re.compile(
    r"^\s*(?:✔|✓|√|ok \d+\b|PASS\b|--- PASS:|ok\s+\S+\s+(?:[\d.]+s|\(cached\))|test \S.* \.\.\. ok$"
    r"|\s*\d+/\d+ Test\s+#|\[\s+OK \]|.* \.\.\. ok$|.*\bPASSED\b|PASS \[)"
)
_GO = re.compile(r"^\s*--- PASS: |^ok\s+\S+\s+(?:[\d.]+s|\(cached\))|^\{.*\"Action\":\"pass\"")
# Of unittest, after its summary.
_NOT_PASSED = re.compile(r"^(?:OK|FAILED) \(")
_SO_MANY = re.compile(r"\b(?:skipped|failures|errors)=(\d+)")
_PLACE = re.compile(r" \(\d+\.\)$")  # of a number in its line, but for the first
_BEFORE, _BEHIND = re.compile(r"(\d+) ([a-z]+)"), re.compile(r"([A-Za-z]+)(?: run)?[:=] ?(\d+)")
_LEFT_OUT = frozenset(
    ("skipped", "skip", "ignored", "todo", "pending", "disabled", "deselected", "failed", "failures", "errors", "error")
)


class Facts(NamedTuple):
    """Facts and how often each was said; `summaries`: what each run of a known runner says to have passed."""

    facts: "Counter[str]"
    summaries: Dict[str, List[int]]

    @property
    def silent(self) -> bool:
        """Whether nothing was said: then its exit code is all there is."""
        return not self.facts and not self.summaries

    @property
    def runner(self) -> str:
        """The known runner that has spoken, or an empty text."""
        return next(iter(self.summaries), "")

    @property
    def passed(self) -> "int | None":
        """Tests that have run and passed, by their report or else by the runner's word; None where nobody told."""
        named = sum(count for fact, count in self.facts.items() if fact.startswith(TEST))
        return named or (sum(map(sum, self.summaries.values())) if self.summaries else None)

    def digest(self) -> str:
        """Equal where two say the same."""
        text = repr((sorted(self.facts.items()), sorted((k, sorted(v)) for k, v in self.summaries.items())))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def least(self, other: "Facts") -> "Facts":
        """What both say."""
        both = {
            name: [min(pair) for pair in zip(sorted(found), sorted(other.summaries[name]))]  # noqa: B905
            for name, found in self.summaries.items()
            if name in other.summaries
        }
        return Facts(self.facts & other.facts, both)

    def most(self, other: "Facts") -> "Facts":
        """What one of them says."""
        names = {*self.summaries, *other.summaries}
        lists = {name: [s.summaries[name] for s in (self, other) if name in s.summaries] for name in names}
        return Facts(self.facts | other.facts, {name: max(found, key=_weight) for name, found in lists.items()})


def _weight(found: List[int]) -> Tuple[int, int]:
    # More summaries than the base's are no more evidence: a program has printed one.
    return -len(found), sum(found)


def read(text: str, tests: "Counter[str] | None" = None) -> Facts:
    """What an output says. `tests` are those that a report names as passed."""
    facts: "Counter[str]" = Counter()
    other: "Counter[str]" = Counter()
    found: Dict[str, List[int]] = {}
    for line in _lines(text):
        runner = next((name for name, pattern in _SUMMARIES.items() if pattern.search(line)), "")
        if runner:
            found.setdefault(runner, []).append(_passed(runner, line))
        elif found.get("unittest") and _NOT_PASSED.match(line):
            found["unittest"][-1] -= sum(map(int, _SO_MANY.findall(line)))
        elif _GO.match(line):
            facts[masked(line)] += 1
            found["go"] = [found.get("go", [0])[0] + 1]
        elif _SINGLE.match(line):
            facts[masked(line)] += 1
        elif not _TALK.search(line):
            if not line.startswith(("METRIC", "SIGNED_METRIC")):
                other.update(dict(_counts(line)))
            other[masked(line)] += 1
    facts.update({TEST + masked(name, numbers=False): count for name, count in (tests or Counter()).items()})
    if not found and not tests:
        facts.update(other)
    return Facts(facts, found)


def missing(base: Facts, candidate: Facts) -> List[str]:
    """What the base says and the candidate does not, in words with both numbers; tests first."""
    words = []
    for name, wanted in base.summaries.items():
        told = sorted(candidate.summaries.get(name, []))
        # Of more summaries than the base's, the least count: who prints one of their own cannot take the real one away.
        passed = sum(told[: len(wanted)])
        if passed < sum(wanted):
            words.append("%d passed by %s, %d at the base" % (passed, name, sum(wanted)))
    tests, lines = [], []
    for fact in base.facts - candidate.facts:
        had, has = base.facts[fact], candidate.facts[fact]
        shown = safetext.one_line(fact.lstrip(TEST + _NUMBER_OF), 100)
        if fact.startswith(TEST):
            tests.append("%s did not pass" % shown)
        elif fact.startswith(_NUMBER_OF):
            if candidate.facts[_PLACE.sub("", fact[1:])]:  # else its line is missing
                lines.append("%d in '%s', %d at the base" % (has, shown, had))
        else:
            lines.append("'%s' %d times, %d at the base" % (shown, has, had))
    return words + sorted(tests) + sorted(lines)


def _lines(text: str) -> Iterator[str]:
    if len(text) > MOST_TEXT:
        text = text[: MOST_TEXT // 2] + "\n" + text[-MOST_TEXT // 2 :]
    lines = safetext.clean(text).split("\n")
    if len(lines) > MOST_LINES:
        lines = lines[: MOST_LINES // 2] + lines[-MOST_LINES // 2 :]
    for line in lines:
        if line.strip():
            yield line[:MOST_LINE].rstrip()


def masked(line: str, *, numbers: bool = True) -> str:
    """A line without what changes from run to run; without `numbers`, plain ones stay as in the name of a test."""
    kept: List[str] = []

    def keep(match: "re.Match[str]") -> str:
        kept.append(match[2].lower())
        return match[1] + "\0"

    line = _EXACT.sub(keep, line)
    for pattern, by in _MASKS if numbers else _MASKS[:5]:
        line = pattern.sub(by, line)
    if numbers:
        line = _ANY.sub("#", line)
    line = _SPACE.sub(" ", _RUNS.sub(r"\1", line)).strip()
    for value in kept:
        line = line.replace("\0", value, 1)
    return line


def _counts(line: str) -> Iterator[Tuple[str, int]]:
    """The numbers of what was counted in a line."""
    for place, match in enumerate(_COUNT.finditer(line)):
        digits = re.sub(r"[,_]", "", match[1] or match[2])
        if len(digits) < 10:
            yield "%s%s%s" % (_NUMBER_OF, masked(line), " (%d.)" % (place + 1) if place else ""), int(digits)


def _passed(runner: str, line: str) -> int:
    """How many tests passed by the words of a summary: what it says passed, or all without what was left out."""
    if runner == "ctest":
        failed, whole = (int(n) for n in re.findall(r"\d+", line)[1:3])
        return whole - failed
    if runner == "node":
        return int(line.split()[-1])
    told = {word.lower(): int(number) for word, number in _BEHIND.findall(line)}
    told.update((word, int(number)) for number, word in _BEFORE.findall(line))
    for name in ("passed", "pass", "passing"):
        if name in told:
            return told[name]
    whole = max((told.get(name, 0) for name in ("tests", "test", "examples", "example", "run")), default=0)
    return max(0, whole - sum(count for name, count in told.items() if name in _LEFT_OUT))
