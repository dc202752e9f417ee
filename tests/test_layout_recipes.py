"""The recipes of templates/layout.md, run as they stand there, with the tools that are here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "templates" / "layout.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"<!-- recipe: (\S+) -->\n```bash\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL))
FUNCTIONS = ("alpha", "beta", "gamma_", "delta")

# conftest.py hides the user's home; rustup keeps its toolchains there.
RUST = {"RUSTUP_HOME": Path.home() / ".rustup", "CARGO_HOME": Path.home() / ".cargo"}

MAIN = """#include <stdio.h>
int alpha(int), beta(int), gamma_(int), delta(int);
int main(void) { printf("%d\\n", alpha(1) + beta(2) + gamma_(3) + delta(4)); return 0; }
"""


def need(*tools: str) -> None:
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; the recipe's syntax is checked, its effect is not")


def script(root: Path, name: str) -> Path:
    path = root / f"{name}.sh"
    path.write_text(RECIPES[name])
    return path


def run(root: Path, *command: str, seed: int | None = None) -> str:
    env = {key: value for key, value in os.environ.items() if not key.startswith("AUTORESEARCH_")}
    if seed is not None:
        env["AUTORESEARCH_LAYOUT_SEED"] = str(seed)
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def addresses(root: Path, binary: str) -> dict[str, str]:
    """Where the linker put each of the program's functions."""
    found = {}
    for line in run(root, "nm", binary).splitlines():
        words = line.split()
        if words[-1] in (*FUNCTIONS, "main"):
            found[words[-1]] = words[0]
    return found


@pytest.fixture
def objects(tmp_path: Path) -> list[str]:
    """A program of five functions in three files, compiled with function sections."""
    need("cc", "nm", "awk")
    (tmp_path / "main.c").write_text(MAIN)
    (tmp_path / "one.c").write_text("int alpha(int x) { return x * 3; }\nint beta(int x) { return x ^ 5; }\n")
    (tmp_path / "two.c").write_text("int gamma_(int x) { return x - 7; }\nint delta(int x) { return x << 2; }\n")
    names = ["main", "one", "two"]
    for name in names:
        run(tmp_path, "cc", "-O2", "-ffunction-sections", "-c", f"{name}.c", "-o", f"{name}.o")
    return [f"{name}.o" for name in names]


def test_every_recipe_is_found() -> None:
    expected = {"c-link-order", "c-sorted", "c-lld", "c-mold", "go", "rust", "instructions"}
    assert set(RECIPES) == expected
    assert TEXT.count("```bash") == len(expected)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_syntax(name: str, tmp_path: Path) -> None:
    run(tmp_path, "bash", "-n", str(script(tmp_path, name)))


@pytest.mark.parametrize("name", sorted(set(RECIPES) - {"instructions"}))
def test_every_build_uses_the_seed_and_has_a_default(name: str) -> None:
    assert "${AUTORESEARCH_LAYOUT_SEED:-1}" in RECIPES[name]


@pytest.mark.parametrize("name", ["c-link-order", "c-sorted"])
def test_c_layout_follows_the_seed(name: str, tmp_path: Path, objects: list[str]) -> None:
    if name == "c-sorted":
        need("readelf", "objcopy")
    recipe = str(script(tmp_path, name))
    seeds = [1, 2, 3, 1977326743, 2147483646]
    layouts, outputs = [], set()
    for seed in seeds:
        run(tmp_path, "bash", recipe, "bench", *objects, seed=seed)
        layouts.append(tuple(sorted(addresses(tmp_path, "bench").items())))
        outputs.add(run(tmp_path, "./bench"))
    assert outputs == {"22\n"}
    assert len(set(layouts)) == len(seeds), "two seeds gave one layout"
    # Every function moves, main too, which the compiler puts into a section of its own.
    for which in range(len(FUNCTIONS) + 1):
        assert len({layout[which] for layout in layouts}) > 1, layouts[0][which]


@pytest.mark.parametrize("name", ["c-link-order", "c-sorted"])
def test_c_layout_is_reproducible(name: str, tmp_path: Path, objects: list[str]) -> None:
    if name == "c-sorted":
        need("readelf", "objcopy")
    recipe = str(script(tmp_path, name))
    for out in ("first", "again"):
        run(tmp_path, "bash", recipe, out, *objects, seed=77)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "again").read_bytes()


@pytest.mark.parametrize("name", ["c-link-order", "c-sorted"])
def test_c_recipes_leave_order_to_more_than_the_offset(name: str, tmp_path: Path, objects: list[str]) -> None:
    if name == "c-sorted":
        need("readelf", "objcopy")
    recipe = str(script(tmp_path, name))
    orders = set()
    for seed in range(1, 9):
        run(tmp_path, "bash", recipe, "bench", *objects, seed=seed * 104729)
        found = addresses(tmp_path, "bench")
        orders.add(tuple(sorted(FUNCTIONS, key=lambda f: found[f])))
    assert len(orders) > 1


@pytest.mark.parametrize("linker", ["lld", "mold"])
def test_shuffling_linkers(linker: str, tmp_path: Path, objects: list[str]) -> None:
    need(f"ld.{linker}")
    (tmp_path / "src").mkdir()
    for name in objects:
        (tmp_path / name).rename(tmp_path / "src" / name)
    recipe = str(script(tmp_path, f"c-{linker}"))
    layouts = set()
    for seed in (1, 2, 3):
        run(tmp_path, "bash", recipe, seed=seed)
        layouts.add(tuple(sorted(addresses(tmp_path, "bench").items())))
        assert run(tmp_path, "./bench") == "22\n"
    assert len(layouts) > 1


def test_go(tmp_path: Path) -> None:
    need("go", "nm")
    (tmp_path / "cmd" / "bench").mkdir(parents=True)
    (tmp_path / "go.mod").write_text("module example.org/bench\n\ngo 1.22\n")
    (tmp_path / "cmd" / "bench" / "main.go").write_text('package main\n\nfunc main() { println("ok") }\n')
    layouts = set()
    for seed in (1, 2):
        run(tmp_path, "bash", str(script(tmp_path, "go")), seed=seed)
        layouts.add(tuple(line for line in run(tmp_path, "nm", "bench").splitlines() if " main.main" in line))
    assert len(layouts) == 2


@pytest.mark.slow
def test_rust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("cargo", "rustc", "nm")
    for name, place in RUST.items():
        if name not in os.environ and place.is_dir():
            monkeypatch.setenv(name, str(place))
    shown = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=False)
    version = re.match(r"rustc 1\.(\d+)", shown.stdout)
    if version is None:
        pytest.skip("rustc is here without a toolchain; the recipe's syntax is checked, its effect is not")
    if int(version[1]) < 90 or os.uname().machine != "x86_64":
        need("ld.lld")
    (tmp_path / "src").mkdir()
    (tmp_path / "Cargo.toml").write_text(
        '[package]\nname = "bench"\nversion = "0.1.0"\nedition = "2021"\n[workspace]\n'
    )
    (tmp_path / "src" / "main.rs").write_text(
        "#[inline(never)]\nfn alpha(x: usize) -> usize { x * std::env::args().count() }\n"
        'fn main() { println!("{}", alpha(std::env::args().count())); }\n'
    )
    layouts = []
    for seed in (1, 2, 1):
        run(tmp_path, "bash", str(script(tmp_path, "rust")), seed=seed)
        binary = "target/release/bench"
        assert run(tmp_path, binary) == "1\n"
        layouts.append([line for line in run(tmp_path, "nm", binary).splitlines() if "alpha" in line])
    assert layouts[0]
    assert layouts[0] == layouts[2]
    assert layouts[0] != layouts[1]


def test_instruction_counts_are_a_metric_and_repeat(tmp_path: Path, objects: list[str]) -> None:
    need("valgrind")
    run(tmp_path, "bash", str(script(tmp_path, "c-link-order")), "bench", *objects, seed=5)
    counts = []
    for _ in range(2):
        shown = run(tmp_path, "bash", str(script(tmp_path, "instructions")))
        found = re.fullmatch(r"METRIC instructions=(\d+)\n", shown)
        assert found, shown
        counts.append(int(found[1]))
    assert counts[0] > 10_000
    # The loader reads the environment and random bytes: a few instructions' difference in a hundred thousand.
    assert abs(counts[0] - counts[1]) <= counts[0] / 1000
