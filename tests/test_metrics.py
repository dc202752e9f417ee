"""The METRIC grammar: what is accepted is exactly what the peers accept, and near misses are named."""

from __future__ import annotations

import ast
import json
import math
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autoresearch.metrics as metrics_module
from autoresearch.metrics import WARNING_LIMIT, parse, to_number

PEERS = r"""
const denied = new Set(["__proto__", "constructor", "prototype"]);
const read = output => {
  const found = [];
  const regex = new RegExp("^METRIC\\s+([\\w.µ]+)=(\\S+)\\s*$", "gm");
  let match;
  while ((match = regex.exec(output)) !== null) {
    if (denied.has(match[1])) continue;
    const value = Number(match[2]);
    if (Number.isFinite(value)) found.push([match[1], value]);
  }
  return found;
};
const inputs = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(inputs.map(read)));
"""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("METRIC a=1", {"a": 1.0}),
        ("METRIC \t a=1 \t", {"a": 1.0}),
        ("METRIC\u00a0a=1\ufeff", {"a": 1.0}),
        ("METRIC total_µs=12.5", {"total_µs": 12.5}),
        ("METRIC a.b_C9=-1e-3", {"a.b_C9": -0.001}),
        ("METRIC a=.5\nMETRIC b=5.\nMETRIC c=+7", {"a": 0.5, "b": 5.0, "c": 7.0}),
        ("METRIC a=0x1F\nMETRIC b=0o17\nMETRIC c=0B101", {"a": 31.0, "b": 15.0, "c": 5.0}),
        ("METRIC a=010", {"a": 10.0}),
        ("10%\r20%\rMETRIC a=1\rdone", {"a": 1.0}),
        ("METRIC a=1\u2028METRIC b=2\u2029METRIC c=3\r\nMETRIC d=4", {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}),
        ("METRIC a=0", {"a": 0.0}),
        ("METRIC\na=1", {"a": 1.0}),
    ],
)
def test_accepts(line: str, expected: dict[str, float]) -> None:
    assert parse(line).metrics == expected


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        (" METRIC a=1", "white space before"),
        ("metric a=1", "start with METRIC"),
        ("Metric a=1", "start with METRIC"),
        ("METRICS a=1", "start with METRIC"),
        ("METRIC: a=1", "':' instead of a space"),
        ("info: METRIC a=1", "text before"),
        ("METRIC a = 1", "spaces around"),
        ("METRIC a= 1", "spaces around"),
        ("METRIC a: 1", "instead of '='"),
        ("METRIC a=1 b=2", "two pairs"),
        ("METRIC a=1 ms", "text after"),
        ("METRIC a-b=1", "name 'a-b'"),
        ("METRIC é=1", "name 'é'"),
        ("METRIC μs=1", "name 'μs'"),
        ("METRIC a=1ms", "unit 'ms'"),
        ("METRIC a=5%", "unit '%'"),
        ("METRIC a=1,234", "thousands separators"),
        ("METRIC a=1,5", "decimal comma"),
        ("METRIC a=0,731", "a decimal comma; print a point"),
        ("METRIC a=0,731", "decimal comma"),
        ("METRIC a=1,234,567", "thousands separators"),
        ("METRIC a=1_000", "underscores"),
        ("METRIC a=NaN", "not a finite number"),
        ("METRIC a=-Infinity", "not a finite number"),
        ("METRIC a=1e999", "not a finite number"),
        ("METRIC a=١", "not a number"),
        ("METRIC a=-0x10", "not a number"),
        ("METRIC a=0x", "not a number"),
        ("METRIC a=1;", "ends in ';'"),
        ("METRIC a='1'", "quoted"),
        ("METRIC a=", "no value"),
        ("METRIC constructor=1", "reserved"),
        ("\x1b[32mMETRIC a=1\x1b[0m", "colour codes"),
        ("METRIC a=\x1b[1m1\x1b[0m", "colour codes"),
    ],
)
def test_names_a_near_miss(line: str, hint: str) -> None:
    parsed = parse(f"building\n{line}\ndone")
    assert parsed.metrics == {}
    assert len(parsed.warnings) == 1
    assert parsed.warnings[0].startswith("line 2 looks like a metric, but ")
    assert hint in parsed.warnings[0]


@pytest.mark.parametrize("line", ["the metric is latency", "collected metrics: done", "METRICS", "geometric a=1", ""])
def test_prose_is_no_near_miss(line: str) -> None:
    assert parse(line).warnings == []


@pytest.mark.parametrize("end", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85"])
def test_other_separators_do_not_end_a_line(end: str) -> None:
    assert parse(f"x{end}METRIC a=1").metrics == {}


def test_repeated_names_are_samples_and_differing_values_are_reported() -> None:
    parsed = parse("METRIC a=3\nMETRIC b=1\nMETRIC a=1\nMETRIC b=1\nMETRIC a=2")
    assert parsed.samples == {"a": [3.0, 1.0, 2.0], "b": [1.0, 1.0]}
    assert parsed.metrics == {"a": 2.0, "b": 1.0}
    assert len(parsed.warnings) == 1
    assert "'a' has 3 values that differ" in parsed.warnings[0]


def test_lenient_takes_glued_units_and_says_so() -> None:
    parsed = parse("METRIC a=12.5ms\nMETRIC b=3%\nMETRIC c=1e\nMETRIC d=0x\nMETRIC e=x5", lenient=True)
    assert parsed.metrics == {"a": 12.5, "b": 3.0}
    assert "unit 'ms'" in parsed.warnings[0]
    mixed = parse("METRIC a=1s\nMETRIC a=900ms", lenient=True)
    assert any("different units" in warning for warning in mixed.warnings)


def test_line_numbers_count_every_kind_of_line_end_once() -> None:
    parsed = parse("1\r\n2\r3\n4\u2028METRIC a=1ms")
    assert parsed.warnings[0].startswith("line 5 ")


def test_warnings_are_capped_and_counted() -> None:
    warnings = parse("METRIC a=1ms\n" * 1000 + "METRIC b=1\nMETRIC b=2").warnings
    assert len(warnings) == WARNING_LIMIT + 1
    assert "'b' has 2 values" in warnings[-2]
    assert warnings[-1] == f"{1000 + 1 - WARNING_LIMIT} more warnings like these"


@pytest.mark.parametrize(
    "text",
    [
        "METRIC a=0x" + "f" * 10**6,
        "METRIC a=" + "9" * 10**6,
        "METRIC a=1e" + "9" * 10**6,
        "METRIC a=0b" + "0" * 10**6 + "2",
        "METRIC " * 10**5,
        "METRIC\n" * 10**5,
        "METRIC a=" * 10**5,
        "metric a=1 " * 10**5,
        "METRIC" + " " * 10**6,
        "METRIC a=1" + " " * 10**6 + "x",
        "METRIC a=" + "x" * 10**6 + " x",
        "\u2028" * 10**6 + "metric a=1",
    ],
)
def test_hostile_input_ends(text: str) -> None:
    parsed = parse(text)
    assert parsed.metrics == {}
    assert all(len(warning) < 300 for warning in parsed.warnings)


def test_long_radix_values_round_as_doubles() -> None:
    assert to_number("0x" + "0" * 5000 + "1F") == 31.0
    assert to_number("0x" + "f" * 255) == float(int("f" * 255, 16))
    assert to_number("0x" + "f" * 256) is None


@given(st.text(alphabet=st.sampled_from("METRICmetric \t\n\r\u2028=abµé.-_+0159xXeE%:\x1b[m\ufeff\ud800"), max_size=80))
@settings(max_examples=400, deadline=None)
def test_never_raises_and_never_shows_control_characters(text: str) -> None:
    for lenient in (False, True):
        parsed = parse(text, lenient)
        assert set(parsed.metrics) == set(parsed.samples)
        assert all(math.isfinite(value) for values in parsed.samples.values() for value in values)
        assert all(warning.isprintable() for warning in parsed.warnings)


_NAMES = st.text(alphabet="abzAZ09_.µ", min_size=1, max_size=12).filter(lambda n: n not in metrics_module.DENIED_NAMES)


@given(st.lists(st.tuples(_NAMES, st.floats(allow_nan=False, allow_infinity=False)), max_size=20))
@settings(max_examples=200, deadline=None)
def test_round_trip(pairs: list[tuple[str, float]]) -> None:
    parsed = parse("noise\n".join(f"METRIC {name}={value!r}\n" for name, value in pairs))
    expected: dict[str, list[float]] = {}
    for name, value in pairs:
        expected.setdefault(name, []).append(value)
    assert parsed.samples == expected


def test_agrees_with_the_peers_own_expression() -> None:
    """The same outputs through ECMAScript's engine."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed, so the peers' expression cannot be run")
    rng = random.Random(20)
    words = "METRIC METRIC METRIC METRIC a b µ é = = = 1 2.5 .5 5. 1e3 1e999 0x1F 0b2 0o7 -0x1 1_0 Infinity NaN + -"
    spaces = (" ", " ", "\t", "\n", "\n", "\r", "\r\n", "\u2028", "\u2029", "\x0b", "\x0c", "\x85", "\u00a0", "\u3000")
    odd = ("\ufeff", "\u180e", "\u200b", "\x1c", "__proto__", "constructor", "METRIC a=1", "\nMETRIC b=2", "METRIC a=")
    pieces = [*words.split(), *spaces, *odd]
    inputs = ["".join(rng.choices(pieces, k=rng.randint(1, 12))) for _ in range(20000)]
    done = subprocess.run(
        [node, "-e", PEERS], input=json.dumps(inputs), capture_output=True, text=True, check=True, encoding="utf-8"
    )
    agreed = 0
    for text, found in zip(inputs, json.loads(done.stdout), strict=True):
        samples: dict[str, list[float]] = {}
        for name, value in found:
            samples.setdefault(name, []).append(value)
        assert parse(text).samples == samples, repr(text)
        agreed += bool(samples)
    assert agreed > 500


def test_travels_to_a_python_38_worker() -> None:
    """Standard library only, and no syntax newer than 3.8."""
    tree = ast.parse(Path(metrics_module.__file__).read_text(encoding="utf-8"), feature_version=(3, 8))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= {"__future__", "math", "re", "dataclasses", "typing"}
