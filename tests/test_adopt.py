"""A session that another loop began goes on with us: its files are kept, its numbers stay history."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from autoresearch.config import edited, load_config, parse_config
from autoresearch.errors import BadInput
from autoresearch.ledger.store import append, records
from autoresearch.peers import adopt
from autoresearch.peers.summary import summarise
from autoresearch.project import Project
from autoresearch.session.access import load
from driver import CHECKS, CONFIG, WORK, Driver, commit_all
from peer_logs import logs

HEADER = {"type": "config", "name": "fewer steps", "metricName": "steps", "metricUnit": "", "bestDirection": "lower"}
PROMPT = """# Autoresearch: fewer steps

## Files in Scope
- `src/work.py`: the work, see `src/gone.py`
- src/lib
- ../outside.py and `/etc/passwd`

## Off Limits
- `src/fixed.py`

## What's Been Tried
- Unrolling: no gain.
"""


def run_line(number: int, metric: float, status: str = "keep") -> dict[str, Any]:
    return {
        "run": number, "commit": "abc1234", "metric": metric, "metrics": {}, "status": status,
        "description": f"theirs {number}", "timestamp": 1760000000000 + number, "segment": 0, "confidence": None,
    }  # fmt: skip


def measured(root: Path, **env: str) -> dict[str, Any]:
    code, data = Driver(root).until_done("baseline", "--timeout", "20", **env)
    assert code == 0, data
    return data


LOG = "".join(json.dumps(r) + "\n" for r in (HEADER, run_line(1, 1200), run_line(2, 7), run_line(3, 9, "discard")))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A committed project without any session."""
    here = tmp_path / "project"
    (here / "src" / "lib").mkdir(parents=True)
    (here / "src" / "work.py").write_text(WORK)
    (here / "src" / "fixed.py").write_text("LIMIT = 1\n")
    (here / "src" / "lib" / "__init__.py").write_text("")
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=here, check=True)
    commit_all(here)
    return here


def few_runs(root: Path) -> None:
    config = root / "autoresearch.yaml"
    config.write_text(config.read_text().replace("noise_runs: 20", "noise_runs: 4"))


def begin_pi(root: Path, flat: bool) -> dict[str, Path]:
    """A session as pi-autoresearch leaves it, in either layout."""
    names = {
        "log": "log.jsonl", "prompt": "prompt.md", "ideas": "ideas.md", "checks": "checks.sh", "measure": "measure.sh",
        "config": "config.json",
    }  # fmt: skip
    old = {
        "log": "autoresearch.jsonl", "prompt": "autoresearch.md", "ideas": "autoresearch.ideas.md",
        "checks": "autoresearch.checks.sh", "measure": "autoresearch.sh", "config": "autoresearch.config.json",
    }  # fmt: skip
    place = root if flat else root / ".auto"
    place.mkdir(exist_ok=True)
    at = {kind: place / name for kind, name in (old if flat else names).items()}
    at["log"].write_text(LOG)
    at["prompt"].write_text(PROMPT)
    at["ideas"].write_text("# Ideas\n- [ ] Halve the steps\n- [x] Unroll\n")
    at["checks"].write_text(CHECKS)
    driver = "tool.py" if flat else ".auto/bench/tool.py"
    at["measure"].write_text(f"#!/bin/bash\nset -euo pipefail\npython3 {driver}\n")
    at["config"].write_text('{"maxIterations": 7}')
    (root / driver).parent.mkdir(exist_ok=True)
    (root / driver).write_text("import sys; sys.path.insert(0, 'src')\nfrom work import steps\n"
                               "print('METRIC steps=%d' % steps())\n")  # fmt: skip
    commit_all(root, "their session")
    return at


@pytest.mark.parametrize("flat", [False, True], ids=["auto", "legacy"])
def test_a_session_of_pi_autoresearch_goes_on(root: Path, flat: bool) -> None:
    at = begin_pi(root, flat)
    before = {kind: path.read_text() for kind, path in at.items()}
    for command in (["status"], ["init", "--scope", "src/**"]):
        code, data = Driver(root)(*command)
        assert code == 2
        assert "a session of pi-autoresearch is here" in data["error"]
        assert "3 runs, 2 kept" in data["error"]
        assert data["next"] == "autoresearch init --continue"
    code, data = Driver(root)("init", "--continue")
    assert code == 0, data
    config = load_config(root)
    assert (config.goal, config.objective.metric) == ("fewer steps", "steps")
    assert config.objective.direction == "lower"
    assert config.scope == ["src/work.py", "src/lib/**"]
    assert config.off_limits == ["src/fixed.py", *([] if flat else [".auto/**"])]
    assert config.stop.max_experiments == 7
    if not flat:
        assert config.evaluator == [".auto/measure.sh", ".auto/checks.sh", ".auto/bench/tool.py"]
    code, data = Driver(root)("status")
    assert (code, data["state"]) == (0, "no baseline yet")
    assert data["history"].startswith("3 runs of another loop")
    few_runs(root)
    assert measured(root)["value"] == 1000, "measured anew"
    code, data = Driver(root)("status")
    assert (data["baseline"], data["best"], data["counts"]) == (1000, 1000, {}), "their 7 is no number of ours"
    assert data["claimed_gain_pct"] in (None, 0)
    lines = list(records(at["log"]))
    ours = [r for r in lines if r.get("kind") == "baseline"]
    assert [(r["run"], r["segment"]) for r in ours] == [(4, 1)]
    assert summarise(at["log"]).segments == 2
    # Ideas: the open one is found where they wrote it.
    code, data = Driver(root)("ideas", "next")
    assert [i["text"] for i in data["ideas"]] == ["Halve the steps"]
    # Nothing of theirs is gone: the log and the notes have grown, the rest is as it was.
    assert at["log"].read_text().startswith(before["log"])
    assert at["prompt"].read_text().startswith(before["prompt"])
    assert [at[k].read_text() for k in ("checks", "measure", "config")] == [
        before[k] for k in ("checks", "measure", "config")
    ]
    assert "Halve the steps" in at["ideas"].read_text()
    if not flat:
        assert not (root / "autoresearch.jsonl").exists(), "their reader looks into .auto/ and nowhere else"
    # A run that their loop appends to our segment is theirs.
    append(at["log"], run_line(5, 1))
    session = load(root)
    assert (len(session.kept), session.foreign, session.last_run) == (0, 4, 5)


def fake_uv(root: Path) -> dict[str, str]:
    """A `uv run` that runs: what Karpathy's project needs, without a GPU."""
    tools = root.parent / "bin"
    tools.mkdir()
    (tools / "uv").write_text('#!/bin/sh\nshift\nexec python3 "$@"\n')
    (tools / "uv").chmod(0o755)
    return {"PATH": f"{tools}:{os.environ['PATH']}"}


def test_karpathys_session_goes_on(root: Path) -> None:
    env = fake_uv(root)
    table = (
        "commit\tval_bpb\tmemory_gb\tstatus\tdescription\nabc1234\t0.997900\t44.0\tkeep\tbaseline\n"
        "bcd2345\t0.990000\t44.2\tkeep\tmore heads\ncde3456\t0.000000\t0.0\tcrash\ttoo wide\n"
    )
    (root / "results.tsv").write_text(table)
    (root / "prepare.py").write_text("DATA = 1\n")
    (root / "train.py").write_text(
        "import prepare\nprint('step 1')\nprint('---')\nprint('val_bpb:          0.9979')\n"
        "print('peak_vram_mb:     45060.2')\n"
    )
    commit_all(root, "their session")
    assert Driver(root)("status")[1]["next"] == "autoresearch init --continue"
    code, data = Driver(root)("init", "--continue", "--max-iterations", "3")
    assert (code, data["history"]) == (0, "3 runs of karpathy/autoresearch, copied from results.tsv")
    config = load_config(root)
    assert (config.objective.metric, config.objective.direction) == ("val_bpb", "lower")
    assert (config.scope, config.evaluator, config.stop.max_experiments) == (["train.py"], ["prepare.py"], 3)
    (root / "autoresearch.checks.sh").write_text("exit 0\n")
    few_runs(root)
    assert measured(root, **env)["value"] == 0.9979
    ledger = list(records(root / "autoresearch.jsonl"))
    assert [r.get("status") for r in ledger if "run" in r] == ["keep", "keep", "crash", "keep"]
    assert next(r for r in ledger if r.get("type") == "import")["from"] == "results.tsv"
    assert (root / "results.tsv").read_text() == table
    assert load(root).foreign == 3
    assert Driver(root)("status")[1]["counts"] == {}


def test_a_results_table_of_another_loop_goes_on(root: Path) -> None:
    """uditgoenka's columns say no command, so the benchmark is still to be written."""
    (root / "autoresearch").mkdir()
    (root / "autoresearch" / "results.tsv").write_text(
        "# metric_direction: higher_is_better\n"
        "iteration\tcommit\tmetric\tdelta\tguard\tstatus\tdescription\n"
        "0\ta1b2c3d\t85.2\t0.0\tpass\tbaseline\tinitial\n1\tb2c3d4e\t87.1\t+1.9\tpass\tkeep\tmore tests\n"
    )
    code, data = Driver(root)("init", "--continue")
    assert code == 2
    assert "--scope" in data["fix"]
    code, data = Driver(root)("init", "--continue", "--scope", "src/**", "--metric", "coverage")
    assert code == 0
    assert load_config(root).objective.direction == "higher"
    assert load_config(root).objective.metric == "coverage"
    assert "still the template" in (root / "autoresearch.sh").read_text()
    found = summarise(root / "autoresearch.jsonl")
    assert (found.runs, found.direction, found.metric_name) == (2, "higher", "metric")


def test_without_another_loop_there_is_nothing_to_go_on_from(root: Path) -> None:
    code, data = Driver(root)("init", "--continue")
    assert code == 2
    assert "no session of another loop is here" in data["error"]
    code, data = Driver(root)("status")
    assert (code, data["next"]) == (2, "autoresearch init --plan")


def test_a_table_of_another_program_is_no_session(root: Path) -> None:
    (root / "results.tsv").write_text("id\tname\tstatus\tscore\n1\tAda\topen\t93\n2\tBo\tclosed\t71\n")
    assert adopt.find(root) is None
    (root / "results.tsv").write_text("commit\tscore\tstatus\tdescription\nabc1234\t93\tkeep\tbaseline\n")
    begun = adopt.find(root)
    assert begun is not None
    assert (begun.metric, begun.runs, begun.kept) == ("score", 1, 1)


def test_no_public_log_enters_our_numbers(tmp_path: Path) -> None:
    """Every log of the corpus: found, described, and replayed as history without a keep or a baseline of ours."""
    (tmp_path / "autoresearch.yaml").write_text(CONFIG)
    history = 0
    for log, _ in logs():
        place = tmp_path / ("results.tsv" if log.suffix == ".tsv" else "autoresearch.jsonl")
        place.write_bytes(log.read_bytes())
        begun = adopt.find(tmp_path)
        assert begun is not None, log
        assert begun.runs == summarise(place).runs
        adopt.take_history(begun)
        session = load(tmp_path)
        assert session.header is None
        assert (session.baseline, session.kept, session.experiments) == (None, [], {})
        history += session.foreign
        for name in ("results.tsv", "autoresearch.jsonl"):
            (tmp_path / name).unlink(missing_ok=True)
    assert history > 3000


@pytest.mark.parametrize(
    "stop",
    ["", "stop: {dry: 1}\n", "stop:\n  dry: 3  # few\n", "stop:\n  # most\n  max_experiments: null\n  dry: 3\n",
     "stop: {max_experiments: 4, dry: 1}\n", "# max_experiments: 9\nstop: {dry: 2}\n"],
)  # fmt: skip
def test_the_bound_is_set_and_the_rest_stays(stop: str) -> None:
    text = CONFIG + stop
    if stop.startswith("#"):
        with pytest.raises(BadInput, match="max_experiments"):
            edited(text, {"stop.max_experiments": 12})
        return
    new = parse_config(edited(text, {"stop.max_experiments": 12}))
    old = parse_config(text)
    assert new.stop.max_experiments == 12
    assert new.stop.dry == old.stop.dry
    assert (new.scope, new.objective) == (old.scope, old.objective)


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("name", "p-2", 'name: "p-2"  # short'), ("goal", "faster #1", 'goal: "faster #1"'),
        ("build", "make -j2", 'build: "make -j2"'), ("scope", ["a/**"], 'scope: ["a/**"]  # theirs'),
        ("after", "p", 'after: "p"'), ("objective.min_effect_pct", 0.5, "  min_effect_pct: 0.5   # percent"),
        ("objective.unit", "s", '  unit: "s"'), ("timeouts.build", 7.5, "timeouts: {checks: 5, build: 7.5}"),
        ("timeouts.setup", 1.0, "timeouts: {setup: 1.0, checks: 5, build: 60}"), ("stop.dry", 4, "  dry: 4"),
    ],
)  # fmt: skip
def test_one_line_is_edited_and_no_other(path: str, value: object, line: str) -> None:
    text = (
        "name: p  # short\ngoal: 'slower # not a comment'\nbuild: make all, then test\n"
        "scope: ['src/**', \"b,c\"]  # theirs\n"
        "objective:\n  metric: min_effect_pct\n  min_effect_pct: 1.0   # percent\n"
        "timeouts: {checks: 5, build: 60}\n"
    )
    lines = edited(text, {path: value}).splitlines()
    assert line in lines
    kept = [old for old in text.splitlines() if old in lines]
    assert len(kept) >= len(text.splitlines()) - 1
    assert [old for old in lines if old in kept] == kept


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [("goal: |\n  two\n  lines\n", "goal", "x"), ("timeouts:\n    # build: 5\n    checks: 5\n", "timeouts.build", 3.0)],
)
def test_what_single_lines_cannot_say_is_left_to_the_person(text: str, path: str, value: object) -> None:
    with pytest.raises(BadInput, match=f"cannot set {path}"):
        edited("name: p\nscope: [a]\nobjective: {metric: m}\n" + text, {path: value})


def test_our_own_ledger_is_no_foreign_session(tmp_path: Path) -> None:
    (tmp_path / "autoresearch.jsonl").write_text(json.dumps(HEADER | {"evaluator": {}, "settings": {}}) + "\n")
    assert adopt.find(tmp_path) is None
    assert Project(tmp_path).ledger.name == "autoresearch.jsonl"
