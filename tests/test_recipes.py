"""The recipes of references/measuring.md are run as they stand there: in each language that this machine has."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autoresearch.metrics import parse
from driver import REPO

TEXT = (REPO / "references" / "measuring.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(?:python|js)\n(?:#|//) (\S+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
BUILDS = re.findall(r"^\(cd evaluator/reference && (\S+) (.*)\)$", TEXT, re.MULTILINE)
# A loop of so many turns from a number on stdin, in each language.
TOOLS = {
    "tool.c": '#include <stdio.h>\nint main(void) { unsigned x; if (scanf("%u", &x) != 1) return 1;\n'
    'for (int i = 0; i < TURNS; i++) x = x * 1103515245u + 12345u;\nprintf("%u\\n", x & 0u); }\n',
    "tool.cc": "#include <iostream>\nint main() { unsigned x; std::cin >> x;\n"
    'for (int i = 0; i < TURNS; i++) { x = x * 1103515245u + 12345u; asm volatile("" : "+r"(x)); }\n'
    'std::cout << (x & 0u) << "\\n"; }\n',
    "tool.rs": "use std::{hint::black_box, io::read_to_string, io::stdin};\nfn main() {\n"
    "let mut x: u32 = read_to_string(stdin()).unwrap().trim().parse().unwrap();\n"
    "for _ in 0..TURNS { x = black_box(x.wrapping_mul(1103515245).wrapping_add(12345)); }\n"
    'println!("{}", x & 0); }\n',
    "tool.go": 'package main\nimport "fmt"\nfunc main() { var x uint32; fmt.Scan(&x)\n'
    "for i := 0; i < TURNS; i++ { x = x*1103515245 + 12345 }\nfmt.Println(x & 0) }\n",
    "src/solve.js": "exports.solve = (x) => { for (let i = 0; i < TURNS; i++) "
    "x = (Math.imul(x, 1103515245) + 12345) | 0; return x & 0 }\n",
    "src/solve.py": "def solve(x):\n    for _ in range(TURNS // 40):\n        x = x * 1103515245 + 12345 & 0xFFFF\n"
    "    return x & 0\n",
}
TURNS = 8_000_000
# Where rustup keeps its compilers: the tests have a HOME of their own.
TOOLCHAINS = {"RUSTUP_HOME": str(Path(pwd.getpwuid(os.getuid()).pw_dir) / ".rustup")}


def project(root: Path, blocks: list[tuple[str, str]], tool: str, turns: int) -> Path:
    """The tool that does `turns` turns, beside a reference of `TURNS`, with the recipe's files."""
    for top, count in ((root, turns), (root / "evaluator" / "reference", TURNS)):
        (top / tool).parent.mkdir(parents=True, exist_ok=True)
        (top / tool).write_text(TOOLS[tool].replace("TURNS", str(count)))
    for name, text in blocks:
        (root / name).write_text(text)
    for name in ("paired.py", "stopwatch.py", "worker.py", "signed_metric.py"):
        shutil.copy(REPO / "templates" / name, root / "evaluator")
    return root


def seconds(root: Path) -> float:
    done = subprocess.run(
        [sys.executable, "-B", "evaluator/bench.py"], cwd=root, text=True, capture_output=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    got = parse(done.stdout).metrics
    assert {"time_mean_s", "time_wall_s", "time_cpu_s", "ref_s", "ref_cpu_s"} <= set(got)
    return got["time_s"]


def sees_a_third_less(tmp_path: Path, blocks: list[tuple[str, str]], tool: str, build: str = "") -> None:
    values = []
    for name, turns in (("alike", TURNS), ("less", TURNS * 2 // 3)):
        root = project(tmp_path / name, blocks, tool, turns)
        for top in (root, root / "evaluator" / "reference") if build else ():
            subprocess.run(build, shell=True, cwd=top, check=True, env={**TOOLCHAINS, **os.environ})
        values.append(seconds(root))
    assert values[1] < 0.9 * values[0]


def test_every_recipe_has_its_files() -> None:
    assert [name for name, _ in BLOCKS] == [
        "evaluator/bench.py", "evaluator/serve.js", "evaluator/bench.py", "evaluator/bench.py"
    ]  # fmt: skip
    assert [tool for tool, _ in BUILDS] == ["cc", "c++", "rustc", "go"]


@pytest.mark.parametrize(("compiler", "words"), BUILDS, ids=[tool for tool, _ in BUILDS])
def test_a_built_program(tmp_path: Path, compiler: str, words: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"NOT RUN: this machine has no {compiler}")
    sees_a_third_less(tmp_path, BLOCKS[:1], words.split()[-1], f"{compiler} {words}")


def test_a_node_program_that_stays(tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("NOT RUN: this machine has no node")
    sees_a_third_less(tmp_path, BLOCKS[1:3], "src/solve.js")


def test_a_python_function(tmp_path: Path) -> None:
    sees_a_third_less(tmp_path, BLOCKS[3:], "src/solve.py")
