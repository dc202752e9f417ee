"""Real A/B truth: published version pairs with a stated better, same or worse, judged by `autoresearch ab`.

    python benchmarks/real_pairs.py [--quick] [--only NAME] [--repeat N] [--seed N] [--layout fixed] [--list]

Every pair is data in benchmarks/pairs/*.yaml: what the change log says, and a snippet that exercises it. A pair
with `reverse: true` runs a second time from new to old. The packages come from their own registries through
`pip download` (wheels only) and `npm pack` (no scripts run), are kept in ~/.cache/autoresearch/pairs, and are run
as they are. Exit 1: a change that is no gain was kept. Exit 3: a pair could not be run. A gain that was not found
is a miss; it is listed, and no fault.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from statistics import median
from typing import Any, Literal

import yaml

HERE = Path(__file__).resolve().parent
HELPERS = HERE.parent / "helpers"
LAYOUT = HERE.parent / "templates" / "layout.md"
TRUTHS = ("better", "same", "worse")
REGISTRIES = ("pypi", "npm", "c")

PYTHON_HARNESS = """\
import sys, time
sys.path.insert(0, sys.argv[1])
{bench}
begun = time.perf_counter()
work()
print("METRIC time_s=%.9f" % (time.perf_counter() - begun))
"""
NODE_HARNESS = """\
const require_ = require("module").createRequire(process.argv[2] + "/main.js");
((require) => {{
{bench}
const begun = process.hrtime.bigint();
work();
console.log("METRIC time_s=" + (Number(process.hrtime.bigint() - begun) / 1e9).toFixed(9));
}})(require_);
"""


class Unavailable(Exception):
    """A pair that cannot be run here: no network, no node, no such version."""


@dataclass(frozen=True)
class Pair:
    """One comparison. `why` quotes where the truth is stated; `bench` defines work(), the timed part.

    registry "c": `bench` is the main program, `old` and `new` are the texts of a second source file, and each run
    is linked anew by the recipe in templates/layout.md.
    """

    name: str
    registry: str
    package: str
    old: str
    new: str
    truth: str
    why: str
    bench: str
    reverse: bool = False
    quick: bool = False
    needs: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.truth not in TRUTHS:
            raise ValueError(f"{self.name}: truth is one of {', '.join(TRUTHS)}, not {self.truth!r}")
        if self.registry not in REGISTRIES:
            raise ValueError(
                f"{self.name}: registry is one of {', '.join(REGISTRIES)}, not {self.registry!r}"
            )
        if self.truth == "same" and self.reverse:
            raise ValueError(f"{self.name}: the reverse of the same tells nothing new")
        if not self.why.strip():
            raise ValueError(f"{self.name}: say where the truth is stated")

    def reversed(self) -> Pair:
        """The same pair from new to old."""
        truth = {"better": "worse", "worse": "better"}[self.truth]
        return replace(
            self,
            name=self.name + "-reverse",
            old=self.new,
            new=self.old,
            truth=truth,
            why=f"reverse of {self.name}",
        )


def load_pairs(directory: Path = HERE / "pairs") -> list[Pair]:
    """All pairs of a directory's YAML files, each followed by its reverse. ValueError for a faulty one."""
    known = {f.name for f in fields(Pair)}
    found: list[Pair] = []
    for path in sorted(directory.glob("*.yaml")):
        for entry in yaml.safe_load(path.read_text(encoding="utf-8")):
            if not isinstance(entry, dict) or set(entry) - known:
                raise ValueError(f"{path.name}: unknown fields in {entry!r:.80}")
            pair = Pair(**entry)
            found.append(pair)
            if pair.reverse:
                found.append(pair.reversed())
    names = [pair.name for pair in found]
    if len(set(names)) != len(names):
        raise ValueError("two pairs of one name: " + ", ".join({n for n in names if names.count(n) > 1}))
    return found


# --- packages


def cache_dir() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "autoresearch" / "pairs"


def _call(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    except FileNotFoundError:
        raise Unavailable(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{' '.join(command[:4])} took more than five minutes") from None
    except subprocess.CalledProcessError as exc:
        lines = exc.stderr.strip().splitlines() or ["no message"]
        raise Unavailable(f"{' '.join(command[:4])}: {lines[-1][:160]}") from None


def fetch(registry: str, package: str, version: str, cache: Path) -> Path:
    """The directory of one unpacked version, downloaded once."""
    home = cache / registry / f"{package.replace('/', '+')}@{version}"
    if home.exists():
        return home
    scratch = home.with_name(f".{home.name}.{os.getpid()}")
    shutil.rmtree(scratch, ignore_errors=True)
    archives, unpacked = scratch / "archive", scratch / "unpacked"
    archives.mkdir(parents=True)
    try:
        if registry == "pypi":
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
            wheels = ["--no-deps", "--only-binary", ":all:", "--dest", str(archives)]
            _call([*pip, *wheels, f"{package}=={version}"])
            with zipfile.ZipFile(next(archives.iterdir())) as wheel:
                wheel.extractall(unpacked)
        else:
            _call(["npm", "pack", "--silent", "--pack-destination", str(archives), f"{package}@{version}"])
            with tarfile.open(next(archives.iterdir())) as tarball:
                tarball.extractall(scratch / "tarball", filter="data")
            target = unpacked / "node_modules" / package
            target.parent.mkdir(parents=True)
            next((scratch / "tarball").iterdir()).rename(target)
        unpacked.rename(home)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return home


def stage(pair: Pair, cache: Path) -> dict[str, str]:
    """Both sides in directories of equal path length; the options for `autoresearch ab`."""
    root = cache / "stage" / pair.name
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    if pair.registry == "c":
        return _stage_c(pair, root)
    interpreter, script, harness = {
        "pypi": (sys.executable, "bench.py", PYTHON_HARNESS),
        "npm": ("node", "bench.js", NODE_HARNESS),
    }[pair.registry]
    if shutil.which(interpreter) is None:
        raise Unavailable(f"{interpreter} is not installed")
    (root / script).write_text(harness.format(bench=pair.bench), encoding="utf-8")
    options = {}
    for side, version in (("a", pair.old), ("b", pair.new)):
        for package, wanted in [(pair.package, version), *(need.split("==") for need in pair.needs)]:
            shutil.copytree(fetch(pair.registry, package, wanted, cache), root / side, dirs_exist_ok=True)
        options[side] = shlex.join([interpreter, str(root / script), str(root / side)])
    return options


def _stage_c(pair: Pair, root: Path) -> dict[str, str]:
    if shutil.which("cc") is None:
        raise Unavailable("no C compiler")
    options = {}
    for side, text in (("a", pair.old), ("b", pair.new)):
        tree = root / side
        tree.mkdir()
        (tree / "main.c").write_text(pair.bench, encoding="utf-8")
        (tree / "part.c").write_text(text, encoding="utf-8")
        (tree / "link.sh").write_text(recipe("c-link-order"), encoding="utf-8")
        _call(["bash", "-c", f"cd {shlex.quote(str(tree))} && cc -Os -c main.c part.c"])
        options[side] = shlex.quote(str(tree / "bench"))
        options[f"build-{side}"] = f"cd {shlex.quote(str(tree))} && bash link.sh bench main.o part.o"
    return options


def recipe(name: str, text: str | None = None) -> str:
    """A marked code block of templates/layout.md."""
    document = LAYOUT.read_text(encoding="utf-8") if text is None else text
    _, mark, rest = document.partition(f"<!-- recipe: {name} -->\n```")
    if not mark:
        raise KeyError(f"no recipe {name}")
    return rest.partition("\n")[2].partition("\n```")[0] + "\n"


# --- verdicts


def judge(options: dict[str, str], seed: int | None, layout: str) -> dict[str, Any]:
    """What the real command says of two staged sides."""
    command = [
        sys.executable,
        "-m",
        "autoresearch",
        "ab",
        "--json",
        "--run-timeout",
        "60",
        "--layout",
        layout,
    ]
    for name, value in options.items():
        command += [f"--{name}", value]
    if seed is not None:
        command += ["--seed", str(seed)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(HELPERS)}, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):
        raise Unavailable((done.stderr.strip() or "no message")[:300])
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def outcome(truth: str, verdict: str) -> Literal["ok", "miss", "FALSE KEEP"]:
    """A keep must be a gain; a gain that was not kept is a miss."""
    if verdict == "keep":
        return "ok" if truth == "better" else "FALSE KEEP"
    return "miss" if truth == "better" else "ok"


def row(pair: Pair, data: dict[str, Any], seconds: float) -> str:
    def number(key: str) -> str:
        return "?" if data.get(key) is None else f"{data[key]:+.1f}"

    interval = f"[{number('ci_low_pct')}, {number('ci_high_pct')}]"
    said = f"{data['verdict']} ({data['reason']})"
    versions = "" if pair.registry == "c" else f"{pair.old} -> {pair.new}"
    return (
        f"{pair.name:<28} {versions:<17} {pair.truth:<7} {said:<20} {number('effect_pct'):>7} {interval:>17}"
        f" {data['runs_used']:>5} {seconds:>5.0f}  {outcome(pair.truth, data['verdict'])}"
    )


def summary(pair: Pair, answers: list[dict[str, Any]]) -> str:
    """One line for a pair judged several times."""
    kept = sum(answer["verdict"] == "keep" for answer in answers)
    gains = [answer["effect_pct"] for answer in answers if answer.get("effect_pct") is not None]
    spread = f"{median(gains):+9.1f} [{min(gains):+.1f}, {max(gains):+.1f}]" if gains else ""
    runs = sum(answer["runs_used"] for answer in answers) / len(answers)
    return f"{pair.name:<28} {pair.truth:<7} {kept:>3} of {len(answers):<4} {runs:>5.1f} {spread}"


def run(pairs: list[Pair], seed: int | None, layout: str, repeat: int) -> int:
    """Judge every pair `repeat` times and print the table; the exit code."""
    if repeat == 1:
        print(
            f"{'pair':<28} {'versions':<17} {'truth':<7} {'verdict (reason)':<20} {'gain %':>7} {'interval':>17}"
            f" {'runs':>5} {'sec':>5}  right?"
        )
    else:
        print(f"{'pair':<28} {'truth':<7} {'kept':<11} {'runs':>5} {'gain %: median [least, most]'}")
    counts = {"ok": 0, "miss": 0, "FALSE KEEP": 0, "not run": 0}
    gains, runs, begun = 0, 0, time.monotonic()
    for pair in pairs:
        started = time.monotonic()
        try:
            options = stage(pair, cache_dir())
            seeds = [None if seed is None else seed + i for i in range(repeat)]
            answers = [judge(options, one, layout) for one in seeds]
        except Unavailable as exc:
            counts["not run"] += repeat
            print(f"{pair.name:<28} not run: {exc}", flush=True)
            continue
        for answer in answers:
            counts[outcome(pair.truth, answer["verdict"])] += 1
            runs += answer["runs_used"]
        gains += repeat * (pair.truth == "better")
        took = time.monotonic() - started
        print(row(pair, answers[0], took) if repeat == 1 else summary(pair, answers), flush=True)
    judged = sum(counts.values()) - counts["not run"]
    print(
        f"\n{judged} verdicts, {runs} counted runs, {time.monotonic() - begun:.0f} s. Gains kept: "
        f"{gains - counts['miss']} of {gains}. False keeps: {counts['FALSE KEEP']} of {judged - gains}. "
        f"Not run: {counts['not run']}."
    )
    if counts["FALSE KEEP"]:
        return 1
    return 3 if counts["not run"] else 0


def sources(pairs: list[Pair]) -> None:
    print("\nWhere the truth is stated:")
    for pair in pairs:
        if not pair.name.endswith("-reverse"):
            print(f"- {pair.name}: {' '.join(pair.why.split())}")


def load() -> str:
    """The one-minute load average, as text."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", metavar="NAME", help="this pair; may be given again")
    parser.add_argument("--quick", action="store_true", help="the few pairs marked quick")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="judge every pair N times")
    parser.add_argument("--seed", type=int, help="seed of the run orders (default: drawn for each pair)")
    parser.add_argument(
        "--layout",
        choices=("auto", "fixed"),
        default="auto",
        help="fixed: link the C pair once (what luck does)",
    )
    parser.add_argument("--list", action="store_true", help="names and truths, nothing is run")
    args = parser.parse_args()
    pairs = load_pairs()
    unknown = set(args.only or ()) - {pair.name for pair in pairs}
    if unknown:
        parser.error(f"no pair named {', '.join(sorted(unknown))}; see --list")
    if args.only:
        pairs = [pair for pair in pairs if pair.name in args.only]
    if args.quick:
        pairs = [pair for pair in pairs if pair.quick]
    if args.list:
        for pair in pairs:
            print(f"{pair.name:<28} {pair.truth}")
        return 0
    words = shlex.join(sys.argv[1:])
    print(f"$ python benchmarks/real_pairs.py {words}".rstrip())
    print(f"{datetime.date.today()}, {os.cpu_count()} CPUs, load at the start {load()}\n")
    code = run(pairs, args.seed, args.layout, args.repeat)
    print(f"Load at the end {load()}; above the number of CPUs, expect misses.")
    sources(pairs)
    return code


if __name__ == "__main__":
    sys.exit(main())
