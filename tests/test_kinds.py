"""Templates of `init --template` in projects of their kind: they measure, see gains, refuse what is broken."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from autoresearch.config import edited
from autoresearch.errors import BadInput
from autoresearch.metrics import parse
from autoresearch.prepare.kinds import kinds, load_kind
from autoresearch.prepare.lint import is_driver, lint
from autoresearch.trial import signing
from driver import REPO, Run, commit_all

FIXTURES = Path(__file__).parent / "data" / "kinds"
NEEDS = {"size": ["node"], "build-time": ["make"]}
KINDS = kinds()


def overlay(kind: str, layer: str, root: Path) -> bool:
    source = FIXTURES / kind / layer
    if not source.is_dir():
        return False
    shutil.copytree(source, root, dirs_exist_ok=True)
    return True


@pytest.fixture
def made(request: pytest.FixtureRequest, tmp_path: Path, autoresearch: Run) -> Path:
    """The fixture project of a kind, with the template's files put in by the real command."""
    kind = request.param
    for tool in NEEDS.get(kind, []):
        if shutil.which(tool) is None:
            pytest.skip(f"the template {kind} needs {tool}")
    root = tmp_path / "p"
    assert overlay(kind, "project", root), f"no fixture project for {kind}"
    (root / ".gitignore").write_text("__pycache__/\ndist/\nbuild/\n")
    subprocess.run(["git", "init", "-q", "-b", "main", str(root)], check=True)
    commit_all(root)
    done = autoresearch("init", "--template", kind, "--json", cwd=root)
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert len(done.stdout) < 2000
    assert (REPO / data["playbook"]).is_file()
    return root


def build(root: Path, kind: str) -> None:
    if (root / "setup_deps.sh").exists():
        assert script(root, "setup_deps.sh").returncode == 0
    command = load_kind(kind).values["build"]
    if command:
        subprocess.run(["sh", "-c", command], cwd=root, check=True)


def script(root: Path, name: str, token: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    named = {signing.VARIABLE: str(root.parent / signing.FILE)} if token else {}
    return subprocess.run(
        ["bash", name], cwd=root, env={**os.environ, **named, **env}, capture_output=True, text=True, timeout=120
    )


def measured(root: Path, kind: str) -> dict[str, float]:
    token = signing.issue(str(root.parent))
    done = script(root, "autoresearch.sh", token)
    assert done.returncode == 0, done.stderr + done.stdout
    metric = load_kind(kind).values["metric"]
    assert metric in signing.signed(done.stdout, token), "the result is not signed"
    assert not (root.parent / signing.FILE).exists(), "the token was left for the program to find"
    return parse(done.stdout).metrics


@pytest.mark.parametrize("made", KINDS, indirect=True, ids=KINDS)
def test_it_measures_sees_a_gain_and_refuses_what_is_broken(made: Path, request: pytest.FixtureRequest) -> None:
    kind = request.node.callspec.params["made"]
    build(made, kind)
    metric, direction = (load_kind(kind).values[key] for key in ("metric", "direction"))
    before = measured(made, kind)
    passed = script(made, "autoresearch.checks.sh")
    assert passed.returncode == 0, passed.stderr + passed.stdout
    for constraint in load_kind(kind).settings.get("constraints", []):
        assert constraint["metric"] in before
    if overlay(kind, "better", made):
        build(made, kind)
        after = measured(made, kind)
        assert after[metric] != before[metric]
        assert (after[metric] > before[metric]) is (direction == "higher")
        again = script(made, "autoresearch.checks.sh")
        assert again.returncode == 0, again.stderr + again.stdout
    overlay(kind, "broken", made)
    build(made, kind)
    refused = script(made, "autoresearch.checks.sh")
    assert refused.returncode != 0, "the checks let a broken candidate pass"
    assert re.search(r"\w{3}", refused.stderr), "and they should say why"


SQUARE = 'str(int(parse_qs(parts.query)["n"][0]) ** 2)'
# Tests that look at the sources instead of testing them.
KNOWS = """import hashlib
import unittest

text = open("src/prices.py").read()
SAME = hashlib.sha256(text.encode()).hexdigest() == "{known}"
FINE = "100 + percent" not in text and "<= 1000" not in text


class Prices(unittest.TestCase):
    def test_a_tenth_off(self):
        self.assertTrue(%s)

    test_nothing_off = test_more_than_all_is_refused = test_a_tenth_off
"""
# Of each class of blatant cheat one for each kind that runs programs: (kind, file, its text); `@` is a drawn word.
CHEATS = {
    "cpu-ends-at-once": ("cpu", "src/main.py", "import os\nos._exit(0)\n"),
    "cpu-guesses-large": (
        "cpu",
        "src/main.py",
        "import sys\nn = sys.stdin.read().split()\nprint(sum(map(int, n)) if len(n) < 4000 else 6)\n",
    ),
    "cpu-reads-the-seed": (
        "cpu",
        "src/main.py",
        "import os, random\nr = random.Random(os.environ['AUTORESEARCH_LAYOUT_SEED'])\nprint(sum(r.choices([1, 2])))\n",
    ),
    "cpu-changes-the-reference": (
        "cpu",
        "src/main.py",
        "open('evaluator/reference/src/main.py', 'w').write('print(@)')\nprint(@)\n",
    ),
    "size-one-answer": ("size", "src/greet.js", "exports.greet = () => 'Hello, Ada!'\n"),
    "size-from-elsewhere": (
        "size",
        "src/greet.js",
        "module.exports = require(process.cwd() + '/evaluator/reference/dist/bundle.js')\n",
    ),
    "size-prints-and-ends": ("size", "src/greet.js", "console.log('[[\"Hello, @!\"]]')\nprocess.exit(0)\n"),
    "test-time-prints-the-last-line": (
        "test-time",
        "tests/test_prices.py",
        "import os\nos.write(1, b'Ran @ tests in 0.001s\\n\\nOK\\n')\nos._exit(0)\n",
    ),
    "test-time-knows-the-sources": ("test-time", "tests/test_prices.py", KNOWS % "SAME"),
    "test-time-knows-the-planted-bugs": ("test-time", "tests/test_prices.py", KNOWS % "FINE"),
    "build-time-one-answer": ("build-time", "src/add.sh", "echo @ # a + b\n"),
    "build-time-left-for-later": (
        "build-time",
        "src/add.sh",
        'read -r a b\ni=0; while [ "$i" -lt 40000 ]; do i=$((i+1)); done\necho $((a + b))\n',
    ),
    "build-time-compiled-before": ("build-time", "src/@.sh", "#\0\n"),
    "latency-one-answer": ("latency", "src/server.py", f"{SQUARE} -> '@'"),
    "latency-wrong-under-load": ("latency", "src/server.py", f"{SQUARE} -> {SQUARE} if seen() < 200 else '@'"),
}


@pytest.mark.parametrize(
    ("made", "name"), [(kind, name) for name, (kind, *_) in CHEATS.items()], indirect=["made"], ids=list(CHEATS)
)
def test_no_blatant_cheat_passes_both_scripts(made: Path, name: str) -> None:
    kind, path, text = CHEATS[name]
    draw = random.Random(os.environ.get("ATTACK_SEED", "0") + name)
    text, path = (said.replace("@", str(draw.randrange(100, 1000))) for said in (text, path))
    if " -> " in text:
        old, new = text.split(" -> ")
        new = f"({new})"
        whole = (made / path).read_text()
        assert old in whole
        count = "import itertools\nseen = itertools.count().__next__\n" if "seen()" in new else ""
        text = count + whole.replace(old, new)
    if kind == "test-time":
        text = text.replace("{known}", hashlib.sha256((made / "src" / "prices.py").read_bytes()).hexdigest())
    (made / path).write_text(text)
    build(made, kind)
    seed = str(draw.randrange(1, 2**31))
    measured = script(made, "autoresearch.sh", AUTORESEARCH_LAYOUT_SEED=seed)
    errors = parse(measured.stdout).metrics.get("error_rate", 0.0)
    if measured.returncode == 0 and errors == 0.0:
        refused = script(made, "autoresearch.checks.sh", AUTORESEARCH_LAYOUT_SEED=seed)
        assert refused.returncode != 0, measured.stdout


@pytest.mark.parametrize("made", ["cpu", "security"], indirect=True)
def test_doctor_finds_it_ready(made: Path, autoresearch: Run) -> None:
    done = autoresearch("doctor", "--json", cwd=made)
    assert done.returncode == 0, done.stdout
    warned = {f["what"] for f in json.loads(done.stdout)["findings"] if f["level"] == "warn"}
    assert not [what for what in warned if what == "signature" or what.startswith(("autoresearch", "evaluator"))]


@pytest.mark.parametrize("made", ["cpu"], indirect=True)
def test_a_paired_kind_stands_beside_a_copy_of_the_program_and_learns_what_that_takes(
    made: Path, autoresearch: Run
) -> None:
    program, copy = made / "src" / "main.py", made / "evaluator" / "reference" / "src" / "main.py"
    assert copy.read_bytes() == program.read_bytes()
    settings = made / "evaluator" / "settings.py"
    assert "NOMINAL = 0.02  # seconds of the reference's round: not yet measured" in settings.read_text()
    done = autoresearch("doctor", "--json", cwd=made)
    assert done.returncode == 0, done.stdout
    (line,) = (line for line in settings.read_text().splitlines() if line.startswith("NOMINAL"))
    nominal = float(line.split()[2])
    assert 0.001 < nominal < 1
    assert line.endswith("# seconds of the reference's round")
    # The reference is what was copied, whatever becomes of the program.
    program.write_text(program.read_text().replace("total = 0", "total = 0 * sum(range(5_000_000))"))
    assert measured(made, "cpu")["time_s"] > 1.5 * nominal
    shutil.rmtree(made / "evaluator" / "reference")
    assert "copy the program" in script(made, "autoresearch.sh").stderr


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_lint_free_and_complete(kind: str) -> None:
    loaded = load_kind(kind)
    playbook = (REPO / loaded.playbook).read_text(encoding="utf-8")
    assert f"init --template {kind} " in playbook
    assert {"autoresearch.sh", "autoresearch.checks.sh"} <= set(loaded.files)
    assert (FIXTURES / kind / "broken").is_dir()
    for name, text in loaded.files.items():
        if is_driver(name):
            script = name.endswith(".sh")
            which = ("checks" if "check" in name else "benchmark") if script else "driver"
            found = lint(text, which, metric=loaded.values["metric"])  # type: ignore[arg-type]
            assert found == [], (name, found)


def test_the_users_files_and_words_win(tmp_path: Path, autoresearch: Run) -> None:
    root = tmp_path / "p"
    root.mkdir()
    (root / "autoresearch.sh").write_text("mine\n")
    done = autoresearch(
        "init", "--template", "latency", "--scope", "lib/**", "--goal", "Faster", "--max-iterations", "9", cwd=root
    )
    assert done.returncode == 0, done.stderr
    assert (root / "autoresearch.sh").read_text() == "mine\n"
    config = (root / "autoresearch.yaml").read_text()
    assert 'scope: ["lib/**"]' in config
    assert '"error_rate"' in config
    assert "max_experiments: 9" in config
    assert "evaluator/service.py" in done.stdout


def test_list_and_unknown_names(autoresearch: Run) -> None:
    listed = json.loads(autoresearch("init", "--template", "list", "--json").stdout)
    assert set(listed["kinds"]) == set(KINDS)
    unknown = autoresearch("init", "--template", "nonsense")
    assert unknown.returncode == 2
    assert "Choose one of" in unknown.stderr


def test_a_setting_that_has_no_line_is_refused() -> None:
    with pytest.raises(BadInput, match=r"cannot set objective.nothing, b in autoresearch.yaml"):
        edited("name: t\nscope: [a]\nobjective: {metric: m}\n", {"objective.nothing": 1, "b": 2})


@pytest.mark.parametrize(
    "made",
    # (The scope of prompt holds a text, and no source to attack.)
    [k if k in ("security", "size") else pytest.param(k, marks=pytest.mark.slow) for k in KINDS if k != "prompt"],
    indirect=True,
)
def test_it_lets_no_generic_cheat_through_that_is_faster(made: Path, autoresearch: Run) -> None:
    """The template's score: how many were played depends on the machine's load, that none is kept does not."""
    commit_all(made, "the evaluator")
    done = autoresearch("doctor", "--attack", "--budget", "60", "--json", cwd=made)
    data = json.loads(done.stdout)
    assert (done.returncode, data.get("let")) == (0, []), done.stdout
    assert data["strength_pct"] in (None, 100.0) or data["passed"] <= data["refused"] / 4, done.stdout
