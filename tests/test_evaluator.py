"""What is frozen, and which changes a candidate may make."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.config import load_config, parse_config
from autoresearch.errors import BadInput, IntegrityFault
from autoresearch.project import Project
from autoresearch.workspace import evaluator
from autoresearch.workspace.objects import Change
from autoresearch.workspace.scope import violations

FROZEN = evaluator.Manifest({"autoresearch.sh": "0" * 64, "bench/data.txt": "1" * 64}, {})
CONFIG = parse_config(
    "{name: t, objective: {metric: m}, scope: ['src/**', 'lib/'], off_limits: ['src/vendor/**']}", "test"
)


def change(path: str, new_mode: str = "100644", old_mode: str = "100644", kind: str = "M") -> Change:
    return Change(path, kind, old_mode, new_mode, "0" * 40)


def judge(*changes: Change, prefix: str = "", links: dict[str, str] | None = None) -> list[str]:
    return violations(changes, CONFIG, FROZEN, prefix, links or {})


@pytest.mark.parametrize("path", ["src/a.py", "src/deep/er/b.c", "lib/x", "src/naïve file.py"])
def test_in_scope(path: str) -> None:
    assert judge(change(path)) == []


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("README.md", "outside scope"),
        ("autoresearch.sh", "evaluator"),
        ("autoresearch.checks.sh", "evaluator"),
        ("bench/data.txt", "evaluator"),
        ("autoresearch.jsonl", "session"),
        ("autoresearch.yaml", "session"),
        ("src/vendor/z.py", "off limits"),
        ("src/.gitattributes", "git checks out"),
        (".gitmodules", "git checks out"),
        ("Src/a.py", "outside scope"),
        ("src2/a.py", "outside scope"),
        ("src/../setup.py", "no path"),
        ("src/.git/hooks/post-checkout", "no path"),
    ],
)
def test_refused(path: str, why: str) -> None:
    (found,) = judge(change(path))
    assert why in found


def scoped(path: str, *lines: str) -> list[str]:
    """The answer for a change of `path` where scope has these lines besides a glob that lets all in."""
    config = parse_config(json.dumps({"name": "t", "objective": {"metric": "m"}, "scope": ["**", *lines]}), "test")
    return violations([change(path)], config, FROZEN, "", {})


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("package-lock.json", "pins dependencies"),
        ("lib/deep/Cargo.lock", "pins dependencies"),
        ("src/requirements-dev.txt", "pins dependencies"),
        ("requirements/base.txt", "pins dependencies"),
        ("pylock.linux.toml", "pins dependencies"),
        ("YARN.LOCK", "pins dependencies"),  # the same file on some disks
        ("src/tests/conftest.py", "loaded by its name"),
        ("src/sitecustomize.py", "loaded by its name"),
        ("lib/zz-owned.pth", "loaded by its name"),
        (".npmrc", "loaded by its name"),
        ("src/.cargo/config.toml", "loaded by its name"),
    ],
)
def test_what_works_by_its_name_needs_a_line_of_scope_that_names_it(path: str, why: str) -> None:
    (found,) = scoped(path)
    assert why in found
    name = path.rpartition("/")[2]
    for line in (path, name, f"**/{name}"):
        assert scoped(path, line) == []
    # Another file's line, a glob over its own name, a directory's line and an exclusion do not name it.
    for line in ("src/other.py", f"{path}x", f"{path}/", f"**/{name[:-1]}?", f"elsewhere/{name}"):
        assert scoped(path, line) == [found], line
    assert "outside scope" in scoped(path, f"!{path}")[0]


@pytest.mark.parametrize(
    "path",
    ["conftest_helper.py", "my_conftest.py", "src/lock.py", "config.toml", "requirements.md", "base.txt", "a.path"],
)
def test_names_that_only_look_so_are_ordinary_files(path: str) -> None:
    assert scoped(path) == []


def test_deleting_counts_as_touching() -> None:
    assert judge(change("tests/test_x.py", "000000", kind="D"))


def test_submodules_and_leaving_links_are_refused() -> None:
    assert "submodule" in judge(change("src/m", "160000", "000000"))[0]
    link = change("src/l", "120000", "000000")
    assert judge(link, links={"src/l": "../src/a.py"}) == []
    assert "leaves" in judge(link, links={"src/l": "../../etc/passwd"})[0]
    assert "leaves" in judge(link, links={"src/l": "/etc/passwd"})[0]
    # "up" may be a link itself, so nobody can say where "up/.." is.
    for target in ("up/../x", "./up/../../secrets", "../src/../src/x", ""):
        assert "leaves" in judge(link, links={"src/l": target})[0]
    for target in ("a", "./a/b", "../src/a", ".."):
        assert judge(link, links={"src/l": target}) == []


def test_scope_is_relative_to_the_project_in_a_monorepo() -> None:
    assert judge(change("pkg/src/a.py"), prefix="pkg/") == []
    assert judge(change("src/a.py"), prefix="pkg/")
    assert "evaluator" in judge(change("pkg/autoresearch.sh"), prefix="pkg/")[0]


@given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=60))
def test_any_path_gets_an_answer(path: str) -> None:
    found = judge(change(path))
    assert found == [] or len(found) == 1
    if not path.startswith(("src/", "lib/")) and "/" not in path.strip("/"):
        assert found


def test_freeze_verify_and_what_breaks_it(project: Project) -> None:
    config = load_config(project.root)
    project.state.mkdir()
    frozen = evaluator.survey(project, config)
    pin = evaluator.freeze(project, frozen)
    evaluator.verify(project, config, frozen)
    benchmark = project.root / "autoresearch.sh"
    original = benchmark.read_bytes()
    benchmark.write_bytes(original + b"# edited\n")
    with pytest.raises(IntegrityFault, match=r"autoresearch\.sh"):
        evaluator.verify(project, config, frozen)
    benchmark.write_bytes(original)
    looser = parse_config((project.root / "autoresearch.yaml").read_text().replace('"src/**"', '"**"'))
    with pytest.raises(IntegrityFault, match="scope"):
        evaluator.verify(project, looser, frozen)
    (pin / "autoresearch.sh").write_text("echo METRIC steps=1\n")
    with pytest.raises(IntegrityFault, match="pinned copy"):
        evaluator.verify(project, config, frozen)


@pytest.mark.parametrize("pattern", ["bench", "bench/", "bench/**", "bench/**/*", "bench/*.py"])
def test_evaluator_patterns_find_files_and_no_caches(project: Project, pattern: str) -> None:
    bench = project.root / "bench"
    (bench / "deep" / "__pycache__").mkdir(parents=True)
    (bench / "driver.py").write_text("1\n")
    (bench / "deep" / "data.txt").write_text("1\n")
    config = (project.root / "autoresearch.yaml").read_text() + f"evaluator: ['{pattern}']\n"
    before = evaluator.survey(project, parse_config(config))
    assert "bench/driver.py" in before.files
    assert ("bench/deep/data.txt" in before.files) == (pattern != "bench/*.py")
    (bench / "deep" / "__pycache__" / "x.cpython-311.pyc").write_text("left by a run by hand")
    assert evaluator.survey(project, parse_config(config)).digest == before.digest


def test_an_evaluator_pattern_without_files_is_refused(project: Project) -> None:
    config = (project.root / "autoresearch.yaml").read_text() + "evaluator: ['nothing/**']\n"
    with pytest.raises(BadInput, match="matches no file"):
        evaluator.survey(project, parse_config(config))


@pytest.mark.parametrize("word", ["off", "'off'", "false"])
def test_containment_is_switched_off_by_the_word_that_the_template_names(word: str) -> None:
    assert (
        parse_config(f"name: t\nobjective: {{metric: m}}\nscope: [s]\ncontain:\n  mode: {word}\n").contain.mode == "off"
    )


def test_engine_and_stop_rules_may_change(project: Project) -> None:
    config = load_config(project.root)
    frozen = evaluator.survey(project, config)
    text = (project.root / "autoresearch.yaml").read_text() + "slots: 2\nstop: {dry: 5}\n"
    assert evaluator.survey(project, parse_config(text)).digest == frozen.digest


def test_overlay_refuses_a_link_in_the_evaluators_place(project: Project, tmp_path: Path) -> None:
    config = load_config(project.root)
    project.state.mkdir()
    frozen = evaluator.survey(project, config)
    pin = evaluator.freeze(project, frozen)
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "autoresearch.sh").symlink_to(project.root / "README.md")
    with pytest.raises(IntegrityFault, match="link"):
        evaluator.overlay(pin, frozen, tree, "")
    assert (project.root / "README.md").read_text() == "a project\n"


def test_a_missing_benchmark_is_one_sentence(project: Project) -> None:
    subprocess.run(["rm", str(project.root / "autoresearch.sh")], check=True)
    with pytest.raises(BadInput, match=r"no autoresearch\.sh"):
        evaluator.survey(project, load_config(project.root))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: [", "YAML"),
        ("", "empty"),
        ("name: x", "objective"),
        ("{name: x, objective: {metric: m}, scope: []}", "scope is empty"),
        ("{name: x, objective: {metric: 'a b'}, scope: [s]}", "metric"),
        ("{name: x, objective: {metric: m, direction: up}, scope: [s]}", "direction"),
        ("{name: x, objective: {metric: m}, scope: [s], scpoe: 1}", "scpoe"),
        ("{name: ../x, objective: {metric: m}, scope: [s]}", "name"),
        ("{name: x, objective: {metric: m}, scope: [s], timeouts: {build: -1}}", "build"),
    ],
)
def test_a_bad_config_names_the_key(text: str, says: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_config(text)
    assert says in caught.value.sentence()
