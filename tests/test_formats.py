"""What benchmark harnesses write is read as named numbers, one file is one run, and a hostile file is one sentence."""

from __future__ import annotations

import ast
import contextlib
import json
import random
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoresearch import metrics
from autoresearch.cli import _results, ab, noise, parse
from autoresearch.errors import BadInput
from autoresearch.peers import formats
from autoresearch.peers.formats import FORMATS, MEASURES, Unreadable, load, read
from autoresearch.project import EVALUATOR_FILES
from autoresearch.verdict import units
from driver import REPO

DATA = REPO / "tests/data/formats"
# What each tool said itself, on its screen or in its own summary.
SAID: dict[str, tuple[str, dict[str, float]]] = {
    "pytest-benchmark.json": ("pytest-benchmark", {}),
    "hyperfine.json": ("hyperfine", {"sleep_0.01_s": 0.011046636, "python3_c_pass_s": 0.101358272}),
    "google-benchmark.json": (
        "google-benchmark", {"BM_Sum_64_ns": 18.7357809, "BM_Push_ns": 1009.94712, "BM_Push_cpu_ns": 1008.09473},
    ),
    "google-benchmark-repetitions.json": ("google-benchmark", {"BM_Sum_1024_ns": 292.3428, "BM_Sum_64_ns": 18.65324}),
    "go.txt": (
        "go",
        {"Join_n_10_ns": 253, "Join_n_100_allocs": 99, "Build_bytes": 248, "Build_chars": 100},
    ),
    "go-json.txt": ("go-json", {"Build_ns": 263.0, "Build_MB_per_s": 380.22}),
    "criterion": ("criterion", {"fib_12_ns": 675.508027, "fibs_rec_5_ns": 17.8296613}),
    "criterion-text.txt": ("criterion-text", {"fib_12_ns": 684.93, "fibs_rec_8_ns": 103.6}),
    "bencher.txt": ("bencher", {"fib_12_ns": 564, "fibs_rec_5_ns": 11}),
    "benchmark.js.txt": ("benchmark.js", {"RegExp_test_ops_per_s": 65272603, "slow_one_ops_per_s": 4066}),
    "vitest.json": ("vitest", {"reduce_ms": 0.000471, "for_of_ms": 0.001132}),
    "tinybench.json": ("tinybench", {"reduce_ms": 0.116002, "for_of_ms": 0.0218575}),
    "tinybench-table.json": ("tinybench", {"reduce_ms": 0.116002, "for_of_ms": 0.021858}),
    "asv.json": ("asv", {"b.Suite.time_keys_10_s": 1.923e-06, "b.peakmem_list_bytes": 31084544, "b.track_size": 42}),
    "jmh.json": (
        "jmh",
        {"JoinBenchmark.join_size_100_ns": 2500, "geomean_ops_per_s": 400000, "geomean_bytes": 1024},
    ),
    "perf-stat.json": ("perf-stat", {"task_clock_ms": 80.131122, "page_faults": 9326}),
    "time.txt": ("time", {"wall_s": 0.1, "user_s": 0.07, "max_rss_bytes": 13408 * 1024}),
    "flat.json": ("flat", {"time_s": 1.25, "bundle_bytes": 40961}),
    "flat-list.json": ("flat", {"startup": 41.5, "binary_size": 1048576}),
}  # fmt: skip


def by_name(results: formats.Results) -> dict[str, formats.Metric]:
    return {metric.name: metric for metric in results.metrics}


# --- real outputs


@pytest.mark.parametrize("name", SAID)
def test_every_format_is_told_and_read(name: str) -> None:
    told, numbers = SAID[name]
    results = load(str(DATA / name))
    assert results.format == told
    found = by_name(results)
    assert {key: found[key].value for key in numbers} == pytest.approx(numbers, rel=1e-6)
    again = load(str(DATA / name), told)
    assert again == results


def test_all_that_issue_the_tools_write_is_among_them() -> None:
    """Twelve formats of others, and ours are no more than those and their other faces."""
    wanted = {
        "pytest-benchmark", "hyperfine", "google-benchmark", "go", "criterion", "benchmark.js", "vitest", "tinybench",
        "asv", "jmh", "perf-stat", "time",
    }  # fmt: skip
    assert len(wanted) == 12
    assert wanted < {told for told, _ in SAID.values()} == set(FORMATS)
    assert tuple(FORMATS) == _results.NAMES


def test_pytest_benchmark_is_read_as_its_own_statistics() -> None:
    told = json.loads((DATA / "pytest-benchmark.json").read_text())["benchmarks"]
    found = by_name(load(str(DATA / "pytest-benchmark.json")))
    for bench, name in zip(told, ["test_small_s", "test_sized_2000_s", "test_sized_4000_s"], strict=True):
        assert (found[name].value, found[name].readings) == (bench["stats"]["median"], 8)


@pytest.mark.parametrize("name", SAID)
def test_names_units_and_directions_are_those_of_the_table(name: str) -> None:
    for metric in load(str(DATA / name)).metrics:
        assert re.fullmatch(r"[A-Za-z0-9_.µ]{1,100}", metric.name)
        measure = next(
            (each for each in sorted(MEASURES, key=len, reverse=True) if metric.name.endswith("_" + each)), ""
        )
        if measure and metric.unit:
            assert (metric.unit, metric.direction) == MEASURES[measure]
            # The table of units says of the name what the format says of the number.
            assert (metric.direction == "higher") == units.is_rate(metric.name)
            if metric.unit in ("ns", "ms", "s"):
                assert units.seconds_in(metric.name) == units.seconds_in("", metric.unit)
    assert load(str(DATA / name)).primary in (None, *(m.name for m in load(str(DATA / name)).metrics))


def test_the_mean_is_geometric_and_first() -> None:
    results = load(str(DATA / "bencher.txt"))
    assert results.primary == results.metrics[0].name == "geomean_ns"
    assert results.metrics[0].value == pytest.approx((564 * 11 * 96) ** (1 / 3))


def test_the_table_of_the_documents_is_the_codes() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (.*?) \| .*? \| .*? \| (.*?) \|", (REPO / "docs/formats.md").read_text(), re.M)
    assert {name: told for name, told, _ in rows} == {name: form.told_by for name, form in FORMATS.items()}
    for name, (told, _) in SAID.items():
        results = load(str(DATA / name))
        ends = next(ends for row, _, ends in rows if row == told)
        for metric in results.metrics:
            if metric.name.startswith("geomean_"):
                assert f"`_{metric.name.removeprefix('geomean_')}`" in ends, name


def test_readings_of_many_processors_keep_their_names() -> None:
    """Go appends GOMAXPROCS to all names or to none; a benchmark's own number at its end stays."""
    line = "Benchmark{} \t 100\t {} ns/op\n"
    assert [*by_name(read(line.format("N/size-10-8", 1) + line.format("N/size-20-8", 2)))][1:] == [
        "N_size_10_ns", "N_size_20_ns",
    ]  # fmt: skip
    assert [*by_name(read(line.format("N/size-10", 1) + line.format("N/size-20", 2)))][1:] == [
        "N_size_10_ns", "N_size_20_ns",
    ]  # fmt: skip


def test_namesakes_of_two_packages_are_two_metrics() -> None:
    text = "pkg: a/x\nBenchmarkY-2 1 10 ns/op\npkg: a/z\nBenchmarkY-2 1 20 ns/op\n"
    assert {name: m.value for name, m in by_name(read(text)).items()} == {
        "geomean_ns": pytest.approx(200**0.5), "a_x.Y_ns": 10, "a_z.Y_ns": 20,
    }  # fmt: skip


# --- what failed


FAILED = {
    "go": "BenchmarkA-2 1 10 ns/op\n--- FAIL: BenchmarkB\nFAIL\n",
    "hyperfine": '{"results": [{"command": "a", "mean": 1}, {"command": "b", "mean": 1, "exit_codes": [0, 1]}]}',
    "google-benchmark": '{"context": {}, "benchmarks": [{"name": "a", "real_time": 1, "cpu_time": 1}, '
    '{"name": "b", "error_occurred": true, "real_time": 1, "cpu_time": 1}]}',
    "vitest": '{"files": [{"groups": [{"benchmarks": [{"name": "a", "mean": 1}, {"name": "b", "rank": 2}]}]}]}',
    "tinybench": '[{"name": "a", "result": {"latency": {"mean": 1}}}, '
    '{"name": "b", "result": {"state": "errored", "error": {}}}]',
    "asv": '{"commit_hash": "c", "results": {"time_a": [[1.5]], "time_b": null}}',
    "bencher": "test a ... bench: 1 ns/iter (+/- 0)\ntest b ... FAILED\n",
    "jmh": '[{"benchmark": "a", "primaryMetric": {"score": 1, "scoreUnit": "s/op"}}, '
    '{"benchmark": "b", "primaryMetric": {"score": "NaN", "scoreUnit": "s/op"}}]',
}  # fmt: skip


@pytest.mark.parametrize("name", FAILED)
def test_a_benchmark_that_failed_leaves_no_mean_to_gain_by(name: str, tmp_path: Path) -> None:
    results = read(FAILED[name])
    assert results.format == name
    assert len(results.failed) == 1
    assert results.benchmarks == 2
    assert not [metric for metric in results.metrics if metric.name.startswith("geomean_")]
    file = tmp_path / "out"
    file.write_text(FAILED[name])
    assert standalone("--from", name, str(file)).returncode == 1


def test_time_of_a_command_that_failed_is_no_time() -> None:
    text = (DATA / "time.txt").read_text()
    with pytest.raises(Unreadable, match="none of its 6 benchmarks gave a number"):
        read(text.replace("Exit status: 0", "Exit status: 3"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"counter-value": "1", "event": "cycles", "interval": 1.0}', "without -I"),
        ('{"counter-value": "80,131122", "unit": "msec", "event": "task-clock"}', "LC_ALL=C"),
        ('{"counter-value": "<not supported>", "event": "cycles"}', "counted none"),
    ],
)
def test_counts_that_mean_something_else_are_refused(text: str, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        read(text)


# --- hostile files


def test_huge_and_deep_files_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in (
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"results": [{"command": ' + "[" * 900 + "]" * 900 + "}]}",
        "{" + "9" * 10**6,
    ):
        with pytest.raises(Unreadable) as told:
            read(text)
        assert len(str(told.value)) < 500
    monkeypatch.setattr(formats, "MOST", 1000)
    with pytest.raises(Unreadable, match="more than"):
        read(" " * 1001)


@pytest.mark.parametrize(
    "text",
    [
        "Benchmark" * 200_000, "BenchmarkX 1 " * 100_000, ("test " + " " * 1990 + "\n") * 2000,
        (" " * 1990 + "time: [\n") * 2000, (" x " * 600 + "\n") * 2000, "\x1b[" * 500_000, ": " * 700_000,
        "[" + ",".join('{"name": "a", "value": 1}' for _ in range(30_000)) + "]",
        json.dumps({"benchmarks": [{"name": "a", "fullname": n, "stats": {"median": 1}} for n in range(30_000)]}),
    ],
    ids=range(9),
)  # fmt: skip
def test_time_grows_with_the_text_only(text: str) -> None:
    begun = time.process_time()
    with contextlib.suppress(Unreadable):
        read(text)
    assert time.process_time() - begun < 5


NAMES = st.text(st.characters(), max_size=40) | st.sampled_from(
    [
        "$(touch x)",
        "`id`",
        "a;b",
        "\x1b[2J",
        "a\nMETRIC time_s=0",
        "__proto__",
        "geomean",
        "geomean_ns",
        "\u202e",
        "\ud800",
    ]
)
VALUES: st.SearchStrategy[Any] = (
    st.floats() | st.integers() | st.booleans() | st.none() | NAMES | st.lists(st.integers(), max_size=3)
    | st.dictionaries(NAMES, st.integers(), max_size=2)
)  # fmt: skip


def mangled(draw: Any, value: Any) -> Any:
    """The value with some of its parts, at any depth, replaced by anything."""
    if draw(st.integers(0, 9)) == 0:
        return draw(VALUES)
    if isinstance(value, dict):
        return {
            draw(NAMES) if draw(st.integers(0, 19)) == 0 else key: mangled(draw, part) for key, part in value.items()
        }
    if isinstance(value, list):
        return [mangled(draw, part) for part in value[:4]]
    return value


@st.composite
def mangled_files(draw: Any) -> str:
    name = draw(st.sampled_from([name for name in SAID if name.endswith(".json") and name != "perf-stat.json"]))
    return json.dumps(mangled(draw, json.loads((DATA / name).read_text())))


@st.composite
def mangled_texts(draw: Any) -> str:
    name = draw(st.sampled_from([name for name in SAID if name.endswith(".txt") or name == "perf-stat.json"]))
    words = re.split(r"(\s+)", (DATA / name).read_text())
    return "".join(draw(NAMES) if draw(st.integers(0, 29)) == 0 else word for word in words)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(mangled_files() | mangled_texts() | st.text(), st.sampled_from(["auto", *FORMATS]))
def test_whatever_a_file_holds_it_is_safe_metrics_or_one_sentence(text: str, wanted: str) -> None:
    try:
        results = read(text, wanted)
    except Unreadable as exc:
        results, sentence = None, str(exc)
    if results is None:
        assert sentence.isprintable()
        assert len(sentence) < 600
        return
    lines = formats.lines_of(results)
    parsed = metrics.parse(lines)
    # The grammar of METRIC lines takes every name and value, and nothing else came in with them.
    assert parsed.metrics == {metric.name: metric.value for metric in results.metrics}
    assert all(len(found) == 1 for found in parsed.samples.values())
    assert lines.count("\n") == len(results.metrics)
    assert all(name.isascii() and name.isprintable() for name in results.failed)
    assert all(metric.direction in ("", "lower", "higher") for metric in results.metrics)


def test_no_benchmark_can_take_the_name_of_the_mean() -> None:
    found = by_name(read("Benchmarkgeomean-2 1 1 ns/op\nBenchmarkA-2 1 100 ns/op\n"))
    assert found["geomean_ns"].value == pytest.approx(10)


def test_a_tree_is_read_without_what_is_no_plain_file(tmp_path: Path) -> None:
    import os

    for name in ("good", "link", "pipe"):
        (tmp_path / name / "new").mkdir(parents=True)
    (tmp_path / "good/new/estimates.json").write_text('{"median": {"point_estimate": 5}}')
    (tmp_path / "link/new/estimates.json").symlink_to(tmp_path / "good/new/estimates.json")
    os.mkfifo(tmp_path / "pipe/new/estimates.json")
    results = load(str(tmp_path))
    assert (results.failed, by_name(results)["good_ns"].value) == (["'link'", "'pipe'"], 5)


# --- the copy beside a benchmark


def standalone(*arguments: str, cwd: Path | None = None, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", str(Path(formats.__file__)), *arguments], input=stdin, text=True, capture_output=True,
        cwd=cwd, env={}, check=False,
    )  # fmt: skip


def test_the_reader_stands_alone_on_python_3_8() -> None:
    tree = ast.parse(Path(formats.__file__).read_text(), feature_version=(3, 8))
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name) or ""
        for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))
    }  # fmt: skip
    assert {name.partition(".")[0] for name in imported} <= set(sys.stdlib_module_names)
    done = standalone("--from", "go", "--expect", "3", str(DATA / "go.txt"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("geomean_ns=")
    done = standalone("--from", "go", "--expect", "4", str(DATA / "go.txt"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "has 3 benchmarks, not 4" in done.stderr
    for wrong in ("hyperfine", "auto"):
        done = standalone("--from", wrong, stdin="nothing here")
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)


SHELL = (REPO / "templates/autoresearch.sh").read_text()
SHELL = SHELL[: SHELL.index("# Example")]


def test_the_template_prints_and_signs_each_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(parse.command, ["--reader"]).exit_code == 0
    assert "autoresearch.formats.py" in EVALUATOR_FILES  # frozen as soon as it is there
    where = tmp_path
    (where / "token").write_text("secret")
    # What a candidate puts beside it is not imported in place of the standard library.
    (where / "json.py").write_text("raise SystemExit('mine')")
    line = f"metric --from auto {shlex.quote(str(DATA / 'bencher.txt'))}\ncat {DATA / 'go.txt'} | metric --from go\n"
    (where / "b.sh").write_text(SHELL + line)
    done = subprocess.run(
        ["bash", "b.sh"], cwd=where, capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin", "AUTORESEARCH_TOKEN": str(where / "token")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    from autoresearch.trial import signing

    printed = metrics.parse(done.stdout).samples
    assert printed["fib_12_ns"] == [564]
    assert signing.signed(done.stdout, "secret") == printed
    for broken in ("metric --from jmh /dev/null", "true | metric --from go", "metric --from go none"):
        (where / "b.sh").write_text(SHELL + broken + "\necho METRIC later=1\n")
        done = subprocess.run(["bash", "b.sh"], cwd=where, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (1, ""), broken


def test_another_reader_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("autoresearch.formats.py").write_text("older")
    done = CliRunner().invoke(parse.command, ["--reader"])
    assert isinstance(done.exception, BadInput)
    assert Path("autoresearch.formats.py").read_text() == "older"


# --- the commands


def told(done: Result) -> str:
    assert isinstance(done.exception, BadInput), done.output
    return done.exception.sentence()


@pytest.mark.parametrize("name", SAID)
def test_parse_reads_them_all(name: str) -> None:
    done = CliRunner().invoke(parse.command, [str(DATA / name), "--json"])
    assert done.exit_code == 0, done.output
    assert len(done.output) < 2000
    data = json.loads(done.output)
    assert (data["format"], data["runs"]) == (SAID[name][0], 1)
    assert [*data["metrics"]] == [*data["about"]]
    person = CliRunner().invoke(parse.command, [str(DATA / name)]).output
    assert "one run" in person
    assert all(metric.name in person for metric in load(str(DATA / name)).metrics)


def test_parse_tells_an_unknown_format_from_no_metric_line(tmp_path: Path) -> None:
    for text, why in (
        ('{"suites": [{"ms": 3}]}', "JSON with 'suites'"), ("[1, [2]]", "a list of 2"), ("<testsuite/>", "XML"),
        ('{"results": [{"command"', "broken JSON"), ("all 12 passed\n", "text"),
    ):  # fmt: skip
        done = CliRunner().invoke(parse.command, ["--json"], input=text)
        assert (done.exit_code, json.loads(done.output)["format"]) == (1, None)
        assert why in json.loads(done.output)["why"]
        assert why in CliRunner().invoke(parse.command, [], input=text).output
    assert "why" in json.loads(CliRunner().invoke(parse.command, ["--json"], input="").output)
    nothing = CliRunner().invoke(parse.command, ["--from", "metric", "--json"], input="all 12 passed\n")
    assert (nothing.exit_code, "why" in json.loads(nothing.output)) == (1, False)
    assert "it is no jmh" in told(CliRunner().invoke(parse.command, [str(DATA / "go.txt"), "--from", "jmh"]))


def test_metric_lines_go_first() -> None:
    text = "METRIC time_s=2\n" + (DATA / "go.txt").read_text()
    data = json.loads(CliRunner().invoke(parse.command, ["--json"], input=text).output)
    assert (data["format"], data["metrics"]) == ("metric", {"time_s": 2.0})
    assert (
        json.loads(CliRunner().invoke(parse.command, ["--json", "--from", "go"], input=text).output)["format"] == "go"
    )


@pytest.mark.parametrize("name", [name for name in SAID if name != "criterion"])
def test_noise_and_samples_refuse_readings_inside_a_run(name: str) -> None:
    path = str(DATA / name)
    sentence = told(CliRunner().invoke(noise.command, [path]))
    assert "is one run by" in sentence
    assert "one file a run" in sentence
    sentence = told(CliRunner().invoke(ab.command, ["--samples", path]))
    assert "is one run by" in sentence
    assert "one file a run" in sentence


def go_file(path: Path, value: float) -> str:
    path.write_text(f"BenchmarkX-2 100 {value:.3f} ns/op 32 B/op\nBenchmarkX-2 100 {value * 1.01:.3f} ns/op 32 B/op\n")
    return str(path)


def test_one_file_a_run_is_noise(tmp_path: Path) -> None:
    rng = random.Random(1)
    files = [go_file(tmp_path / f"{n:02}.txt", 1000 * rng.gauss(1, 0.005)) for n in range(12)]
    done = CliRunner().invoke(noise.command, [*files, "--json"])
    assert done.exit_code in (0, 1), done.output
    assert json.loads(done.output)["n"] == 12
    exact = CliRunner().invoke(noise.command, [*files, "--metric", "X_bytes", "--json"])
    assert json.loads(exact.output)["cv_pct"] == 0
    assert "named twice" in told(CliRunner().invoke(noise.command, [files[0], files[0]]))
    assert "X_ns" in told(CliRunner().invoke(noise.command, [*files, "--metric", "nope"]))


def test_noise_runs_a_harness(tmp_path: Path) -> None:
    line = f"cat {shlex.quote(str(DATA / 'benchmark.js.txt'))}"
    done = CliRunner().invoke(noise.command, ["--run", line, "--runs", "4", "--json"])
    assert json.loads(done.stdout)["median"] == pytest.approx(6728447.87)
    # A program's own JSON is no result unless somebody says so.
    printing = ["--run", "echo '{\"answer\": 42}'", "--runs", "4"]
    assert "--from flat" in told(CliRunner().invoke(noise.command, printing))
    assert CliRunner().invoke(noise.command, [*printing, "--from", "flat"]).exit_code == 0


def test_recorded_runs_may_be_files_of_a_harness(tmp_path: Path) -> None:
    rng, runs = random.Random(2), []
    for slot, side in enumerate("ABBABAABAABBBBAA" * 3):
        go_file(tmp_path / f"{slot}.txt", (1000 if side == "A" else 800) * rng.gauss(1, 0.01))
        runs.append({"slot": slot, "side": side, "value": f"{slot}.txt"})
    (tmp_path / "s.json").write_text(json.dumps({"runs": runs}))
    done = CliRunner().invoke(ab.command, ["--samples", str(tmp_path / "s.json"), "--json"])
    assert json.loads(done.output)["verdict"] == "keep", done.output
    assert "no direction given" not in done.output  # the format says it
    runs[1]["value"] = "0.txt"
    (tmp_path / "s.json").write_text(json.dumps({"runs": runs}))
    assert "named twice" in told(CliRunner().invoke(ab.command, ["--samples", str(tmp_path / "s.json")]))


PRINTS = (
    "python3 -c \"import random; print('x x %d ops/sec ±1.00%% (9 runs sampled)' % ({} * random.gauss(1, 0.004)))\""
)


def test_ab_compares_what_two_harnesses_print_and_knows_the_direction() -> None:
    arguments = [
        "--a",
        PRINTS.format(1000000),
        "--b",
        PRINTS.format(1300000),
        "--json",
        "--seed",
        "3",
        "--max-runs",
        "40",
    ]
    done = CliRunner().invoke(ab.command, arguments)
    data = json.loads(done.output)
    assert (data["verdict"], data["metric"], data["direction"]) == ("keep", "geomean_ops_per_s", "higher")
    lower = CliRunner().invoke(ab.command, [*arguments, "--direction", "lower"])
    assert json.loads(lower.output)["verdict"] == "discard"


def test_ab_reads_the_file_that_each_run_writes(tmp_path: Path) -> None:
    out = tmp_path / "out.json"

    def writing(value: float) -> str:
        text = json.dumps({"results": [{"command": "work", "median": value, "times": [value]}]})
        return f"sleep 0.01; echo {shlex.quote(text)} >{shlex.quote(str(out))}"

    arguments = ["--output", str(out), "--json", "--max-runs", "16"]
    done = CliRunner().invoke(ab.command, ["--a", writing(1.5), "--b", writing(1.25), *arguments])
    data = json.loads(done.output)
    assert (data["verdict"], data["metric"]) == ("keep", "geomean_s")
    assert (data["base_median"], data["candidate_median"]) == (1.5, 1.25)
    # A file of an earlier run says nothing about this one.
    assert "did not write" in told(CliRunner().invoke(ab.command, ["--a", writing(1.5), "--b", "true", *arguments]))
    wrong = ["--a", f"date >{out}", "--b", "true", *arguments]
    assert "holds no result" in told(CliRunner().invoke(ab.command, wrong))


def test_ab_times_a_program_whose_output_is_json() -> None:
    done = CliRunner().invoke(
        ab.command, ["--a", "echo '{\"n\": 1}'", "--b", "echo '{\"n\": 1}'", "--max-runs", "8", "--json"]
    )
    assert json.loads(done.output)["metric"] in ("own_s", "wall_s")
