"""The rules of `lint`: each a pattern for one line of a benchmark, a driver or the checks. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ScriptKind = Literal["benchmark", "driver", "checks"]
ALL: tuple[ScriptKind, ...] = ("benchmark", "driver", "checks")
TIMED: tuple[ScriptKind, ...] = ("benchmark", "driver")


@dataclass(frozen=True)
class LintRule:
    """A mistake's name, what it looks like, what to say of it, and when it is none."""

    name: str
    pattern: str
    found: str
    fix: str
    kinds: tuple[ScriptKind, ...] = TIMED
    # The mistake is none when this occurs on the line, or anywhere in the text.
    unless: str = ""
    unless_anywhere: str = ""
    # Nor when the metric's name says that this very thing is measured.
    unless_metric: str = ""


_LOCAL = r"127\.0\.0\.1|localhost|\[::1\]|file://"
_BUILD = (
    r"\bcargo\s+build\b"
    r"|(?:^|[;&|]\s*|\btime\s+)make\b(?!\s+(?:\S+\s+)*(?:-s\s+)?(?:bench|run|check|test|perf))"
    r"|\bcmake\s+--build\b"
    r"|\bgo\s+build\b|\b(?:npm|pnpm|yarn|bun)\s+(?:run\s+)?build\b"
    r"|(?:^|\s)(?:g?cc|g\+\+|clang(?:\+\+)?|rustc|javac)\s+\S"
    r"|\bsetup\.py\b.*\bbuild|\bninja\b|\bmeson\s+compile\b|\bmvn\b.*\bpackage\b"
    r"|\bgradlew?\b.*\b(?:assemble|build)\b"
)
_NOISE_NAMES = r"(?:time|sample|run|dur|elapsed|repeat|result|lap|measure)"

# fmt: off
RULES = (
    LintRule(
        "interactive", r"(?:^|[\s;&|])(?:npx\s+|pnpm\s+|yarn\s+|bunx\s+)?vitest\b",
        "vitest without 'run' watches for ever", "Say vitest run", ALL,
        unless=r"vitest\s+(?:bench\s+)?run\b|--run\b|--watch[= ]false|--no-watch|\bCI=|--from vitest\b",
    ),
    LintRule(
        "interactive",
        r"\b(?:jest|mocha|ava|tsc|webpack|rollup|tsup|npm|pnpm|yarn|bun)\b.*\s(?:--watch(?:All)?(?!=false)\b|-w\b)|\bcargo\s+watch\b|\bnodemon\b"
        r"|\bptw\b|\bpytest-watch\b|\bcypress\s+open\b|\bplaywright\b.*--ui\b"
        r"|\bwebpack(?:-dev-server|\s+serve)\b",
        "a watching or interactive runner never ends", "Use its run-once form", ALL,
    ),
    LintRule(
        "interactive", r"\b(?:react-scripts\s+test|ng\s+test|karma\s+start)\b",
        "this test runner watches unless told otherwise", "Say CI=true, --watch=false or --single-run", ALL,
        unless=r"\bCI=|--watch(?:All)?=false|--single-run",
    ),
    LintRule(
        "interactive",
        r"(?:^|[\s;&|])sudo\s|\bread\s+-[a-z]*p|\bpytest\b.*--pdb"
        r"|\bgdb\b(?!.*-batch)|\binput\(\s*[\"'].*\)",
        "it asks a person, and nobody is there", "Leave the question out; machine set-up belongs into setup_deps.sh",
        ALL,
    ),
    LintRule(
        "cached",
        r"\[\[?\s+!?\s*-[fes]\s+\S*(?:result|cache|metric|timing|score|output)"
        r"|\bcat\s+\S*(?:result|cache|metric|timing|score)s?\S*\s*(?:$|[;|&])",
        "a result of an earlier run may be printed again", "Do the work in every run, and print what it gave",
        ("benchmark",),
    ),
    LintRule(
        "cached", r"\b(?:joblib\.Memory|diskcache|shelve\.open|requests_cache)\b|@memory\.cache",
        "a cache on disk outlives the run", "Do the work in every run", ("driver", "benchmark"),
    ),
    LintRule(
        "cached", r"\bgo\s+test\b", "go test answers from its cache", "Add -count=1", ("benchmark",),
        unless=r"-count[= ]?\d|-bench\b",
    ),
    LintRule(
        "cached", r"\b(?:nx|turbo)\s+(?:run|affected|test|build)\b", "the task runner answers from its cache",
        "Say --skip-nx-cache, or --force", unless=r"--skip-nx-cache|--force|--no-cache",
    ),
    LintRule(
        "cached", r"\b(?:gradlew?|bazel|bazelisk)\b.*\b(?:test|build|check)\b",
        "an up-to-date task does no work, and takes no time",
        "Say --rerun-tasks (Gradle) or --nocache_test_results (Bazel)",
        unless=r"--rerun|cleanTest|--nocache_test_results",
    ),
    LintRule(
        "cached", r"\b(?:pytest|jest)\b.*(?:--lf\b|--last-failed|--onlyChanged|-o\s|--changedSince)",
        "it runs a part of the tests, chosen by an earlier run", "Run the same tests every time", ALL,
    ),
    LintRule(
        "build-inside", _BUILD, "builds inside the benchmark",
        "Move it to build: in autoresearch.yaml, which is not timed", ("benchmark",),
        unless_metric=r"build|compile|link|size|bytes",
    ),
    LintRule(
        "network",
        r"\b(?:pip3?|uv\s+pip)\s+(?:install|download)\b|\b(?:npm|pnpm|yarn)\s+(?:ci|i|install|add)\b"
        r"|\bapt(?:-get)?\s+\w|\bbrew\s+install"
        r"|\bcargo\s+(?:install|fetch)\b|\bgo\s+(?:get|mod\s+download)\b|\bdocker\s+pull\b",
        "installs or downloads inside the run", "Move it to setup_deps.sh", ALL,
    ),
    LintRule(
        "network",
        r"\b(?:curl|wget)\s|\bgit\s+(?:clone|fetch|pull|ls-remote)\b|\brequests\.(?:get|post)\(|\burlopen\("
        r"|\bfetch\(\s*[\"'`]https?:|\bhttps?\.get\(",
        "the network is part of the number", "Use a file, or a server on 127.0.0.1", ALL, unless=_LOCAL,
        unless_anywhere=_LOCAL,
    ),
    LintRule(
        "random", r"\$\{?RANDOM\b|\bshuf\b|/dev/u?random\b|\bopenssl\s+rand\b|\buuidgen\b|\bsrand\(\s*\)",
        "another random input in every run", "Fix the seed, or keep the input in a file",
        unless=r"--random-source|^\s*RANDOM=\d", unless_anywhere=r"^\s*RANDOM=\d",
    ),
    LintRule(
        "random", r"\brandom\.(?:random|randint|randrange|choice|choices|sample|shuffle|uniform|gauss)\(",
        "random input without a seed", "Call random.seed(1), or use random.Random(1)",
        unless_anywhere=r"\brandom\.seed\(\s*[^)\s]|(?<!System)\bRandom\(\s*[^)\s]",
    ),
    LintRule(
        "random",
        r"\bdefault_rng\(\s*\)|\bRandomState\(\s*\)|\bRandom\(\s*\)|\bSystemRandom\b|\bos\.urandom\("
        r"|\bsecrets\.\w|\buuid4\(",
        "random input without a seed", "Give it a seed",
    ),
    LintRule(
        "random", r"\bnp\.random\.(?!seed|default_rng|RandomState|Generator)\w+\(|\btorch\.rand\w*\(",
        "random input without a seed", "Set the seed first",
        unless_anywhere=r"\.seed\(\s*[^)\s]|manual_seed\(\s*[^)\s]",
    ),
    LintRule(
        "random",
        r"\bMath\.random\(|\bcrypto\.random\w+\(|\bthread_rng\(|\brand::rng\("
        r"|\bsrand\(\s*(?:\(\w+\)\s*)?time\(|rand\.(?:Seed|NewSource)\(time\.",
        "random input without a seed", "Use a generator with a fixed seed",
    ),
    LintRule(
        "head", r"\|\s*(?:head\b|sed\s+(?:-n\s+)?['\"]?\d*q|grep\s+[^|]*(?:-m\s*\d|--max-count))",
        "the reader closes the pipe early: the program may be cut off, and its failure goes unseen",
        "Write the output to a file, and read that", ALL, unless=r"sort\b.*\|\s*head",
    ),
    LintRule(
        "best-of", r"\bsort\s+-\w*[ng]\w*\b.*\|\s*(?:head|tail)\s+-n?\s*1\b", "the best of several runs is printed",
        "Print each run's own value: the A/B does the repeating",
    ),
    LintRule(
        "best-of",
        rf"(?<![.\w])(?:Math\.)?(?:min|max)\(\s*(?:\.\.\.)?\s*(?:timeit\.)?\w*{_NOISE_NAMES}\w*\s*(?:\)|\()"
        rf"|\bmin\(\s*timeit\b|\.repeat\([^)]*\)\s*\)?\s*\[0\]",
        "the best of several runs is printed",
        "Print the total of a fixed number of rounds: the A/B does the repeating",
    ),
    LintRule(
        "best-of", r"-m\s+timeit\b|\bresults\[0\]\.min\b", "timeit and hyperfine's min are the best of several runs",
        "Print the total of a fixed number of rounds: the A/B does the repeating",
    ),
    LintRule(
        "sleep",
        r"(?:^|[\s;&|(])sleep\s+[\d.$]|\btime\.sleep\(|\bthread::sleep\(|\bsleep_for\(|\btime\.Sleep\("
        r"|\bTask\.Delay\(|\busleep\(",
        "a pause is part of the run: it hides what is measured",
        "Wait for what you need (a port, a file), outside the clock",
    ),
    LintRule(
        "hidden", r"\|\|\s*(?:true|:|exit\s+0|echo)\b|\|\|\s*:\s*$|;\s*true\s*$", "a failure is hidden",
        "Let the script fail", ALL,
    ),
    LintRule(
        "hidden", r"^\s*set\s+\+e\b", "'set +e': a failing step goes unseen",
        "Leave it out, or test the step's exit code", ALL,
    ),
    LintRule(
        "stdout-by-name", r"/dev/stdout\b|/proc/self/fd/1\b", "a benchmark's stdout cannot be opened by its name",
        "Print without a name, or >&1; /dev/stderr works",
        unless=r"(?:/dev/stdout|/proc/self/fd/1)\b.*\||\$\(.*(?:/dev/stdout|/proc/self/fd/1)\b",
    ),
    LintRule(
        "git", r"\bgit\s+(?:checkout|switch|stash|reset|restore|clean|commit)\b",
        "it changes the tree that is measured", "Leave git alone: each side is built and run in its own clean copy",
        ALL,
    ),
    LintRule(
        "elsewhere", r"(?:^|[\s;&|])cd\s+[\"']?(?:/(?!tmp\b|dev\b)|~|\$HOME\b)",
        "it leaves the copy that is measured",
        "Use paths relative to the project: it runs in a copy, once for each side", ALL,
    ),
    LintRule(
        "no-tests", r"--passWithNoTests|--pass-with-no-tests", "no test at all would pass, too", "Leave it out",
        ("checks",),
    ),
    LintRule(
        "self-updating",
        r"--update-?snapshots?\b|\bjest\b.*\s-u\b|\bvitest\b.*\s-u\b|--snapshot-update|--force-regen"
        r"|\bUPDATE_(?:GOLDEN|EXPECT|SNAPSHOTS?)=",
        "the expected output is written anew, so it always agrees", "Compare with the files as they are", ("checks",),
    ),
)
# fmt: on
