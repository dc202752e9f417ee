"""The lint of benchmarks: each usual mistake is found, and none in what is written well."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.prepare.lint import lint, lint_unit
from autoresearch.prepare.lint_rules import RULES

ROOT = Path(__file__).resolve().parents[1]
GOOD = """#!/usr/bin/env bash
# curl is not called here, nor sleep 5, nor vitest.
set -euo pipefail
PYTHONPATH=src python3 evaluator/bench.py
"""


def rules(text: str, kind: str = "benchmark", **more: object) -> set[str]:
    return {m.rule for m in lint(text, kind, **more)}  # type: ignore[arg-type]


def test_a_good_script_is_left_in_peace() -> None:
    assert lint(GOOD) == []


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("npx vitest", "interactive"),
        ("vitest --coverage", "interactive"),
        ("npx jest --watch", "interactive"),
        ("react-scripts test", "interactive"),
        ("sudo ./bench", "interactive"),
        ("[ -f result.txt ] && cat result.txt", "cached"),
        ("time go test ./...", "cached"),
        ("npx nx run app:build", "cached"),
        ("pytest --lf", "cached"),
        ("make -j2", "build-inside"),
        ("cargo build --release && ./bench", "build-inside"),
        ("cc -O2 -o bench bench.c", "build-inside"),
        ("pip install numpy", "network"),
        ("curl https://example.org/data.bin -o data.bin", "network"),
        ("shuf words.txt > input.txt", "random"),
        ("./bench --seed $RANDOM", "random"),
        ("./bench | head -5", "head"),
        ("./bench | grep -m1 METRIC", "head"),
        ("for i in 1 2 3; do ./bench; done | sort -n | head -1", "best-of"),
        ("python3 -m timeit 'f()'", "best-of"),
        ("sleep 2", "sleep"),
        ("./bench || true", "hidden"),
        ("set +e", "hidden"),
        ("./bench --out /dev/stdout", "stdout-by-name"),
        ("./bench > /proc/self/fd/1", "stdout-by-name"),
        ("git checkout main", "git"),
        ("cd /home/me/project", "elsewhere"),
        ("./server &", "left-running"),
    ],
)
def test_a_mistake_of_a_script_is_found_on_its_line(line: str, rule: str) -> None:
    (found,) = [m for m in lint(f"#!/usr/bin/env bash\nset -euo pipefail\n{line}\n") if m.rule == rule]
    assert found.line in (0, 3)
    assert found.fix


@pytest.mark.parametrize(
    "line",
    [
        "npx vitest run", "CI=1 npx vitest", "npx jest --ci", "make bench", "make -s check", "go test -count=1 ./...",
        "go test -run '^$' -bench .", "curl http://127.0.0.1:8000/", "shuf --random-source=seed words.txt",
        "sort -n numbers.txt > sorted.txt", "cat input.txt | ./bench", "./bench > out.txt && tail -1 out.txt",
        "./bench -o /dev/stdout | tail -1", "./bench | tee /dev/stderr", 'x=$(./bench -o /dev/stdout)',
        "CI=true react-scripts test", "./server & pid=$!; trap 'kill $pid' EXIT", 'cd "$(dirname "$0")"', "cd build",
    ],
)  # fmt: skip
def test_the_right_form_of_it_is_not(line: str) -> None:
    assert lint(f"#!/usr/bin/env bash\nset -euo pipefail\n{line}\n") == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("import random\nx = [random.random() for _ in range(9)]\n", "random"),
        ("rng = np.random.default_rng()\n", "random"),
        ("const x = Math.random()\n", "random"),
        ("print(min(times))\n", "best-of"),
        ("best = min(timeit.repeat(f, number=3))\n", "best-of"),
        ("console.log(Math.min(...samples))\n", "best-of"),
        ("time.sleep(0.1)\n", "sleep"),
        ("requests.get('https://example.org')\n", "network"),
        ("t = time.perf_counter()\ndata = json.load(open('x'))\nprint(time.perf_counter() - t)\n", "setup-inside"),
        ("t = perf_counter()\nprint(f'METRIC time_ms={perf_counter() - t}')\n", "unit"),
        ("const t = performance.now()\nconsole.log(`METRIC time_s=${performance.now() - t}`)\n", "unit"),
    ],
)  # fmt: skip
def test_a_mistake_of_a_driver_is_found(text: str, rule: str) -> None:
    assert rule in rules(text, "driver")


@pytest.mark.parametrize(
    "text",
    [
        "import random\nrandom.seed(1)\nx = [random.random() for _ in range(9)]\n",
        "rng = random.Random(7)\nx = rng.random()\n",
        "rng = np.random.default_rng(3)\n",
        "t = perf_counter()\nf()\nprint(f'METRIC time_ms={1000 * (perf_counter() - t)}')\n",
        "data = json.load(open('x'))\nt = time.perf_counter()\nf(data)\nprint(time.perf_counter() - t)\n",
        "print(min(prices), max(width, 3))\n",
    ],
)
def test_a_driver_without_it_is_left_in_peace(text: str) -> None:
    assert rules(text, "driver") == set()


def test_what_is_meant_is_allowed_by_name() -> None:
    text = "set -euo pipefail\nsleep 1  # lint: allow sleep\nsleep 2\n"
    assert rules(text.replace("sleep 2\n", "")) == set()
    assert rules(text.replace("allow sleep", "allow head")) == {"sleep"}
    assert rules("# lint: allow best-of\nprint(min(times))\n", "driver") == set()


def test_strict_mode_is_asked_of_scripts_in_all_its_forms() -> None:
    assert rules("#!/bin/bash\n./bench\n") == {"strict"}
    assert rules("#!/bin/bash\nset -e\n./bench | tee log\n") == {"strict"}
    for form in ("set -euo pipefail", "set -eu\nset -o pipefail", "set -o errexit -o nounset -o pipefail"):
        assert rules(f"#!/bin/bash\n{form}\n./bench\n") == set()
    assert rules("./bench\n", "driver") == set()


def test_a_comment_is_no_mistake_and_lines_still_count() -> None:
    found = lint("#!/bin/bash\nset -euo pipefail\n# sleep 9\n./a \\\n  --b\nsleep 1 # a pause\n")
    assert [(m.rule, m.line) for m in found] == [("sleep", 6)]


def test_npm_scripts_are_looked_into() -> None:
    text = "set -euo pipefail\nnpm test\n"
    assert rules(text, "checks", scripts={"test": "vitest"}) == {"interactive"}
    assert rules(text, "checks", scripts={"test": "vitest run"}) == set()
    assert rules("set -euo pipefail\nnpm run --silent bench\n", scripts={"bench": "node b.js | head"}) == {"head"}


def test_a_build_is_right_where_build_time_is_measured() -> None:
    text = "set -euo pipefail\nmake -j2\n"
    assert rules(text, metric="time_s") == {"build-inside"}
    assert rules(text, metric="build_s") == set()


def test_the_projects_own_path_is_not_the_copy_that_is_measured() -> None:
    text = "set -euo pipefail\npython3 /srv/me/app/bench.py\n"
    assert rules(text, root="/srv/me/app") == {"elsewhere"}
    assert rules(text, root="/srv/other") == set()


def test_checks_that_always_pass_are_named() -> None:
    strict = "set -euo pipefail\n"
    assert rules(strict + "npx jest --ci -u\n", "checks") == {"self-updating"}
    assert rules(strict + "npx vitest run --passWithNoTests\n", "checks") == {"no-tests"}


@pytest.mark.parametrize(
    ("metric", "unit", "value", "wall", "wrong"),
    [
        ("time_s", "s", 0.7, 0.8, False),
        ("time_s", "s", 700.0, 0.8, True),  # milliseconds, called seconds
        ("time_ms", "ms", 0.79, 0.8, True),  # seconds, called milliseconds
        ("time_ms", "ms", 790.0, 0.8, False),
        ("time_ms", "", 0.79, 0.8, True),  # the name alone says the unit
        ("time_ms", "ms", 5.0, 0.8, False),  # a small hot part
        ("score", "", 1e9, 0.8, False),
        ("time_s", "s", 0.0, 0.8, False),
    ],
)
def test_a_time_is_held_against_the_clock(metric: str, unit: str, value: float, wall: float, wrong: bool) -> None:
    found = lint_unit(metric, unit, value, wall)
    assert (found is not None) is wrong


@pytest.mark.parametrize(
    "name", ["templates/demo/project/autoresearch.sh", "templates/demo/project/evaluator/bench.py"]
)
def test_our_own_demo_is_clean(name: str) -> None:
    kind = "benchmark" if name.endswith(".sh") else "driver"
    assert lint((ROOT / name).read_text(), kind) == []  # type: ignore[arg-type]


def test_every_rule_has_a_fix_and_compiles() -> None:
    import re

    for rule in RULES:
        re.compile(rule.pattern)
        assert rule.found, rule.name
        assert rule.fix, rule.name


@given(st.text(max_size=400), st.sampled_from(["benchmark", "driver", "checks"]))
def test_any_text_is_read(text: str, kind: str) -> None:
    for mistake in lint(text, kind, scripts={"test": text}, root=text):  # type: ignore[arg-type]
        assert 0 <= mistake.line <= len(text.splitlines())
