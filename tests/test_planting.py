"""A planted slow-down makes the functions of a file slower by a known factor, and nothing else; the plan's guard."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from autoresearch.prepare.planting import FACTOR, plant
from driver import Run, commit_all

# Each works for some time in scope, part of it in nested calls, and prints its answer.
PROGRAMS: dict[str, tuple[dict[str, str], str, str]] = {
    "python3": ({
        "work.py": '"""Words."""\nfrom __future__ import annotations\n\n\ndef inner(n: int) -> int:\n'
        "    return sum(i % 7 for i in range(n))\n\n\ndef lines():\n    yield 1\n\n\n"
        "def work():\n    return inner(2000000) + inner(2000000) + sum(lines())\n",
        "main.py": "import work\nprint(work.work())\n",
    }, "", "python3 main.py"),
    "node": ({
        "work.js": "#!/usr/bin/env node\n'use strict'\nconst brace = /[{\"]/; // a } in a remark {\n"
        "class A { get x () { return '}' } async later () { return `{${1}` } * each () { yield 1 } }\n"
        "const twice = (n) => { return n + n }\n"
        "function inner (n) { let s = 0; for (let i = 0; i < n; i++) { if (i % 7) { s += i % 7 } } return s }\n"
        "exports.work = function () { return inner(60000000) + twice(1) + (brace.test('{') ? 1 : 0) }\n",
        "main.js": "console.log(require('./work.js').work())\n",
    }, "", "node main.js"),
    "cc": ({
        "work.c": "#define EACH(i, n) for (long i = 0; i < n; i++)\nstruct P { int a; };\n"
        "static long inner(long n) {\n  volatile long s = 0; /* } */\n  EACH(i, n) { s += i; }\n"
        "  struct P p = (struct P) { 1 };\n  return s + p.a;\n}\n"
        "long work(void) { return inner(60000000L) + '{'; }\n",
        "main.c": '#include <stdio.h>\nlong work(void);\nint main(void) { printf("%ld\\n", work()); return 0; }\n',
    }, "cc -O1 -Wall -Werror -o prog main.c work.c", "./prog"),
    "c++": ({
        "work.cpp": "#include <vector>\nnamespace n { constexpr int one() { return 1; }\n"
        "struct A { long total; A(long t) : total(t) { total += one(); }\n"
        "  long get() const noexcept { auto f = [](long x) { return x; }; return f(total); } }; }\n"
        "template <class T> T inner(T n) {\n  volatile T s = 0; for (T i = 0; i < n; i++) { s = s + i; }\n"
        "  std::vector<int> v{1, 2}; switch (v[0]) { case 1: { break; } default: break; }\n  return s; }\n"
        "long work() { return inner<long>(60000000L) + n::A(1).get(); }\n",
        "main.cpp": '#include <cstdio>\nlong work();\nint main() { std::printf("%ld\\n", work()); }\n',
    }, "c++ -std=c++17 -O1 -Wall -Werror -o prog main.cpp work.cpp", "./prog"),
    "go": ({
        "go.mod": "module example.com/p\n\ngo 1.19\n",
        "work/work.go": "package work\n\ntype T struct{ n int }\n\n"
        "func inner(n int, v interface{}) (s int) {\n\tfor i := 0; i < n; i++ {\n\t\ts += i % 7\n\t}\n\treturn\n}\n\n"
        "func (t T) Work() int { return inner(60000000, nil) + t.n }\n",
        "main.go": 'package main\n\nimport (\n\t"example.com/p/work"\n\t"fmt"\n)\n\n'
        "func main() { fmt.Println(work.T{}.Work()) }\n",
    }, "go build -o prog .", "./prog"),
}  # fmt: skip


@pytest.mark.parametrize("tool", PROGRAMS)
def test_the_functions_of_a_file_take_so_many_times_as_long(tool: str, tmp_path: Path) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"needs {tool}")
    files, build, command = PROGRAMS[tool]
    trees = [tmp_path / "plain", tmp_path / "slow"]
    for tree in trees:
        for path, text in files.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text)
    assert plant(trees[1], [path for path in files if "work" in path]) >= 2
    for tree in trees:
        built = subprocess.run(["bash", "-c", build], cwd=tree, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stderr
    seconds: tuple[list[float], list[float]] = ([], [])
    answers = set()
    for number in (0, 1) * 3:
        begun = time.perf_counter()
        done = subprocess.run(["bash", "-c", command], cwd=trees[number], capture_output=True, text=True, check=False)
        seconds[number].append(time.perf_counter() - begun)
        assert done.returncode == 0, done.stderr
        answers.add(done.stdout)
    assert len(answers) == 1
    # The start of the process is not slower; other work only adds, and a planted function is not inlined any more.
    assert 1.3 < min(seconds[1]) / min(seconds[0]) < 3 * FACTOR


def test_main_is_planted_only_where_it_is_all_there_is(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("int main(void) { return 0; }\n")
    (tmp_path / "b.c").write_text("static int f(int x) { return x; }\nint main(void) { return f(0); }\n")
    (tmp_path / "broken.py").write_text("def f(:\n")
    assert plant(tmp_path, ["a.c", "b.c", "broken.py", "gone.c", "notes.md"]) == 2
    assert "int main(void) { return f(0); }" in (tmp_path / "b.c").read_text()


def test_a_plan_whose_number_is_not_of_the_scope_has_no_go(tmp_path: Path, autoresearch: Run) -> None:
    files = {
        "src/hot.py": "def hot():\n    return sum(range(10))\n",
        "bench.py": "import hashlib\n\nfor _ in range(200):\n    hashlib.sha256(b'x' * 100000).digest()\n",
    }
    root = tmp_path / "p"
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    subprocess.run(["git", "init", "-q", "-b", "main", str(root)], check=True)
    commit_all(root)
    said = ("--scope", "src/**", "--benchmark", "python3 bench.py", "--checks", "true", "--timeout", "300")
    done = autoresearch("init", "--plan", "--json", "--yes", *said, cwd=root)
    data = json.loads(done.stdout)
    assert done.returncode == 3, data
    assert f"2 functions in scope made {FACTOR} times slower move it" in data["dry_run"]["guard"]
    assert "code in scope" in data["dry_run"]["fix"]
    assert "--yes" not in data["next"]
    assert data["written"] == []
