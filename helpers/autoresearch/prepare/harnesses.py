"""Benchmark harnesses that calibrate themselves: how their own numbers are had. Pure.

The time of such a harness as a whole says nothing: it runs until it has measured enough, however quick the code is.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from autoresearch.project import READER

# For how long each benchmark is measured, unless the dry run shows that a run (seconds) leaves these bounds.
EACH_SECONDS, SHORTEST, LONGEST = 0.1, 0.2, 5.0
# The metric by which a dry run learns how many benchmarks there are.
COUNTED = "autoresearch_benchmarks"

# What each is told by, in a command or in the text of what it runs; the first that is found is taken.
_MARKS = (
    ("hyperfine", r"(?m)(?:^|[\s@;&|])hyperfine\s"),
    ("vitest", r"\bvitest\s+bench\b"),
    ("go", r"\bgo\s+test\b.*\s-bench\b"),
    ("criterion", r"\bcriterion_group!|\bcriterion_main!"),
    ("bencher", r"#\[bench\]"),
    ("pytest-benchmark", r"--benchmark-(?:only|json|enable)|def test_\w*\([^)]*\bbenchmark\b"),
    ("google-benchmark", r"benchmark/benchmark\.h|\bbenchmark::benchmark(?:_main)?\b|\bBENCHMARK_MAIN\b"),
    ("benchmark.js", r"""(?:require\(|from\s+|import\s+)\s*["']benchmark["']"""),
    ("asv", r"(?:^|\s)asv\s+(?:run|dev)\b"),
)
# Those whose results are not read as they are, and what to do instead.
_UNREAD = {
    "tinybench": (r"""["']tinybench["']""", "print its tasks as JSON (docs/formats.md), read with metric --from"),
    "mitata": (r"""["']mitata["']""", "print its results as flat JSON, read with metric --from flat"),
    "pyperf": (r"\bimport pyperf\b|\bfrom pyperf\b", "print the means as flat JSON, read with metric --from flat"),
    "divan": (r"\bdivan::", "use criterion, or print METRIC lines"),
    "JMH": (r"\borg\.openjdk\.jmh\b", "let it write JSON (-rf json -rff FILE), read with metric --from jmh FILE"),
}  # fmt: skip


@dataclass(frozen=True)
class Harness:
    """One harness, by its format's name. `lines` run {command} and leave its results in $out, if not in its output."""

    format: str
    metric: str
    lines: str = "{command}"
    unit: str = "ns"
    direction: str = "lower"

    def body(self, command: str, each: float = EACH_SECONDS, expect: int = 0, *, count: bool = False) -> str:
        """The script's commands: each benchmark of `command` is measured for about `each` seconds, where that can be
        said, and its results are read. There have to be `expect` of them (0: any); `count` prints how many there are.
        """
        lines = self.lines.format(
            command=_short(self.format, command, each), each=f"{each:.2g}", part=f"{each / 5:.2g}"
        )
        wanted = f" --expect {expect}" if expect else ""
        counted = _COUNT.format(format=self.format) if count else ""
        return _BODY.format(lines=shlex.quote(lines), format=self.format, expect=wanted) + counted


# The output is shown where it fails only. The directory is new, so that no earlier results are taken for this run's.
_BODY = """\
out=$(mktemp -d)/results
export out
bash -euo pipefail -c {lines} >"$out.log" 2>&1 || {{ tail -c 4000 "$out.log" >&2; exit 1; }}
[ -e "$out" ] || out=$out.log
metric --from {format}{expect} "$out"
"""
_COUNT = f'''metric "{COUNTED}=$(python3 -I {READER} --count --from {{format}} "$out")"\n'''
# A hyperfine before the real one in PATH, which also writes its results; a second run would overwrite them.
_HYPERFINE = """
mkdir "$out.bin"
cat >"$out.bin/hyperfine" <<EOF
#!/bin/sh
[ ! -e "$out" ] || {{ echo "hyperfine runs more than once: name one command" >&2; exit 1; }}
exec "$(command -v hyperfine)" "\\$@" --export-json "$out"
EOF
chmod +x "$out.bin/hyperfine"
export PATH=$out.bin:$PATH
{command}
"""
# asv wants a repository and a home that knows the machine: the copy that is measured has neither.
_ASV = """
python3 - <<"PY"
import json, os, pathlib, re
out = pathlib.Path(os.environ["out"] + ".asv")
text = re.sub(r"(?m)^\\s*//.*$", "", pathlib.Path("asv.conf.json").read_text())
conf = json.loads(re.sub(r",(\\s*[\\]}}])", r"\\1", text))
places = {{key: str(out / key) for key in ("repo", "results_dir", "env_dir", "html_dir")}}
conf.update(places, benchmark_dir=os.path.abspath(conf.get("benchmark_dir", "benchmarks")))
conf.update(branches=["HEAD"], environment_type="existing")
out.mkdir()
(out / "asv.conf.json").write_text(json.dumps(conf))
PY
cd "$out.asv"
git init -q repo
git -C repo -c user.name=asv -c user.email=asv@localhost commit -q --allow-empty -m asv
export HOME=$PWD ASV_PYTHONPATH=$OLDPWD${{PYTHONPATH:+:$OLDPWD/$PYTHONPATH}}
asv machine --yes
asv run --python=same --set-commit-hash "$(git -C repo rev-parse HEAD)" \\
  -a rounds=1 -a repeat=5 -a sample_time={part} -a warmup_time={part}
mv results_dir/*/*-existing-*.json "$out"
"""
# It takes 5 s for each benchmark, unless its defaults are others when it is loaded.
_BENCHMARK_JS = """
cat >"$out.cjs" <<"JS"
try {{
  require(require.resolve("benchmark", {{ paths: [process.cwd()] }})).options.maxTime = {each}
}} catch {{}}
JS
export NODE_OPTIONS="${{NODE_OPTIONS:-}} --require $out.cjs"
{command}
"""
# What the environment says reaches it through make, npm and scripts.
_GOOGLE = "export BENCHMARK_OUT=$out BENCHMARK_OUT_FORMAT=json BENCHMARK_MIN_TIME={each}\n{command}"
_PYTEST = (
    'export PYTEST_ADDOPTS="--benchmark-json=$out --benchmark-max-time={each} --benchmark-min-rounds=3"\n{command}'
)
HARNESSES = {
    harness.format: harness
    for harness in (
        Harness("google-benchmark", "geomean_ns", _GOOGLE),
        Harness("pytest-benchmark", "geomean_s", _PYTEST, "s"),
        Harness("criterion", "geomean_ns", "export CRITERION_HOME=$out\n{command}"),
        Harness("hyperfine", "geomean_s", _HYPERFINE, "s"),
        Harness("go", "geomean_ns"),
        Harness("bencher", "geomean_ns"),
        Harness("benchmark.js", "geomean_ops_per_s", _BENCHMARK_JS, "ops/s", "higher"),
        Harness("vitest", "geomean_ms", '{command} --run --outputJson "$out"', "ms"),
        Harness("asv", "geomean_s", _ASV, "s"),
    )
}


def harness_of(*texts: str) -> str:
    """The format of the harness that a command, or the text of what it runs, is of; empty = none is seen."""
    return next((name for name, mark in _MARKS for text in texts if re.search(mark, text)), "")


def unread(*texts: str) -> str:
    """Why a harness's results are not read, and what to do instead; empty = it is none of those."""
    for name, (mark, instead) in _UNREAD.items():
        if any(re.search(mark, text) for text in texts):
            return f"{name} runs until it has measured enough, so the time of it says nothing: {instead}"
    return ""


def calibrated(took: float, each: float = EACH_SECONDS) -> float:
    """For how many seconds to measure each benchmark, where a run with `each` took so long: it should take 0.2 to 5."""
    if SHORTEST <= took <= LONGEST or not took:
        return each
    aim = LONGEST / 2 if took > LONGEST else 2 * SHORTEST
    return float(f"{min(1.0, max(0.01, each * aim / took)):.1g}")


def _short(name: str, command: str, each: float) -> str:
    """The command with a short time for each benchmark, where a flag says it and none stands there."""
    if name == "go":
        flags = [f for f in ("-benchmem", f"-benchtime {each:.2g}s") if f.split()[0] not in command]
        return re.sub(r"\bgo\s+test\b", " ".join(["go test", *flags]), command, count=1)
    if name == "criterion" and command.startswith("cargo bench") and " -- " not in command:
        # In whole seconds, as older ones take no others.
        return f"{command} -- --noplot --warm-up-time 1 --measurement-time 1 --sample-size 10"
    return command
