"""What init --plan drafts for a harness that calibrates itself moves as the code does.

With the tools themselves, where they are: on PATH, in NODE_PATH (vitest, benchmark), CRITERION_SOURCE (its crates).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from autoresearch import metrics
from autoresearch.config import load_config
from autoresearch.errors import BadInput
from autoresearch.peers import formats
from autoresearch.prepare.harnesses import HARNESSES, harness_of
from autoresearch.prepare.lint import lint
from autoresearch.prepare.planning import Wishes, draft, options
from autoresearch.prepare.survey import Survey, look
from driver import REPO, Run, commit_all

SIGNING = (REPO / "templates/autoresearch.sh").read_text()
SIGNING = SIGNING[SIGNING.index("# Signing") : SIGNING.index("# Example")]
WISHES = Wishes(signing=SIGNING, reader=Path(formats.__file__).read_text())
# How much work is done: the number that a candidate would change.
N = 2000

PYTHON = {"src/work.py": f"def work():\n    return sum(i * i for i in range({N}))\n"}
JS = {"work.js": f"module.exports = () => {{ let s = 0; for (let i = 0; i < {N}; i++) s += (i * i) % 7; return s }}\n"}
PROJECTS: dict[str, tuple[str, dict[str, str]]] = {
    "pytest-benchmark": (
        "pytest_benchmark",
        PYTHON | {"tests/test_bench.py": "from work import work\n\ndef test_work(benchmark):\n    benchmark(work)\n"},
    ),
    "asv": ("asv", PYTHON | {"asv.conf.json": '{\n // a comment\n "version": 1, "project": "p", "repo": ".",}',
                             "benchmarks/__init__.py": "",
                             "benchmarks/b.py": "import work\n\ndef time_work():\n    work.work()\n"}),
    "go": ("go", {
        "go.mod": "module example.com/p\n\ngo 1.19\n",
        "work.go": "package p\n\nfunc Work() int {\n\ts := 0\n"
        f"\tfor i := 0; i < {N}; i++ {{\n\t\ts += i * i % 7\n\t}}\n\treturn s\n}}\n",
        "work_test.go": 'package p\n\nimport "testing"\n\nvar sink int\n\n'
        "func BenchmarkWork(b *testing.B) { for i := 0; i < b.N; i++ { sink += Work() } }\n",
    }),
    "hyperfine": ("hyperfine", {
        "work.c": "int main(void) { volatile long s = 0; "
        f"for (long i = 0; i < {N} * 20000L; i++) s += i; return 0; }}\n",
        "Makefile": "all:\n\tcc -O1 -o prog work.c\n\nbench: all\n\t@hyperfine -N -w 1 -r 4 ./prog\n",
    }),
    "google-benchmark": ("benchmark/benchmark.h", {
        "CMakeLists.txt": "cmake_minimum_required(VERSION 3.10)\nproject(p CXX)\nfind_package(benchmark REQUIRED)\n"
        "add_library(work src/work.cpp)\nadd_executable(bench_work bench/b.cpp)\n"
        "target_link_libraries(bench_work work benchmark::benchmark)\n",
        "src/work.cpp": f"long work() {{ volatile long s = 0; for (long i = 0; i < {N}; i++) s += i; return s; }}\n",
        "bench/b.cpp": "#include <benchmark/benchmark.h>\nlong work();\n"
        "static void BM(benchmark::State& s) { for (auto _ : s) benchmark::DoNotOptimize(work()); }\n"
        "BENCHMARK(BM);\nBENCHMARK_MAIN();\n",
    }),
    "criterion": ("criterion", {
        "Cargo.toml": '[package]\nname = "p"\nversion = "0.1.0"\nedition = "2018"\n\n[dev-dependencies]\n'
        'criterion = "*"\n\n[[bench]]\nname = "hot"\nharness = false\n',
        "src/lib.rs": f"pub fn work() -> u64 {{ (0..{N}).fold(0u64, |a, b| a ^ std::hint::black_box(b)) }}\n",
        "benches/hot.rs": "use criterion::{criterion_group, criterion_main, Criterion};\n"
        'fn hot(c: &mut Criterion) { c.bench_function("work", |b| b.iter(p::work)); }\n'
        "criterion_group!(all, hot);\ncriterion_main!(all);\n",
    }),
    "benchmark.js": ("benchmark", JS | {
        "package.json": json.dumps({"scripts": {"bench": "node bench/run.js"}}),
        "bench/run.js": "const { Suite } = require('benchmark')\n"
        "new Suite().add('work', require('../work'), { maxTime: 0.3 })"
        ".on('cycle', (e) => console.log(String(e.target))).run()\n",
    }),
    "vitest": ("vitest", JS | {
        "package.json": json.dumps({"scripts": {"bench": "vitest bench"}}),
        "work.bench.js": "import { bench } from 'vitest'\nimport work from './work.js'\n"
        "bench('work', () => { work() }, { time: 150 })\n",
    }),
}  # fmt: skip


def surveyed(files: dict[str, str]) -> Survey:
    return look("p", sorted(files), lambda path: files.get(path, ""))


@pytest.mark.parametrize("name", PROJECTS)
def test_the_first_proposal_is_what_the_harness_measures(name: str) -> None:
    found = surveyed(PROJECTS[name][1])
    option = options(found, WISHES)[0]
    made = HARNESSES[name]
    assert (option.metric, option.unit, option.direction) == (made.metric, made.unit, made.direction)
    plan = draft(found, option, WISHES)
    assert plan.files["autoresearch.formats.py"] == WISHES.reader
    assert lint(plan.files["autoresearch.sh"], metric=option.metric) == []
    # The same harness that the user names is read in the same way.
    given = Wishes(benchmark=option.command, drivers="\n".join(PROJECTS[name][1].values()))
    assert options(found, given)[0].metric == made.metric


def test_a_script_that_reads_a_harness_says_its_metric() -> None:
    """Also one that was made of the template, whose comments name others."""
    script = (REPO / "templates/autoresearch.sh").read_text().replace("exit 2", 'metric --from benchmark.js "$out"')
    wishes = Wishes(scripts={"autoresearch.sh": script})
    option = options(surveyed(JS), wishes)[0]
    assert (option.metric, option.direction) == ("geomean_ops_per_s", "higher")


def test_a_run_as_a_whole_is_not_held_against_a_harness(autoresearch: Run, tmp_path: Path) -> None:
    """It measures as long as it wants: a quicker program gives more rounds, and what writes them may take longer."""
    root = tmp_path / "p"
    for path, text in PROJECTS["go"][1].items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    subprocess.run(["git", "init", "-q", "-b", "main", str(root)], check=True)
    commit_all(root)
    done = autoresearch("init", "--plan", "--no-run", "--yes", cwd=root)
    assert done.returncode == 0, done.stderr
    assert load_config(root).objective.timed_share == 0
    assert (root / "autoresearch.formats.py").read_text() == WISHES.reader


def test_every_harness_of_the_table_is_tried() -> None:
    assert set(HARNESSES) - set(PROJECTS) == {"bencher"}  # Rust's own harness needs its nightly compiler
    assert all(made.format in formats.FORMATS for made in HARNESSES.values())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import { Bench } from 'tinybench'", "tinybench"), ("import { run } from 'mitata'", "mitata"),
        ("import pyperf\nprint(pyperf.Runner())", "pyperf"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_the_reason(text: str, why: str) -> None:
    name = "bench/run.py" if "pyperf." in text else "bench/run.js"
    found = surveyed({name: text, "work.rb": ""})
    with pytest.raises(BadInput, match=f"{why} runs until it has measured enough") as refused:
        options(found, WISHES)
    assert "metric --from" in refused.value.sentence()
    given = Wishes(benchmark=f"run {name}", drivers=text)
    with pytest.raises(BadInput, match=why):
        options(found, given)
    # With something else to measure it is passed over, and the plan says so.
    found = surveyed({name: text, "a/__init__.py": "", "tests/test_a.py": "import pytest"})
    assert any(reason.startswith("passed over: ") for reason in draft(found, options(found, WISHES)[0], WISHES).reasons)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("hyperfine './a' './b'", "hyperfine"), ("\t@hyperfine -N ./a", "hyperfine"), ("# see hyperfine.", ""),
        ("go test -bench=. ./x", "go"), ("go test ./...", ""), ("const B = require('benchmark')", "benchmark.js"),
        ("import Benchmark from 'benchmark'", "benchmark.js"), ("from benchmark import run", ""), ("vitest run", ""),
    ],
)  # fmt: skip
def test_a_harness_is_told_by_what_it_needs(text: str, name: str) -> None:
    assert harness_of(text) == name


def have(tool: str) -> bool:
    if tool in ("vitest", "benchmark"):
        return bool(os.environ.get("NODE_PATH")) and (Path(os.environ["NODE_PATH"]) / tool).is_dir()
    if tool == "pytest_benchmark":
        return not subprocess.run(["python3", "-c", f"import {tool}"], capture_output=True, check=False).returncode
    if tool == "criterion":
        return bool(shutil.which("cargo")) and bool(os.environ.get("CRITERION_SOURCE"))
    if tool.endswith(".h"):
        program = ["c++", "-E", "-include", tool, "-x", "c++", os.devnull]
        return bool(shutil.which("cmake")) and not subprocess.run(program, capture_output=True, check=False).returncode
    return shutil.which(tool) is not None


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", PROJECTS)
def test_code_made_four_times_slower_moves_the_number_four_times(name: str, tmp_path: Path) -> None:
    tool, files = PROJECTS[name]
    if not have(tool):
        pytest.skip(f"{tool} is not installed")
    found = surveyed(files)
    option = options(found, WISHES)[0]
    plan = draft(found, option, WISHES)

    def run(factor: int, line: str) -> str:
        where = tmp_path / str(factor)
        done = subprocess.run(["bash", "-c", line], cwd=where, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    for factor in (1, 4):
        slower = {path: re.sub(rf"\b{N}\b", str(N * factor), text) for path, text in files.items()}
        root = tmp_path / str(factor)
        for path, text in {**slower, **plan.files}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        if "package.json" in files:
            (root / "node_modules").symlink_to(os.environ["NODE_PATH"])
        if "Cargo.toml" in files:
            (root / ".cargo").mkdir()
            source = '[source.crates-io]\nreplace-with = "local"\n'
            source += f'[source.local]\ndirectory = "{os.environ["CRITERION_SOURCE"]}"\n'
            (root / ".cargo/config.toml").write_text(source)
        run(factor, plan.build)
    # Other work on the machine only adds: of a few runs in turns, the best of each.
    best = max if option.direction == "higher" else min
    values: dict[int, list[float]] = {1: [], 4: []}
    for factor in (1, 4) * 3:
        values[factor].append(metrics.parse(run(factor, "bash autoresearch.sh")).metrics[option.metric])
    ratio = best(values[4]) / best(values[1])
    assert 3.5 <= (1 / ratio if option.direction == "higher" else ratio) <= 4.5, values
