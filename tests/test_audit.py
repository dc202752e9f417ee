"""The audit of a whole session: what holds, what is refuted, and how a keep is taken back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from autoresearch.ledger.lines import Record
from autoresearch.ledger.store import append
from autoresearch.project import Project
from autoresearch.session import load
from autoresearch.workspace import copies, objects
from autoresearch.workspace.branch import advance, commit_winner
from autoresearch.workspace.candidate import snapshot
from autoresearch.workspace.git import git
from driver import Driver

AUDIT = ("finalize", "--audit", "--timeout", "20")


def keep(session: Driver, name: str, old: str, new: str) -> None:
    session.open(name)
    session.edit(name, old, new)
    told = session.measure(name)[1]
    assert told["verdict"] == "keep", told
    assert session("decide", name)[1]["status"] == "keep"


def plant(session: Driver, name: str, changes: dict[str, str], claimed: float, e_value: float) -> str:
    """A keep that no measurement stands behind: commit, branch and ledger lines as `decide` writes them."""
    root = session.project.root
    tip = git(root, "rev-parse", "autoresearch/t")
    session.open(name)
    where = session.project.worktree(name)
    for path, text in changes.items():
        (where / path).write_text(text)
    candidate = snapshot(session.project, name, tip, {})
    # The evaluator that `new` has placed there is no change.
    kept = [c for c in candidate.changes if c.path in changes]
    assert kept
    tree = _with(session.project, tip, {c.path: c.blob for c in kept})
    run = load(root).last_run + 1
    message = f"{name}\n\nAutoresearch-Experiment: {name}\nAutoresearch-Run: {run}\n"
    commit = commit_winner(session.project, tree, tip, message)
    verdict = {"verdict": "keep", "reason": "proven", "effect_pct": claimed, "ci_low_pct": claimed / 2,
               "ci_high_pct": claimed * 1.5, "e_value": e_value, "runs_used": 16, "sigma_short_pct": 1.0}  # fmt: skip
    test = {"job": "planted", "diff_sha256": candidate.diff_sha256}
    append(session.project.ledger, {"type": "test", "experiment": name, "base": tip, **test})
    append(session.project.ledger, {
        **test, "run": run, "commit": commit[:7], "metric": 900, "metrics": {}, "status": "keep",
        "description": name, "timestamp": 1, "segment": 0, "confidence": None, "asi": {}, "experiment": name,
        "kind": "experiment", "commit_full": commit, "parent": tip, "runs_used": 16, "verdict": verdict,
    })  # fmt: skip
    advance(session.project, "autoresearch/t", commit, tip)
    copies.close_worktree(session.project, name)
    return commit


def _with(project: Project, tip: str, blobs: dict[str, str]) -> str:
    with objects.private_index(project) as env:
        git(project.root, "read-tree", tip, env=env)
        for path, blob in blobs.items():
            git(project.root, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=env)
        return git(project.root, "write-tree", env=env)


def audits(session: Driver) -> list[Record]:
    return [r for r in session.lines() if r.get("type") == "audit"]


def audit(session: Driver, *args: str) -> tuple[int, dict[str, Any]]:
    return session.until_done(*AUDIT, *args)


def test_two_keeps_are_verified_and_the_answer_is_recorded_once(session: Driver) -> None:
    base = git(session.project.root, "rev-parse", "main")
    assert session(*AUDIT)[1]["error"].startswith("nothing is kept")
    keep(session, "one", "1000", "900")
    keep(session, "two", "900", "720")
    code, data = session("status")
    assert data["verified_gain"] is None

    code, data = audit(session)
    assert code == 0, data
    assert (data["verified"], data["effect_pct"], data["claimed_pct"], data["ratio"]) == (True, 28.0, 28.0, 1.0)
    assert (data["runs_used"], data["checks"], data["ablation"]) == (8, "passed", [])
    assert 27.0 < data["shrunken_pct"] <= 28.0
    (line,) = audits(session)
    tip = git(session.project.root, "rev-parse", "autoresearch/t")
    assert (line["base"], line["tip"]) == (base, tip)
    assert line["commits"] == [r["commit_full"] for r in session.lines() if r.get("experiment") in ("one", "two")
                               and "run" in r]  # fmt: skip
    assert len(line["samples"]) == 8
    assert {side for side, _ in line["samples"]} == {"A", "B"}

    assert audit(session)[1]["effect_pct"] == 28.0
    assert len(audits(session)) == 1
    code, data = session("status")
    assert data["verified_gain"] == {"effect_pct": 28.0, "ci_pct": [28.0, 28.0], "verified": True, "older": False}
    wins = (session.project.root / "IMPROVEMENTS.md").read_text()
    assert "Verified +28.0 %" in wins
    assert "sum of claims +28.0 %" in wins

    keep(session, "three", "720", "700")
    assert session("status")[1]["verified_gain"]["older"] is True
    assert "older than the best commit" in (session.project.root / "IMPROVEMENTS.md").read_text()


def test_a_planted_keep_is_refuted_and_dropped(session: Driver) -> None:
    keep(session, "real", "1000", "900")
    commit = plant(session, "luck", {"src/luck.py": "LUCK = 1\n"}, claimed=9.0, e_value=60.0)
    code, data = audit(session, "--runs", "12")
    assert code == 1, data
    assert (data["verified"], data["effect_pct"], data["refuted"]) == (False, 10.0, ["luck"])
    assert data["ratio"] == pytest.approx(10.0 / 18.1, abs=0.001)
    by_name = {f["experiment"]: f for f in data["ablation"]}
    assert [by_name[n]["result"] for n in ("luck", "real")] == ["refuted", "counts"]
    assert data["ablation"][0]["experiment"] == "luck"  # the weakest evidence first
    assert by_name["real"]["effect_pct"] == 10.0
    assert data["next"] == "autoresearch finalize --drop luck"

    code, data = session("finalize", "--drop", "luck")
    assert (code, data["keeps"], data["claimed_gain_pct"]) == (0, 1, 10.0), data
    root = session.project.root
    assert "luck.py" not in git(root, "ls-tree", "-r", "--name-only", "autoresearch/t")
    assert git(root, "rev-parse", "autoresearch/t^") == commit
    (line,) = [r for r in session.lines() if r.get("type") == "revert"]
    assert (line["experiment"], line["reverts"]) == ("luck", commit)
    assert line["commit"] == git(root, "rev-parse", "autoresearch/t")
    assert line["reason"].startswith("audit: refuted")
    assert session("finalize", "--drop", "luck")[0] == 2
    status = session("status")[1]
    assert status["counts"] == {"keep": 1, "reverted": 1}
    assert [line.split()[1] for line in status["recent"] if line.startswith("luck ")] == ["reverted"]
    assert "LUCK" not in (root / "IMPROVEMENTS.md").read_text()
    assert git(root, "status", "--porcelain", "--untracked-files=no") == ""

    code, data = audit(session, "--runs", "12")
    assert (code, data["verified"], data["ratio"]) == (0, True, 1.0), data


def test_drop_killed_between_ledger_and_branch_is_finished_by_the_next_command(session: Driver) -> None:
    root = session.project.root
    plant(session, "a", {"src/a.py": "A = 1\n"}, claimed=3.0, e_value=60.0)
    before = plant(session, "b", {"src/b.py": "B = 1\n"}, claimed=3.0, e_value=60.0)
    session("finalize", "--drop", "a", "--reason", "no good")
    after = git(root, "rev-parse", "autoresearch/t")
    git(root, "update-ref", "refs/heads/autoresearch/t", before)
    assert session("status")[0] == 0
    assert git(root, "rev-parse", "autoresearch/t") == after
    assert len([r for r in session.lines() if r.get("type") == "revert"]) == 1
    # A keep after a revert is the truth again.
    keep(session, "win", "1000", "900")
    assert git(root, "rev-parse", "autoresearch/t^") == after
    assert load(root).head == git(root, "rev-parse", "autoresearch/t")


def test_a_keep_that_others_build_on_cannot_be_removed_alone(session: Driver) -> None:
    keep(session, "one", "1000", "900")
    keep(session, "two", "900", "720")
    code, data = session("finalize", "--drop", "one")
    assert code == 1
    assert "cannot be removed alone" in data["error"]
    before = len(session.lines())
    assert session("finalize", "--drop", "nobody")[0] == 2
    assert len(session.lines()) == before


def test_a_pending_audit_is_resumed_and_a_moved_tip_starts_anew(session: Driver) -> None:
    keep(session, "one", "1000", "900")
    code, data = session("finalize", "--audit", "--timeout", "0")
    assert (code, data["done"]) == (1, False)
    assert data["next"] == "autoresearch finalize --audit --timeout 25"
    pending = session.project.state / "audit.json"
    job = json.loads(pending.read_text())["total"]["job"]
    assert session("finalize", "--audit", "--timeout", "0")[0] in (0, 1)
    if pending.exists():
        assert json.loads(pending.read_text())["total"]["job"] == job
    code, data = audit(session)
    assert code == 0, data
    assert [a["job"] for a in audits(session)] == [job]
    assert not pending.exists()

    plant(session, "more", {"src/more.py": "MORE = 1\n"}, claimed=0.5, e_value=60.0)
    session("finalize", "--audit", "--timeout", "0")
    old = json.loads(pending.read_text())["total"]["job"]
    plant(session, "again", {"src/again.py": "AGAIN = 1\n"}, claimed=0.5, e_value=60.0)
    session("finalize", "--audit", "--timeout", "0")
    assert json.loads(pending.read_text())["total"]["job"] != old


def test_an_audit_killed_after_its_ledger_line_is_not_written_twice(session: Driver) -> None:
    keep(session, "one", "1000", "900")
    session("finalize", "--audit", "--timeout", "0")
    pending = session.project.state / "audit.json"
    in_flight = pending.read_bytes()
    assert audit(session)[0] == 0
    pending.write_bytes(in_flight)
    assert audit(session)[0] == 0
    assert len(audits(session)) == 1
    assert not pending.exists()


def test_a_killed_job_is_an_environment_fault_and_measured_again(session: Driver) -> None:
    keep(session, "one", "1000", "900")
    session("finalize", "--audit", "--timeout", "0")
    session("cancel", "--all")
    code, data = session("finalize", "--audit", "--timeout", "5")
    if code == 3:  # the job may have ended before the cancellation reached it
        assert "killed" in data["error"]
        code, data = audit(session)
    assert code == 0, data


def test_a_heldout_benchmark_is_measured_beside_it(session: Driver) -> None:
    keep(session, "one", "1000", "900")
    script = session.project.root / "autoresearch.heldout.sh"
    script.write_text("echo METRIC steps=77\n")
    code, data = audit(session, "--runs", "12")
    assert (code, data["verified"]) == (1, False), data  # the gain is the benchmark's own
    assert (data["heldout"]["effect_pct"], data["heldout"]["proven"]) == (0.0, False)
    assert (data["effect_pct"], data["refuted"]) == (10.0, [])
    assert "no experiment has seen proves no gain" in (session.project.root / "IMPROVEMENTS.md").read_text()
    digest = audits(session)[0]["heldout"]["sha256"]
    assert len(digest) == 64
    script.write_text("exit 4\n")
    code, data = audit(session, "--runs", "12")
    assert (code, data["verified"]) == (1, False), data
    assert "exit 4" in data["heldout"]["error"]
    assert audits(session)[1]["heldout"]["sha256"] != digest
    script.write_text((session.project.root / "autoresearch.sh").read_text())
    code, data = audit(session, "--runs", "12")
    assert (code, data["verified"], data["heldout"]["proven"]) == (0, True, True), data


@pytest.mark.parametrize(("own", "verified"), [(0.009, True), (0.00995, True), (0.02, False)])
def test_own_time_stands_beside_a_ratio_to_a_reference_and_refutes_it_by_a_loss(
    fresh: Driver, own: float, verified: bool
) -> None:
    """The ratio of a benchmark in pairs falls by 10 %; its program's own seconds say the same, nothing, or a loss."""
    root = fresh.project.root
    script = (root / "autoresearch.sh").read_text()
    # It works as it says: where instructions are counted, equal ones would be no gain.
    told = (
        "for _ in range(1000 * steps()): pass\n"
        "noise = __import__('os').urandom(1)[0] % 7 * 2e-5\nprint('METRIC time_s=%.8f' % (steps() / 1e5 + noise))\n"
        f"print('METRIC time_own_s=%.8f' % ((0.01 if steps() == 1000 else {own}) + noise))"
    )
    (root / "autoresearch.sh").write_text(script.replace("print('METRIC steps=%d' % steps())", told))
    config = (root / "autoresearch.yaml").read_text()
    objective = "{metric: time_s, direction: lower, unit: s, timed_share: 0, constant_ok: true}"
    config = config.replace("{metric: steps, direction: lower, unit: steps}", objective)
    (root / "autoresearch.yaml").write_text(config)
    fresh.baseline()
    keep(fresh, "one", "1000", "900")
    code, data = audit(fresh, "--runs", "24")
    assert (code, data["verified"]) == (0 if verified else 1, verified), data
    assert data["effect_pct"] == pytest.approx(10.0, abs=1)
    assert data["own_time"]["effect_pct"] == pytest.approx(100 * (1 - own / 0.01), abs=2)
    assert audits(fresh)[0]["own_time"] == data["own_time"]
    said = fresh.run(*AUDIT, "--runs", "24").stdout
    assert "paired with the reference; by own time alone " in said
    assert (": a loss" in said) != verified


def test_a_tip_that_fails_its_checks_is_refuted(session: Driver) -> None:
    plant(session, "broken", {"src/work.py": "def steps():\n    return 900\n\n\ndef answer():\n    return 41\n"},
          claimed=10.0, e_value=60.0)  # fmt: skip
    code, data = audit(session, "--runs", "12")
    assert (code, data["verified"], data["effect_pct"]) == (1, False, None), data
    assert data["checks"] == "failed (exit 1)"
    assert session("status")[1]["verified_gain"]["verified"] is False


def test_a_touched_evaluator_and_wrong_use(session: Driver) -> None:
    assert session("finalize")[0] == 2
    assert session("finalize", "--audit", "--drop", "x")[0] == 2
    assert session("finalize", "--audit", "--runs", "13")[0] == 2
    benchmark = session.project.root / "autoresearch.sh"
    benchmark.write_text(benchmark.read_text() + "# longer\n")
    assert session(*AUDIT)[0] == 5


def test_status_advises_an_audit_every_ten_keeps_and_at_the_end(fresh: Driver) -> None:
    config = fresh.project.root / "autoresearch.yaml"
    config.write_text(config.read_text() + "stop: {dry: 2}\n")
    fresh.baseline()
    for number in range(10):
        plant(fresh, f"k{number}", {f"src/k{number}.py": "K = 1\n"}, claimed=2.0, e_value=60.0)
        assert ("finalize" in fresh("status")[1]["advice"]) == (number == 9)
    for name in ("x", "y"):
        fresh.open(name)
        fresh("decide", name, "--abandon")
    code, data = fresh("status")
    assert (code, data["next"]) == (4, "autoresearch finalize --audit --timeout 25")
