"""init --plan: real project trees are recognised, drafts run, and nothing changes before the go."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from autoresearch.config import load_config
from autoresearch.errors import BadInput
from autoresearch.prepare.dryrun import DryRun
from autoresearch.prepare.harnesses import calibrated
from autoresearch.prepare.lint import lint
from autoresearch.prepare.planning import Option, Plan, Wishes, better, draft, options
from autoresearch.prepare.survey import Survey, look
from autoresearch.prepare.wizard import _remedy
from driver import REPO, Run, commit_all

RECORDED = Path(__file__).parent / "data" / "projects"


def recorded(name: str) -> Survey:
    """A real release: the names of its files, and the lines of them that a survey reads."""
    data = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    return look(name, data["files"], lambda path: data["texts"].get(path, ""))


PYTEST = "python3 -m pytest -q -x -p no:cacheprovider tests"
EXTENSION = "python3 setup.py -q build_ext --inplace"


@pytest.mark.parametrize(
    ("name", "language", "build", "tests", "metric", "scope"),
    [
        ("packaging", "Python", "", PYTEST, "tests_s", ("src/**",)),
        ("markupsafe", "Python", EXTENSION, PYTEST, "tests_s", ("src/**",)),
        ("ujson", "C", EXTENSION, PYTEST, "tests_s", ("python/**", "lib/**")),
        ("xxhash", "Python", EXTENSION, "python3 -m unittest discover -q -s tests -t .", "time_s",
         ("xxhash/**", "src/**")),
        ("semver-npm", "JavaScript", "", "npm test --silent", "tests_s",
         ("functions/**", "ranges/**", "internal/**", "classes/**", "bin/**", "index.js", "preload.js")),
        ("fast-json-stable-stringify-npm", "JavaScript", "", "npm test --silent", "geomean_ops_per_s", ("index.js",)),
        ("nanoid-npm", "JavaScript", "", "", "import_s",
         ("bin/**", "index.browser.js", "index.js", "nanoid.js", "non-secure/**", "url-alphabet/**")),
        ("marked-npm", "JavaScript", "npm run --silent build", "npm test --silent", "time_s", ("lib/**", "bin/**")),
    ],
)  # fmt: skip
def test_real_releases_are_recognised(
    name: str, language: str, build: str, tests: str, metric: str, scope: tuple[str, ...]
) -> None:
    found = recorded(name)
    assert (found.language, found.build, found.tests, found.scope) == (language, build, tests, scope)
    assert options(found, Wishes())[0].metric == metric


def tree(**texts: str) -> Survey:
    """A project of these files; a double underscore stands for a slash, a single one after it for a dot."""
    return look("p", sorted(texts), lambda path: texts.get(path, ""))


def test_rust_and_go_are_recognised_by_their_text() -> None:
    rust = tree(**{"Cargo.toml": "[package]", "Cargo.lock": "", "src/lib.rs": "", "benches/hot.rs": "", "build.rs": ""})
    assert (rust.build, rust.tests) == ("cargo build --release --locked", "cargo test --quiet --locked")
    assert options(rust, Wishes())[0].metric == "geomean_ns"
    assert rust.scope == ("src/**",)
    go = tree(**{"go.mod": "module x", "x.go": "", "x_test.go": "func BenchmarkX(b *testing.B) {}", "pb/a.pb.go": ""})
    assert (go.language, go.tests) == ("Go", "go test ./...")
    assert options(go, Wishes())[0].metric == "geomean_ns"
    assert "*.pb.go" in go.off_limits


def test_makefiles_cmake_and_npm_scripts_name_their_commands() -> None:
    make = tree(**{"Makefile": "all: x\nbench: all\n\t./x\ncheck :\n\t./t\n", "src/x.c": ""})
    assert (make.build, make.tests) == ("make -j2", "make check")
    assert make.benchmarks[0][0] == "make bench"
    cmake = tree(**{"CMakeLists.txt": "enable_testing()", "src/x.cpp": "", "src/CMakeLists.txt": ""})
    assert cmake.tests.startswith("ctest --test-dir build")
    assert "**/CMakeLists.txt" in cmake.off_limits
    scripts = {"test": "vitest", "bench": "node b.js", "build": "tsc"}
    package = {"scripts": scripts, "devDependencies": {"vitest": "1"}}
    npm = tree(**{"package.json": json.dumps(package), "src/x.ts": "", "package-lock.json": ""})
    assert npm.tests == "npx vitest run"
    assert npm.benchmarks[0][0] == "npm run --silent bench"
    assert "npm ci" in npm.setup


def test_a_script_beside_the_code_makes_no_python_project() -> None:
    found = tree(**{"CMakeLists.txt": "", "x.cpp": "", "setversion.py": "", "Makefile": "check: x\n\t./x\n"})
    assert found.build.startswith("cmake -S . -B build")


def test_vendored_generated_and_hidden_files_are_not_the_projects_code() -> None:
    found = tree(**{
        "lib/a.py": "", "lib/__init__.py": "", "vendor/b.py": "", "lib/c_pb2.py": "", "docs/conf.py": "",
        "lib/tests/test_a.py": "import unittest", "node_modules/x/index.js": "", "setup.py": "", "lib/vendor/z.py": "",
        "fuzzing/harness.py": "",
    })  # fmt: skip
    assert found.scope == ("lib/**",)
    assert {"lib/tests/**", "*_pb2.py", "**/vendor/**"} <= set(found.off_limits)


@pytest.mark.parametrize("name", [path.stem for path in sorted(RECORDED.glob("*.json"))])
def test_no_draft_makes_a_mistake_that_the_lint_knows(name: str) -> None:
    found = recorded(name)
    for option in options(found, Wishes()):
        plan = draft(found, option, Wishes(), rounds=3)
        assert lint(plan.files["autoresearch.sh"], metric=option.metric) == [], option.id
        for driver in (p.files.get("evaluator/bench.py", "") for p in (plan, *better(found, option, Wishes(), 0.02))):
            assert lint(driver, "driver", metric=option.metric) == [], option.id
            compile(driver, "bench.py", "exec")
        for script in ("autoresearch.sh", "autoresearch.checks.sh"):
            if script in plan.files:
                done = subprocess.run(["bash", "-n"], input=plan.files[script], text=True, capture_output=True)
                assert done.returncode == 0, done.stderr


def test_what_cannot_be_paired_says_why_and_is_timed_without_the_turns_of_others() -> None:
    found = tree(**{"src/x.py": "", "bench.py": "print(1)", "tests/test_x.py": "import unittest", "setup.py": ""})
    timed, tests = (next(o for o in options(found, Wishes()) if o.id == name) for name in ("bench", "tests"))

    def tried(option: Option, seconds: float, **wishes: Any) -> list[Plan]:
        return list(better(found, option, Wishes(**wishes), seconds))

    same, other, alone = tried(timed, 0.02)
    assert (same.paired, other.paired, alone.paired) == (True, True, False)
    assert same.rounds == 30
    assert "SAME = True" in same.files["evaluator/bench.py"]
    assert 'SAME = "alike"' in other.files["evaluator/bench.py"]
    assert "evaluator/**" in same.evaluator
    for plans, why in (
        (tried(tests, 0.02), "a test suite"),
        (tried(timed, 0.9), "a round takes 0.9 s"),
        (tried(timed, 0.02, alone="2e9 files"), "2e9 files"),
    ):
        (plan,) = plans
        assert not plan.paired
        assert any(reason.startswith(f"not paired: {why}") for reason in plan.reasons)
        assert "span.own" in plan.files["evaluator/bench.py"]


def test_a_built_projects_copy_is_built_before_any_candidate() -> None:
    found = tree(**{"Makefile": "bench: x\n\t./x\n", "x.c": ""})
    plan = next(iter(better(found, options(found, Wishes())[0], Wishes(), 0.004)))
    assert plan.paired
    assert "(cd evaluator/reference && make -j2)" in plan.files["setup_deps.sh"]
    assert plan.build == "make -j2"


def test_odd_names_stay_names(tmp_path: Path) -> None:
    """A file's name is data: it ends no comment, starts no command, and means no other file."""
    found = tree(**{"bench/b;touch owned\n.py": "print(1)", "src/*.py": "", "src/a.py": "", "x[1].py": ""})
    plan = draft(found, options(found, Wishes())[0], Wishes())
    assert found.scope == ("src/**",)
    subprocess.run(["bash", "-c", plan.files["autoresearch.sh"]], cwd=tmp_path, capture_output=True)
    assert list(tmp_path.iterdir()) == []


def test_wishes_win_and_an_unknown_metric_is_refused() -> None:
    found = recorded("packaging")
    wishes = Wishes(benchmark="python3 b.py", metric="ops", direction="higher", checks="true", scope=("a/**",))
    (option,) = options(found, wishes)
    assert (option.metric, option.direction) == ("ops", "higher")
    assert draft(found, option, wishes).scope == ("a/**",)
    with pytest.raises(BadInput, match="nothing in this project measures p99_ms"):
        options(found, Wishes(metric="p99_ms"))


# --- the command, in real projects


def git_project(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    subprocess.run(["git", "init", "-q", "-b", "main", str(root)], check=True)
    commit_all(root)
    return root


PURE_PYTHON = {
    "src/words/__init__.py": "def count(text):\n    return len(text.split())\n",
    "tests/test_words.py": "import unittest\nfrom words import count\n\n\nclass T(unittest.TestCase):\n"
    "    def test_two(self):\n        self.assertEqual(count('a b'), 2)\n",
    "benchmarks/bench_words.py": "from words import count\n\nfor _ in range(3000):\n    count('a b c ' * 1000)\n",
    "pyproject.toml": "[project]\nname='words'\n",
    ".gitignore": "__pycache__/\n",
}
C_PROJECT = {
    "Makefile": "hot: src/hot.c\n\t$(CC) -O2 -o hot src/hot.c\n"
    "bench:\n\t./hot\ncheck:\n\ttest \"$$(./hot)\" = 499500\n",
    "src/hot.c": "#include <stdio.h>\n"
    # (In a register: where a variable stands on the stack makes such a loop up to x1.7 slower by itself.)
    "int main(void) { long s = 0; for (int n = 0; n < 300000; n++) { s = 0; for (int i = 0; i < 1000; i++) "
    '{ s += i; __asm__ volatile("" : "+r"(s)); } } printf("%ld\\n", s); }\n',
    ".gitignore": "hot\n",
}  # fmt: skip
NPM_PROJECT = {
    "package.json": json.dumps({"name": "p", "main": "index.js", "scripts": {"test": "node --test"}}),
    "index.js": "exports.twice = (x) => { let s = 0; for (let i = 0; i < 1e9; i++) s += i % 3; return s && 2 * x }\n",
    "test/index.test.js": "const test = require('node:test')\nconst assert = require('node:assert')\n"
    "test('twice', () => assert.equal(require('..').twice(2), 4))\n",
}


def snapshot(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file() and ".git" not in p.parts}


def planned(autoresearch: Run, root: Path, *args: str) -> tuple[int, dict[str, Any]]:
    done = autoresearch("init", "--plan", "--json", *args, cwd=root)
    assert "Traceback" not in done.stderr, done.stderr
    assert len(done.stdout) < 2000
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize(
    ("files", "tool", "metric", "command"),
    [
        (PURE_PYTHON, "python3", "time_s", "python3 benchmarks/bench_words.py"),
        (C_PROJECT, "cc", "time_s", "make bench"),
        (NPM_PROJECT, "npm", "tests_s", "npm test --silent"),
    ],
    ids=["python", "make", "npm"],
)
def test_the_plan_is_tried_shown_and_written_after_the_go(
    files: dict[str, str], tool: str, metric: str, command: str, tmp_path: Path, autoresearch: Run
) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"needs {tool}")
    root = git_project(tmp_path / "p", files)
    before = snapshot(root)
    code, data = planned(autoresearch, root, "--timeout", "100")  # on a busy machine, too
    assert code == 0, data
    assert data["plan"]["paired"] is (tool != "npm")
    assert (data["plan"]["metric"], data["plan"]["command"]) == (metric, command)
    assert data["dry_run"]["state"] == "ok"
    assert data["dry_run"]["checks"] == "passed"
    assert data["dry_run"]["runs"] >= 1
    assert data["mistakes"] == []
    assert data["written"] == []
    assert data["next"].endswith("--yes")
    assert snapshot(root) == before
    if tool != "python3":
        return
    said = ("--goal", "Count faster", "--max-iterations", "7", "--timeout", "100")
    code, data = planned(autoresearch, root, "--yes", *said)
    assert code == 0
    copy = root / "evaluator" / "reference"
    assert (copy / "src/words/__init__.py").read_text() == files["src/words/__init__.py"]
    assert (copy / "benchmarks/bench_words.py").is_file()
    assert not (copy / "tests").exists()  # a test runner would find them twice
    assert 'SAME = "alike"' in (root / "evaluator/bench.py").read_text()
    assert "_said(1, count(" in (root / "evaluator/aloud.py").read_text()
    assert "autoresearch.sh" in data["written"]
    assert {name: text for name, text in snapshot(root).items() if name in before} == before
    assert "max_experiments: 7" in (root / "autoresearch.yaml").read_text()
    doctor = autoresearch("doctor", "--json", cwd=root)
    assert doctor.returncode == 0, doctor.stdout
    warned = [f["what"] for f in json.loads(doctor.stdout)["findings"] if f["level"] == "warn"]
    assert not {"signature", "unit", "autoresearch.sh", "autoresearch.checks.sh"}.intersection(warned)


def test_a_plan_that_fails_says_where_and_writes_nothing_even_with_yes(tmp_path: Path, autoresearch: Run) -> None:
    broken = PURE_PYTHON | {"tests/test_words.py": "import unittest, nothing_of_this_name\n"}
    root = git_project(tmp_path / "p", broken)
    before = snapshot(root)
    code, data = planned(autoresearch, root, "--yes", "--pick", "bench")
    assert code == 3
    assert data["dry_run"]["stage"] == "checks"
    assert "nothing_of_this_name" in json.dumps(data["dry_run"])
    assert data["next"].startswith("autoresearch init --plan --checks")
    assert snapshot(root) == before


def test_the_goal_stays_where_its_benchmark_fails_and_what_git_does_not_know_is_named(
    tmp_path: Path, autoresearch: Run
) -> None:
    files = PURE_PYTHON | {"benchmarks/bench_words.py": "import words\n\nfor _ in range(3):\n    words.gone()\n"}
    root = git_project(tmp_path / "p", files)
    (root / "bench_new.py").write_text("print(1)\n")
    code, data = planned(autoresearch, root, "--goal", "Count faster", "--min-effect", "3")
    assert (code, data["plan"]["id"], data["dry_run"]["stage"]) == (3, "bench", "benchmark")
    assert [other["id"] for other in data["others"]] == ["tests", "import"]  # named, and not taken
    assert data["untracked"] == ["bench_new.py"]
    # What mends it goes before all that was said.
    assert data["next"] == "autoresearch init --plan --benchmark COMMAND --goal 'Count faster' --min-effect 3"


def test_no_build_is_offered_where_nothing_needs_one(tmp_path: Path, autoresearch: Run) -> None:
    script = "console.log(require('./index.js').f())\n"
    package = {"name": "p", "main": "index.js", "scripts": {"build": "false", "bench": "node bench.js", "test": "true"}}
    files = {"package.json": json.dumps(package), "index.js": "exports.f = () => 1;\n", "bench.js": script}
    if shutil.which("npm") is None:
        pytest.skip("needs npm")
    root = git_project(tmp_path / "p", files)
    code, data = planned(autoresearch, root, "--timeout", "100")
    assert (code, data["dry_run"]["stage"]) == (3, "build")
    assert "--build ''" in data["dry_run"]["fix"]
    assert data["next"] == "autoresearch init --plan --build '' --pick bench --timeout 100"


def test_a_harness_has_to_measure_as_many_benchmarks_again_and_its_counts_are_offered(
    tmp_path: Path, autoresearch: Run
) -> None:
    lines = "".join(f"echo Benchmark{name} 9 $((RANDOM + 50)).5 ns/op 64 B/op 2 allocs/op\n" for name in "AB")
    root = git_project(
        tmp_path / "p", PURE_PYTHON | {"bench/run.sh": f"# as go test -bench . does\n{lines}", "a.rb": ""}
    )
    # (In Ruby no slow-down is planted, which would not move what these lines say.)
    said = ("--benchmark", "bash bench/run.sh", "--checks", "true", "--scope", "a.rb")
    code, data = planned(autoresearch, root, *said)
    assert code == 0, data
    assert data["plan"]["metric"] == "geomean_ns"
    # So much noise shows small gains never; the counts repeat, and are offered before all else.
    assert data["dry_run"]["min_effect_pct"] == 50
    assert [other["id"] for other in data["others"]][:2] == ["given:geomean_allocs", "given:geomean_bytes"]
    assert "--min-effect 50" in data["next"]
    code, data = planned(autoresearch, root, *said, "--pick", "given:geomean_allocs", "--yes")
    assert (code, data["plan"]["metric"], data["dry_run"]["value"]) == (0, "geomean_allocs", 2), data
    assert 'metric --from go --expect 2 "$out"' in (root / "autoresearch.sh").read_text()
    assert load_config(root).objective.min_effect_pct == 0.1


def test_a_harness_that_takes_too_long_measures_each_benchmark_for_less() -> None:
    assert [calibrated(took) for took in (0.1, 0.3, 4.0, 25.0, 9000.0)] == [0.4, 0.1, 0.1, 0.01, 0.01]
    found = tree(**{"go.mod": "module x", "x.go": "", "x_test.go": "func BenchmarkX(b *testing.B) {}"})
    (plan,) = better(found, options(found, Wishes())[0], Wishes(), 100.0, took=12.5, benchmarks=7)
    assert "-benchtime 0.02s" in plan.files["autoresearch.sh"]
    assert "--expect 7" in plan.files["autoresearch.sh"]


def test_the_time_limit_holds_and_the_answer_says_what_to_do(tmp_path: Path, autoresearch: Run) -> None:
    root = git_project(tmp_path / "p", PURE_PYTHON)
    code, data = planned(autoresearch, root, "--benchmark", "sleep 60", "--timeout", "2")
    assert code == 3
    assert data["dry_run"]["state"] == "late"
    assert "--timeout 110" in data["next"]


def test_a_command_that_prints_its_metric_is_taken_at_its_word(tmp_path: Path, autoresearch: Run) -> None:
    root = git_project(tmp_path / "p", PURE_PYTHON)
    code, data = planned(
        autoresearch, root, "--benchmark", "echo METRIC steps=41", "--metric", "steps", "--checks", "true"
    )
    assert code == 0
    assert data["dry_run"]["value"] == 41
    assert "--benchmark 'echo METRIC steps=41'" in data["next"]


def test_a_driver_that_prints_and_signs_its_metric_is_not_wrapped(tmp_path: Path, autoresearch: Run) -> None:
    signer = (REPO / "templates" / "signed_metric.py").read_text()
    driver = "from signed_metric import metric\nmetric('words', 41)\n"
    files = PURE_PYTHON | {"bench/signed_metric.py": signer, "bench/run.py": driver}
    root = git_project(tmp_path / "p", files)
    code, data = planned(autoresearch, root, "--benchmark", "python3 bench/run.py", "--checks", "true", "--yes")
    assert code == 0, data
    assert (data["plan"]["metric"], data["dry_run"]["value"]) == ("words", 41)
    assert "AUTORESEARCH_TOKEN" not in (root / "autoresearch.sh").read_text()
    doctor = json.loads(autoresearch("doctor", "--json", cwd=root).stdout)
    assert "signature" not in [finding["what"] for finding in doctor["findings"]]


def test_a_benchmark_that_is_not_committed_is_named(tmp_path: Path, autoresearch: Run) -> None:
    root = git_project(tmp_path / "p", PURE_PYTHON)
    (root / "hot.py").write_text("print('METRIC steps=3')\n")
    code, data = planned(autoresearch, root, "--benchmark", "python3 hot.py", "--checks", "true")
    assert code == 3
    assert "Commit hot.py first" in data["dry_run"]["fix"]


def test_a_missing_module_asks_for_its_environment(tmp_path: Path, autoresearch: Run) -> None:
    root = git_project(tmp_path / "p", PURE_PYTHON)
    code, data = planned(autoresearch, root, "--benchmark", "python3 -c 'import nothing_of_this_name'")
    assert code == 3
    assert "environment that has nothing_of_this_name" in data["dry_run"]["fix"]


@pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm")
def test_a_benchmark_that_needs_the_network_is_told_that_a_trial_has_none() -> None:
    done = DryRun("failed", "benchmark", "exit 6: curl: (6) Could not resolve host: example.org")
    assert "without network" in _remedy(done, [])
    assert _remedy(DryRun("failed", "benchmark", "exit 1: wrong answer"), []) == ""


def test_dependencies_that_cannot_be_installed_are_left_out_where_nothing_needs_them(
    tmp_path: Path, autoresearch: Run
) -> None:
    package = {
        "name": "p", "main": "src/index.js", "scripts": {"build": "false", "test": "mocha"},
        "devDependencies": {"gone": "file:nowhere/gone.tgz"},
    }  # fmt: skip
    files = {"package.json": json.dumps(package), "src/index.js": "exports.f = () => 1;\n"}
    root = git_project(tmp_path / "p", files)
    given = ("--benchmark", "node src/index.js", "--checks", "node --check src/index.js")
    code, data = planned(autoresearch, root, *given, "--build", "")
    assert code == 0, data
    assert (data["plan"]["setup"], data["plan"]["build"]) == ("", "")
    assert "--build ''" in data["next"]
    code, data = planned(autoresearch, root, *given)  # the build that it found needs them
    assert code == 3
    assert (data["dry_run"]["stage"], data["plan"]["build"]) == ("setup", "npm run --silent build")


def test_plan_needs_a_commit_and_no_session(tmp_path: Path, autoresearch: Run) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    subprocess.run(["git", "init", "-q", str(empty)], check=True)
    assert autoresearch("init", "--plan", cwd=empty).returncode == 2
    begun = autoresearch("init", "--plan")  # the fixture's project has a config
    assert begun.returncode == 2
    assert "is here already" in begun.stderr


def test_without_plan_its_options_are_refused(autoresearch: Run) -> None:
    done = autoresearch("init", "--yes", "--scope", "src/**")
    assert done.returncode == 2
    assert "--yes goes with --plan" in done.stderr
