"""Numbers in the formats people have: what benchmark harnesses write, as named metrics with unit and direction.

Every benchmark of a file is one metric, its readings' median; where a file holds times or rates, their geometric mean
comes first. The readings inside a file shared one process and one moment: they are one run, however many they are.

It is one file, long as it is, and stands alone: a copy of it may lie beside a benchmark (`autoresearch.formats.py`,
frozen with it), where `metric --from FORMAT` of autoresearch.sh runs it. Python 3.8, standard library, nothing of ours.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
from itertools import product
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

# The most text that is read; a file of a harness is seldom above a megabyte.
MOST = 64 * 2**20
_TREE_FILES = 5000
_LINE = 2000

TIMES = {"ns": 1.0, "us": 1e3, "µs": 1e3, "μs": 1e3, "ms": 1e6, "s": 1e9, "min": 60e9, "hr": 3600e9, "ps": 1e-3}
# Ending of a metric's name -> its unit, and which way is better. Of an ending that is not here nothing is known.
MEASURES = {
    "ns": ("ns", "lower"), "ms": ("ms", "lower"), "s": ("s", "lower"), "cpu_ns": ("ns", "lower"),
    "bytes": ("bytes", "lower"), "allocs": ("allocs", "lower"), "ops_per_s": ("ops/s", "higher"),
    "MB_per_s": ("MB/s", "higher"),
}  # fmt: skip


class Metric(NamedTuple):
    """One number. `direction` is lower, higher or "" where the format does not say; `readings` 0: not told either."""

    name: str
    value: float
    unit: str
    direction: str
    readings: int


class Results(NamedTuple):
    """What a file says. `primary` is the metric to go by, None where there is a choice; `failed` gave no number."""

    format: str
    metrics: List[Metric]
    primary: Optional[str]
    benchmarks: int
    failed: List[str]


class Row(NamedTuple):
    """One reading, or what is told of many. `value` None: the benchmark failed. `full` tells namesakes apart."""

    name: str
    full: str
    measure: str
    value: Optional[float]
    readings: int = 1
    unit: str = ""
    direction: str = ""


class Unreadable(ValueError):
    """One sentence, safe to show: why a text is not of the format, or of none."""


Reader = Callable[[Any], Optional[List[Row]]]


class Format(NamedTuple):
    """It reads JSON or lines (`takes`), is recognised by `told_by`, and has a mean of all if they are `compared`."""

    reader: Reader
    takes: str
    told_by: str
    compared: bool = True


def read(text: str, wanted: str = "auto") -> Results:
    """The numbers of a harness's output. `Unreadable` where it is not of the format `wanted`, or of none that is known.

    Pure; nothing that `text` holds reaches a message unescaped, nor a name outside [A-Za-z0-9_.µ].
    """
    if len(text) > MOST:
        raise Unreadable("it holds more than %d MB, the most that is read" % (MOST >> 20))
    data, broken = _json(text)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    lines = [line.rstrip()[:_LINE] for line in plain.split("\n")]
    for name in FORMATS if wanted == "auto" else [wanted]:
        form = FORMATS[name]
        if form.takes == "json" and data is None:
            continue
        try:
            rows = form.reader(data if form.takes == "json" else lines)
        except Unreadable:
            raise
        except (AttributeError, KeyError, TypeError, IndexError, ValueError, RecursionError) as exc:
            if wanted == "auto":
                continue
            told = "a field is missing or of another kind (%s)" % _show(str(exc))
            raise Unreadable("it is no %s: %s" % (name, told)) from None
        if rows:
            return _results(name, rows, form.compared)
    if wanted == "auto":
        raise Unreadable("it is %s, and of none of the formats %s" % (_looks(text, data, broken), ", ".join(FORMATS)))
    raise Unreadable("it is no %s (%s), but %s" % (wanted, FORMATS[wanted].told_by, _looks(text, data, broken)))


def load(path: str, wanted: str = "auto") -> Results:
    """`read` for a file, `-` (stdin), or a directory of criterion's. OSError, `Unreadable`."""
    if os.path.isdir(path):
        rows = list(_criterion_tree(path))
        if not rows or wanted not in ("auto", "criterion"):
            raise Unreadable("it is a directory without criterion's new/estimates.json")
        return _results("criterion", rows, True)
    if path == "-":
        return read(sys.stdin.buffer.read(MOST + 1).decode("utf-8-sig", "replace"), wanted)
    with open(path, "rb") as file:
        return read(file.read(MOST + 1).decode("utf-8-sig", "replace"), wanted)


def lines_of(results: Results) -> str:
    """The metrics as METRIC lines."""
    return "".join("METRIC %s=%r\n" % (metric.name, metric.value) for metric in results.metrics)


# --- from rows to metrics


def _results(name: str, rows: List[Row], compared: bool) -> Results:
    groups: Dict[Tuple[str, str], List[Row]] = {}
    for row in rows:
        groups.setdefault((row.full, row.measure), []).append(row)
    namesakes: Dict[Tuple[str, str], set[str]] = {}
    for row in rows:
        namesakes.setdefault((_slug(row.name), row.measure), set()).add(row.full)
    found: List[Metric] = []
    failed: Dict[str, None] = {}
    positive: Dict[str, Optional[List[float]]] = {}
    taken = {"geomean_" + measure: 1 for measure in MEASURES}  # no benchmark may be called so
    for (full, measure), same in groups.items():
        first = same[0]
        unit, direction = MEASURES.get(measure, (first.unit, first.direction))
        values = [row.value for row in same if row.value is not None and _sound(row.value, measure)]
        if len(values) < len(same):
            failed[_show(full)] = None
            continue
        value = _median(values)
        known = positive.setdefault(measure, [])
        if known is not None and value > 0.0:
            known.append(value)
        else:
            positive[measure] = None
        alone = len(namesakes[_slug(first.name), measure]) == 1
        told = _unique(_ended(_slug(first.name if alone else full), measure), taken)
        found.append(Metric(told, value, unit, direction, sum(row.readings for row in same)))
    benchmarks = len({full for full, _ in groups})
    if not found:
        raise Unreadable("it is %s, and none of its %d benchmarks gave a number" % (name, benchmarks))
    if not compared:
        return Results(name, found, found[0].name if len(found) == 1 else None, benchmarks, list(failed))
    overall = []
    for measure, known in positive.items():
        # A mean without what failed would reward the failure; of what is 0 there is none.
        if known and measure in MEASURES and not failed:
            mean = math.exp(math.fsum(map(math.log, known)) / len(known)) if len(known) > 1 else known[0]
            overall.append(Metric("geomean_" + measure, mean, *MEASURES[measure], 0))
    # The first measure is the one that the harness is for: without its mean nothing stands for the whole.
    main = "geomean_" + rows[0].measure
    primary = main if overall and overall[0].name == main else found[0].name if len(found) == 1 else None
    return Results(name, overall + found, primary, benchmarks, list(failed))


def _median(values: List[float]) -> float:
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(ordered) % 2 else ordered[half - 1] / 2 + ordered[half] / 2


def _sound(value: float, measure: str) -> bool:
    return math.isfinite(value) and (measure not in MEASURES or value >= 0.0)


def _slug(text: str) -> str:
    """A name of the METRIC grammar, left as it is where it is one."""
    found = re.sub(r"[^A-Za-z0-9_.µ]+", "_", text[:_LINE])
    found = found if found == text else found.strip("_")
    found = found[:80] or "unnamed"
    return found + "_" if found in ("__proto__", "constructor", "prototype") else found


def _ended(name: str, measure: str) -> str:
    return "%s_%s" % (name, measure) if measure else name


def _unique(name: str, taken: Dict[str, int]) -> str:
    told = name
    while told in taken:
        taken[name] = taken.get(name, 1) + 1
        told = "%s_%d" % (name, taken[name])
    taken[told] = 1
    return told


def _show(text: str) -> str:
    return ascii(text if len(text) <= 60 else text[:59] + "…")


# --- texts and numbers


def _json(text: str) -> Tuple[Any, str]:
    """The JSON value of a text, or the list of those on its lines; else None and what is wrong with it."""
    start = text.lstrip()[:1]
    if start not in ("{", "[", "#"):
        return None, ""
    wrong = ""
    try:
        # As floats: an integer of a million digits costs nothing, and becomes infinite.
        return json.loads(text, parse_int=float), ""
    except RecursionError:
        return None, "it is nested too deep"
    except ValueError as exc:
        wrong = str(exc)
    found = []
    for line in text.split("\n"):
        if line[:1] == "{":
            try:
                found.append(json.loads(line, parse_int=float))
            except (ValueError, RecursionError):
                return None, wrong if start == "{" else ""
    return (found, "") if found else (None, wrong if start != "#" else "")


def _looks(text: str, data: Any, broken: str) -> str:
    if isinstance(data, dict):
        keys = ", ".join(_show(str(key)) for key in list(data)[:4]) or "no key"
        return "JSON with %s" % keys
    if data is not None:
        return "JSON, a list of %d" % len(data) if isinstance(data, list) else "JSON"
    if broken:
        return "broken JSON (%s)" % _show(broken)
    start = text.lstrip()[:1]
    return "empty" if not start else "XML or HTML" if start == "<" else "text"


_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")


def _number(value: Any) -> Optional[float]:
    """A finite number of JSON, or of a text that writes it as one; else None."""
    if isinstance(value, str):
        value = float(value) if _DECIMAL.match(value) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def _first(found: Any, *keys: str) -> Optional[float]:
    """The first of these fields that is a number."""
    return next((n for n in (_number(found.get(key)) for key in keys) if n is not None), None)


def _count(value: Any) -> int:
    return int(min(max(_number(value) or 1.0, 1.0), 1e9))


def _objects(value: Any) -> List[Dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


# --- the readers: rows, or nothing where it is another format


def _pytest_benchmark(data: Any) -> Optional[List[Row]]:
    found = [b for b in _objects(data["benchmarks"]) if "stats" in b]
    return [
        Row(str(b["name"]), str(b.get("fullname", b["name"])), "s", _first(b["stats"], "median", "mean"),
            _count(b["stats"].get("rounds")))
        for b in found
    ]  # fmt: skip


def _hyperfine(data: Any) -> Optional[List[Row]]:
    rows = []
    for entry in _objects(data["results"]):
        command = str(entry["command"])
        codes = entry.get("exit_codes") or []
        value = None if any(code != 0 for code in codes) else _first(entry, "median", "mean")
        rows.append(Row(command, command, "s", value, len(entry.get("times") or [0])))
    return rows


_GOOGLE_FIELDS = frozenset((
    "real_time", "cpu_time", "iterations", "repetitions", "repetition_index", "threads", "family_index",
    "per_family_instance_index",
))  # fmt: skip


def _google_benchmark(data: Any) -> Optional[List[Row]]:
    entries = [b for b in _objects(data["benchmarks"]) if "context" in data]
    runs = [b for b in entries if b.get("run_type", "iteration") == "iteration"]
    medians = [b for b in entries if b.get("aggregate_name") == "median"]
    rows = []
    for b in runs or medians:
        name = str(b.get("run_name") or b["name"])
        many = 1 if runs else _count(b.get("repetitions"))
        scale = TIMES[str(b.get("time_unit", "ns"))]
        for measure, key in (("ns", "real_time"), ("cpu_ns", "cpu_time")):
            value = None if b.get("error_occurred") else _number(b.get(key))
            rows.append(Row(name, name, measure, value if value is None else value * scale, many))
        for key, value in b.items():
            # Counters of the benchmark's own; what is per second only says the time again.
            if key not in _GOOGLE_FIELDS and not key.endswith("_per_second") and _number(value) is not None:
                measure = {"allocs_per_iter": "allocs", "max_bytes_used": "bytes"}.get(key, _slug(key))
                rows.append(Row(name, name, measure, _number(value), many))
    # The time of all comes first, then the processor's.
    return sorted(rows, key=lambda row: row.measure != "ns")


_GO = re.compile(r"(Benchmark\S*)\s+\d+\s+(\S.*)")
_GO_MEASURES = {"ns/op": "ns", "B/op": "bytes", "allocs/op": "allocs", "MB/s": "MB_per_s"}


def _go(data: Any) -> Optional[List[Row]]:
    found: List[Tuple[str, str, str, Optional[float]]] = []
    package = ""
    for line in data:
        match = _GO.match(line)
        failed = re.match(r"\s*--- FAIL: (Benchmark\S*)|FAIL\s+(\S+)", line)
        if line.startswith("pkg: "):
            package = line[5:]
        elif failed:
            found.append((failed[1] or failed[2], package, "ns", None))
        elif match:
            words = match[2].split()
            for number, unit in zip(words[::2], words[1::2]):
                measure = _GO_MEASURES.get(unit) or _slug(unit.replace("/op", ""))
                found.append((match[1], package, measure, _number(number)))
    if not any(measure == "ns" and value is not None for _, _, measure, value in found):
        return None
    # GOMAXPROCS is appended to every name where it is not 1; what all share is no part of a benchmark's own.
    ends = {re.findall(r"(?:-\d+)?$", name)[0] for name, _, _, value in found if value is not None}
    cut = len(ends.pop()) if len(ends) == 1 else 0
    rows = []
    for name, where, measure, value in found:
        name = name[: len(name) - cut] if value is not None else name
        short = name[9:] if name.startswith("Benchmark") and name[9:] else name
        rows.append(Row(short, "%s.%s" % (where, short), measure, value))
    return sorted(rows, key=lambda row: row.measure != "ns")


def _go_events(data: Any) -> Optional[List[Row]]:
    """`go test -json`: the same text, in pieces."""
    texts: Dict[str, str] = {}
    for event in _objects(data if isinstance(data, list) else [data]):
        if event.get("Action") == "output":
            package = str(event.get("Package"))
            texts[package] = texts.get(package, "") + str(event["Output"])
    return _go("\n".join(texts.values()).split("\n")) if texts else None


def _criterion(data: Any) -> Optional[List[Row]]:
    """A single estimates.json, which does not say whose it is."""
    return [Row("benchmark", "benchmark", "ns", _number(data["median"]["point_estimate"]), 0)]


def _criterion_tree(top: str) -> Iterator[Row]:
    """The last run's estimates below a directory such as target/criterion."""
    files = 0
    for where, folders, names in os.walk(top):
        folders.sort()
        if os.path.basename(where) != "new" or "estimates.json" not in names:
            continue
        files += 1
        if files > _TREE_FILES:
            raise Unreadable("it holds more than %d benchmarks" % _TREE_FILES)
        found = {}
        for name in ("estimates.json", "benchmark.json"):
            path = os.path.join(where, name)
            # What is no plain file could be endless, or another's.
            if os.path.isfile(path) and not os.path.islink(path) and os.path.getsize(path) < 2**20:
                with open(path, encoding="utf-8", errors="replace") as file:
                    found[name] = _json(file.read())[0]
        told = found.get("benchmark.json")
        name = str(told.get("full_id", "")) if isinstance(told, dict) else ""
        name = name or os.path.relpath(os.path.dirname(where), top)
        try:
            value = _number(found["estimates.json"]["median"]["point_estimate"])
        except (KeyError, TypeError):
            value = None
        yield Row(name, name, "ns", value, 0)


_BENCHER = re.compile(r"\s*([\d,.]+) ns/iter")
_SCREEN = re.compile(r"\s*\[[\d.]+ \S+ ([\d.]+) (\S+) [\d.]+ \S+\]")


def _bencher(data: Any) -> Optional[List[Row]]:
    rows = []
    for line in data:
        name, dots, told = line.partition(" ... ")
        name = name.strip()[5:].strip()
        match = _BENCHER.match(told[6:]) if told.startswith("bench:") else None
        if line.startswith("test ") and dots and name and (match or told == "FAILED"):
            rows.append(Row(name, name, "ns", _number(match[1].replace(",", "")) if match else None, 0))
    return rows if any(row.value is not None for row in rows) else None


def _criterion_screen(data: Any) -> Optional[List[Row]]:
    rows = []
    for before, line in zip(["", *data], data):
        name, _, told = line.partition("time:")
        match = _SCREEN.match(told)
        if match and match[2] in TIMES:
            name = name.strip() or before.strip()  # a long name has a line of its own
            value = _number(match[1])
            rows.append(Row(name, name, "ns", None if value is None else value * TIMES[match[2]], 0))
    return rows


_BENCHMARK_JS = re.compile(r"([\d,.]+) ops/sec(?: ±[\d.]+%)? \((\d{1,9}) runs? sampled\)$")


def _benchmark_js(data: Any) -> Optional[List[Row]]:
    rows = []
    for line in data:
        name, _, told = line.rpartition(" x ")
        match = _BENCHMARK_JS.match(told)
        if match and name.strip():
            value = _number(match[1].replace(",", ""))
            rows.append(Row(name.strip(), name, "ops_per_s", value, int(match[2])))
    return rows


def _vitest(data: Any) -> Optional[List[Row]]:
    return [
        Row(str(b["name"]), "%s > %s" % (group.get("fullName"), b["name"]), "ms", _first(b, "median", "mean"),
            _count(b.get("sampleCount")))
        for file in _objects(data["files"]) for group in _objects(file["groups"]) for b in _objects(group["benchmarks"])
    ]  # fmt: skip


def _tinybench(data: Any) -> Optional[List[Row]]:
    rows: List[Row] = []
    for number, task in enumerate(_objects(data["tasks"] if isinstance(data, dict) else data), 1):
        table = {str(key).lower(): value for key, value in task.items()}
        result = task.get("result", task)
        if "task name" in table:
            # Columns such as `Latency med (ns)`, with `116002 ± 240.00` in them.
            columns = [re.match(r"(?:latency (med|av)|average time).*\((\w+)\)$", key) for key in table]
            best = min(filter(None, columns), key=lambda column: column[1] != "med", default=None)
            told = _number(str(table[best[0]]).split("±")[0].strip()) if best else None
            value = told * TIMES[best[2]] / 1e6 if best and told is not None else None
            rows.append(_task(str(table["task name"]), value, table.get("samples")))
        elif isinstance(result, dict) and result.keys() & {"latency", "hz", "error"}:
            bad = result.get("error") is not None or result.get("state", "completed") != "completed"
            latency = result.get("latency", result)
            value = None if bad else _first(latency, "p50", "median", "mean")
            many = latency.get("samplesCount") or len(latency.get("samples") or [0])
            rows.append(_task(str(task.get("name", "task_%d" % number)), value, many))
    return rows


def _task(name: str, value: Optional[float], readings: Any) -> Row:
    return Row(name, name, "ms", value, _count(readings))


_ASV = {"time": "s", "timeraw": "s", "mem": "bytes", "peakmem": "bytes"}


def _asv(data: Any) -> Optional[List[Row]]:
    columns = data.get("result_columns") or ["result", "params"]
    rows = []
    for name, told in data["results"].items():
        if isinstance(told, list):
            told = dict(zip(columns, told))
        elif not isinstance(told, dict):
            told = {"result": told}
        kind = name.rpartition(".")[2].partition("_")[0]
        params = [list(map(str, options)) for options in told.get("params") or []]
        values = told["result"] if isinstance(told["result"], list) else [told["result"]]
        cases = product(*params) if params else [()] * len(values)
        for case, value in zip(cases, values):
            if isinstance(value, float) and math.isnan(value):
                continue  # skipped by its set-up
            full = "%s(%s)" % (name, ", ".join(case)) if case else name
            rows.append(Row(full, full, _ASV.get(kind, ""), _number(value)))
    return sorted(rows, key=lambda row: row.measure != "s") if "commit_hash" in data else None


def _jmh(data: Any) -> Optional[List[Row]]:
    rows, extra = [], []
    for entry in _objects(data):
        main = entry["primaryMetric"]
        params = entry.get("params") or {}
        told = "(%s)" % ",".join("%s=%s" % pair for pair in params.items()) if params else ""
        full = "%s%s %s" % (entry["benchmark"], told, entry.get("mode"))
        name = ".".join(str(entry["benchmark"]).split(".")[-2:]) + told
        above, _, below = str(main["scoreUnit"]).partition("/")
        value, rate = _number(main["score"]), above == "ops"
        scale = 1e9 / TIMES[below] if rate else TIMES[above]
        many = sum(len(fork) for fork in main.get("rawData") or [] if isinstance(fork, list))
        value = value if value is None else value * scale
        rows.append(Row(name, full, "ops_per_s" if rate else "ns", value, many or 1))
        for key, second in (entry.get("secondaryMetrics") or {}).items():
            if key.strip("·") == "gc.alloc.rate.norm":
                extra.append(Row(name, full, "bytes", _number(second["score"]), many or 1))
    return rows + extra


def _perf(data: Any) -> Optional[List[Row]]:
    rows = []
    events = [e for e in _objects(data if isinstance(data, list) else [data]) if "counter-value" in e and "event" in e]
    for event in events:
        if {"interval", "core", "cpu", "socket", "die", "node", "thread"} & event.keys():
            raise Unreadable("it counts by interval, core or thread: run perf stat without -I, -A and --per-…")
        value, unit, name = _number(event["counter-value"]), str(event.get("unit", "")), str(event["event"])
        if "," in str(event["counter-value"]):
            raise Unreadable("perf wrote a decimal comma: run it with LC_ALL=C")
        if value is None:
            continue  # <not supported>, <not counted>
        if unit in ("msec", "ns"):
            rows.append(Row(name, name, unit.replace("msec", "ms"), value))
        else:
            unit = "instructions" if name.startswith("instructions") else unit[:40]
            rows.append(Row(name, name, "", value, 1, unit, "lower"))
    if events and not rows:
        raise Unreadable("perf stat counted none of its events on this machine")
    return rows


_TIME_V = {
    "Elapsed (wall clock) time": ("wall", "s", 1.0), "User time": ("user", "s", 1.0),
    "System time": ("system", "s", 1.0),
    "Maximum resident set size": ("max_rss", "bytes", 1024.0),
    "Major (requiring I/O) page faults": ("major_faults", "", 1.0),
    "Minor (reclaiming a frame) page faults": ("minor_faults", "", 1.0),
}  # fmt: skip


def _time_v(data: Any) -> Optional[List[Row]]:
    rows, bad = [], False
    for line in data:
        key, _, told = line.strip().rpartition(": ")
        name, measure, scale = _TIME_V.get(re.sub(r" \((seconds|kbytes|h:mm:ss or m:ss)\)$", "", key), ("", "", 0.0))
        if name:
            parts = [_number(part) for part in told.split(":")]
            known = [part for part in parts if part is not None]
            value = sum(part * 60.0**place for place, part in enumerate(reversed(known)))
            rows.append(Row(name, name, measure, value * scale if len(known) == len(parts) else None, 1, "", "lower"))
        bad = bad or (key == "Exit status" and told != "0") or line.startswith("Command terminated by signal")
    if not any(row.name == "wall" for row in rows):
        return None
    return [row._replace(value=None) for row in rows] if bad else sorted(rows, key=lambda row: row.name != "wall")


def _flat(data: Any) -> Optional[List[Row]]:
    if isinstance(data, dict):
        if any(isinstance(value, (dict, list)) for value in data.values()):
            return None
        pairs = [(str(key), value, "") for key, value in data.items() if not isinstance(value, (str, bool))]
    else:
        pairs = [(str(e["name"]), e["value"], str(e.get("unit", ""))[:40]) for e in _objects(data)]
    rows = [Row(name, name, "", _number(value), 1, unit) for name, value, unit in pairs]
    return rows if any(row.value is not None for row in rows) else None


# In the order in which they are tried: the first that finds anything is the format.
FORMATS: Dict[str, Format] = {
    "pytest-benchmark": Format(_pytest_benchmark, "json", "JSON with `benchmarks[].stats`"),
    "google-benchmark": Format(_google_benchmark, "json", "JSON with `context` and `benchmarks[].real_time`"),
    "hyperfine": Format(_hyperfine, "json", "JSON with `results[].command`"),
    "asv": Format(_asv, "json", "JSON with `commit_hash` and `results`"),
    "vitest": Format(_vitest, "json", "JSON with `files[].groups[].benchmarks`"),
    "jmh": Format(_jmh, "json", "a JSON list with `primaryMetric`"),
    "criterion": Format(_criterion, "json", "a directory with `new/estimates.json`, or one such file"),
    "tinybench": Format(_tinybench, "json", "a JSON list of tasks with `result`, or of `bench.table()`"),
    "perf-stat": Format(_perf, "json", "JSON lines with `counter-value`", compared=False),
    "go-json": Format(_go_events, "json", "JSON lines with `Action` and `Output`"),
    "go": Format(_go, "text", "lines `BenchmarkNAME N … ns/op`"),
    "bencher": Format(_bencher, "text", "lines `test NAME ... bench: N ns/iter`"),
    "criterion-text": Format(_criterion_screen, "text", "lines `NAME time: [LOW MIDDLE HIGH]`"),
    "benchmark.js": Format(_benchmark_js, "text", "lines `NAME x N ops/sec ±P% (R runs sampled)`"),
    "time": Format(_time_v, "text", "lines of GNU time's `-v`", compared=False),
    "flat": Format(_flat, "json", "a JSON object of numbers, or a list of `name`, `value`, `unit`", compared=False),
}


def main(arguments: Optional[List[str]] = None) -> int:
    """Print NAME=VALUE for each metric of a file; 1 and a sentence on stderr where there is none."""
    import argparse  # for start-up time

    parser = argparse.ArgumentParser(description="Print NAME=VALUE for each number of a benchmark harness's output.")
    parser.add_argument("--from", dest="format", choices=["auto", *FORMATS], default="auto")
    parser.add_argument("--expect", type=int, metavar="N", help="fail unless the file has so many benchmarks")
    parser.add_argument("--count", action="store_true", help="print only how many benchmarks it has")
    parser.add_argument("file", nargs="?", default="-", help="default: stdin")
    asked = parser.parse_args(arguments)
    where = "the input" if asked.file == "-" else _show(asked.file)
    try:
        found = load(asked.file, asked.format)
    except (OSError, Unreadable) as exc:
        return _refuse("%s: %s" % (where, exc.strerror if isinstance(exc, OSError) else exc))
    if asked.expect not in (None, found.benchmarks):
        return _refuse("%s has %d benchmarks, not %d" % (where, found.benchmarks, asked.expect))
    if asked.count:
        sys.stdout.buffer.write(b"%d\n" % found.benchmarks)
        return 0
    for metric in found.metrics:
        sys.stdout.buffer.write(("%s=%r\n" % (metric.name, metric.value)).encode())
    if found.failed:
        return _refuse("%s: no number from %s" % (where, ", ".join(found.failed[:5])))
    return 0


def _refuse(sentence: str) -> int:
    sys.stderr.write("autoresearch.formats.py: %s\n" % sentence)
    return 1


if __name__ == "__main__":
    sys.exit(main())
