"""What the checks read is no candidate's: by custom, and by what they really open."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from autoresearch.prepare.survey import look
from autoresearch.prepare.tracing import Opened, among, mark, only_checked, opened
from autoresearch.workspace.customs import is_check, off_limits_line, pattern_of, says_checks
from driver import Driver, Run, commit_all


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("src/sum_test.cpp", "**/*_test.cpp"), ("a/b_test.go", "**/*_test.go"), ("src/x.spec.ts", "**/*.spec.ts"),
        ("pkg/test_x.py", "**/test_*.py"), ("lib/x.test.js", "**/*.test.js"), ("src/test/java/A.java", "src/test/**"),
        ("t/basic.t", "t/**"), ("spec/a_spec.rb", "spec/**"), ("crate/tests/a.rs", "crate/tests/**"),
        ("x/__snapshots__/a.js.snap", "x/__snapshots__/**"), ("p/testdata/in.txt", "p/testdata/**"),
        ("src/tests.rs", "src/tests.rs"),
    ],
)  # fmt: skip
def test_tests_are_told_by_custom(path: str, pattern: str) -> None:
    assert is_check(path)
    assert pattern_of(path) == pattern


def test_what_only_sounds_like_a_test_is_code() -> None:
    assert not any(map(is_check, ["src/latest.py", "src/contest/x.c", "attest.go", "src/protest.js", "testing.py"]))
    lines = ("tests/**", "**/*_test.go", "t/", "src/**", "src", "**")
    assert [says_checks(line) for line in lines] == [True, True, True, False, False, False]


def test_sources_of_programs_that_only_ctest_starts_are_tests() -> None:
    made = (
        "add_library(sum src/sum.cpp)\nadd_executable(verify src/verify.cpp src/sum.cpp)\n"
        "add_executable(hot src/hot.cpp)\nadd_test(NAME v COMMAND verify 3)\n"
    )
    texts = {"CMakeLists.txt": made, "src/sum.cpp": "", "src/verify.cpp": "", "src/hot.cpp": ""}
    assert look("p", sorted(texts), lambda path: texts.get(path, "")).test_files == ("src/verify.cpp",)


def test_a_candidate_that_empties_the_only_test_is_refused_and_the_doctor_gives_the_line(fresh: Driver) -> None:
    root = fresh.project.root
    (root / "src" / "sum_test.cpp").write_text("int main() { return 1; }\n")
    commit_all(root, "a test beside the code")
    code, data = fresh("doctor", "--no-run")
    (found,) = (f for f in data["findings"] if f["level"] == "fail")
    assert (code, found["what"]) == (3, "scope")
    assert 'off_limits: ["src/fixed.py", "**/*_test.cpp"]' in found["fix"]
    # Whoever does not look is refused all the same.
    fresh.baseline()
    fresh("new", "e1", "--hypothesis", "no test, no failure")
    (fresh.project.worktree("e1") / "src" / "sum_test.cpp").write_text("int main() { return 0; }\n")
    code, data = fresh("run", "e1")
    assert code == 5
    assert "src/sum_test.cpp is a test" in json.dumps(data)


def test_what_only_the_checks_open_is_named_by_the_doctor(fresh: Driver) -> None:
    root = fresh.project.root
    (root / "src" / "expected.txt").write_text("1\n")
    (root / "src" / "odd.py").write_text("x = 1\n")
    checks = root / "autoresearch.checks.sh"
    checks.write_text(f"{checks.read_text()}\ngrep -q 1 src/expected.txt && cat src/odd.py\n")
    commit_all(root, "a value that the checks compare with")
    code, data = fresh("doctor")
    told = {f["level"]: f for f in data["findings"] if f["what"] == "scope"}
    assert code == 3  # for the text: a source may be tested and not timed
    assert 'off_limits: ["src/fixed.py", "src/expected.txt"]' in told["fail"]["fix"]


def test_access_times_tell_what_a_command_opens(tmp_path: Path) -> None:
    for name in ("a.py", "b.py", "__pycache__/c.cpython-311.pyc", "d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    mark(str(tmp_path))
    assert opened(str(tmp_path)).files == set()
    subprocess.run(["cat", "a.py", "__pycache__/c.cpython-311.pyc"], cwd=tmp_path, check=True, capture_output=True)
    if not opened(str(tmp_path)).files:
        pytest.skip("no access times are kept here")
    assert opened(str(tmp_path)).files == {"a.py", "c.py"}


def test_only_what_no_number_depends_on_is_the_checks_alone() -> None:
    bench = Opened({"p/autoresearch.sh", "p/a.c", "p/hot"}, {"a.c", "hot.c"})
    checks = Opened({"p/autoresearch.checks.sh", "p/a.c", "p/gold.txt", "p/ver", "p/x.h"}, {"a.c", "ver.c"})
    found = only_checked({"build": Opened({"p/x.h"}), "benchmark": bench, "checks": checks}, "p/")
    assert found == {"gold.txt", "ver", "autoresearch.checks.sh", "/ver.c"}
    files = ["src/ver.c", "a.c", "gold.txt", "one/a.h", "x.h"]
    assert among(found, files) == ["src/ver.c", "gold.txt"]
    assert among(found, [*files, "other/ver.c"]) == ["gold.txt"]  # which of the two is not known
    assert only_checked({"benchmark": Opened({"a.c"}), "checks": checks}, "p/") is None  # nothing was traced
    assert off_limits_line(["x"], ["x", "b/test_a.py"]) == 'off_limits: ["x", "**/test_*.py"]'


CPP = {
    "CMakeLists.txt": "cmake_minimum_required(VERSION 3.10)\nproject(p CXX)\nenable_testing()\n"
    "add_library(sum STATIC src/sum.cpp)\nfile(GLOB CHECKERS src/verify*.cpp)\n"
    "add_executable(verify ${CHECKERS})\ntarget_link_libraries(verify sum)\n"
    "add_test(NAME v COMMAND verify ${CMAKE_SOURCE_DIR}/src/expected.txt)\n"
    "add_executable(hot src/hot.cpp)\ntarget_link_libraries(hot sum)\n",
    "src/sum.cpp": "long sum(long n) { volatile long s = 0; for (long i = 0; i < n; i++) s += i; return s; }\n",
    "src/hot.cpp": "long sum(long);\nint main() { return sum(20000000) == 1; }\n",
    "src/verify.cpp": "#include <fstream>\nlong sum(long);\n"
    "int main(int, char** v) { std::ifstream f(v[1]); long w; f >> w; return sum(1000) != w; }\n",
    "src/expected.txt": "499500\n",
}


@pytest.mark.skipif(not all(map(shutil.which, ("cmake", "c++", "readelf"))), reason="needs cmake, c++ and readelf")
def test_the_plan_takes_out_of_scope_what_names_do_not_tell(tmp_path: Path, autoresearch: Run) -> None:
    root = tmp_path / "p"
    for name, text in CPP.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    subprocess.run(["git", "init", "-q", "-b", "main", str(root)], check=True)
    commit_all(root)
    done = autoresearch("init", "--plan", "--json", "--benchmark", "build/hot", "--timeout", "100", cwd=root)
    assert done.returncode == 0, done.stdout
    assert {"src/expected.txt", "src/verify.cpp"} <= set(json.loads(done.stdout)["off_limits"])
    assert "src/sum.cpp" not in done.stdout
