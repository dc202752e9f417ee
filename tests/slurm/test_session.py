"""The same session here and on a real cluster, with VM, dispatcher, connections and API server killed under it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from slurm.lab import Lab
from slurm.play import EXPERIMENTS, PASSING, Play
from trial_helpers import alive, eventually, processes_with

if "SLURM_LAB" not in os.environ:
    pytest.skip("SLURM_LAB is not set: no real cluster tested (setup.sh --test slurm)", allow_module_level=True)

pytestmark = pytest.mark.timeout(3000)


class Saboteur:
    """Kills, while the wave runs, a VM in the middle of a trial, the dispatcher, all ssh; later the API server."""

    def __init__(self, lab: Lab, play: Play) -> None:
        self.lab = lab
        self.play = play
        self.killed: dict[str, str] = {}

    def during_screening(self) -> None:
        phase = self.play.phases().get("long", "")
        if "vm" not in self.killed and "build" in phase:
            self.killed["vm"] = vm = phase.split(":")[0].split()[-1]
            self.lab.kill_vm(vm)
        elif "vm" in self.killed and "dispatcher" not in self.killed:
            self.killed["dispatcher"] = str(self._end("autoresearch.engines.skypilot.dispatcher"))
        elif "dispatcher" in self.killed and "ssh" not in self.killed and (cut := self.lab.cut_ssh()):
            self.killed["ssh"] = str(cut)

    def during_ab(self) -> None:
        phases = [] if "server" in self.killed else list(self.play.phases().values())
        if any("running" in phase for phase in phases) or 0 < len(phases) <= 2:
            self.killed["server"] = str(self.end_server())

    def end_server(self) -> list[int]:
        return self._end(f"--port={self.lab.env['SKYPILOT_API_SERVER_LOCAL_PORT']}")

    def _end(self, words: str) -> list[int]:
        """kill -9 what has `words` in its command line and belongs to this lab or session, with its children.

        Workers that survive their server would hold its port, and no new one could start.
        """
        found = [pid for pid in processes_with(words) if self._ours(pid)]
        every = [pid for root in found for pid in (root, *descendants(root)) if not tracks_memory(pid)]
        for pid in every:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return found

    def _ours(self, pid: int) -> bool:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
        return "--port=" in line or str(self.play.root) in line


def tracks_memory(pid: int) -> bool:
    """Python's tracker of shared memory: it ends by itself when the others are gone, and gives back what they held."""
    with contextlib.suppress(OSError):
        return b"resource_tracker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def descendants(pid: int) -> list[int]:
    """The children of a process, theirs too."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *descendants(child)]
    return found


class Played:
    """Both sessions, after their end."""

    def __init__(self, local: Play, cluster: Play, saboteur: Saboteur, previews: dict[str, Any]) -> None:
        self.local, self.cluster, self.saboteur = local, cluster, saboteur
        self.previews = previews


def play_locally(root: Path) -> tuple[Play, dict[str, Any]]:
    play = Play(root, "engine: local\nslots: 1", dict(os.environ))
    play.baseline()
    play.open_all()
    play.screen()
    previews = play.measure()
    play.decide_all()
    return play, previews


@pytest.fixture(scope="module")
def played(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    root = tmp_path_factory.mktemp("played")
    with ThreadPoolExecutor(1) as pool:
        beside: Future[tuple[Play, dict[str, Any]]] = pool.submit(play_locally, root / "local")
        engine = f"engine: skypilot\ninfra: {lab.infra}\nvms: {{count: 2, idle_minutes: 20}}"
        sky = {**lab.env, "AUTORESEARCH_SKY_PYTHON": os.environ.get("AUTORESEARCH_SKY_PYTHON", sys.executable)}
        cluster = Play(root / "cluster", engine, sky)
        saboteur = Saboteur(lab, cluster)
        try:
            cluster.baseline()
            cluster.open_all()
            cluster.screen(saboteur.during_screening)
            previews = cluster.measure(saboteur.during_ab)
            cluster.decide_all()
            local, local_previews = beside.result()
            yield Played(local, cluster, saboteur, {"local": local_previews, "cluster": previews})
        finally:
            (root / "said.txt").write_text("\n".join(cluster.said))
            cluster("cancel", "--all")


def test_everything_was_killed_once(played: Played) -> None:
    assert set(played.saboteur.killed) == {"vm", "dispatcher", "ssh", "server"}
    assert played.saboteur.killed["dispatcher"] != "[]"
    assert played.saboteur.killed["server"] != "[]"


def test_the_outcome_is_the_local_engines(played: Played) -> None:
    told = played.cluster.outcome()
    assert told == played.local.outcome()
    statuses = {name: line["status"] for name, line in told.items()}
    assert statuses == {
        "baseline": "keep", "win": "keep", "placebo": "discard", "broken": "crash", "wrong": "checks_failed",
        "hang": "crash", "long": "discard", "twin7": "keep", "twin8": "discard",
    }  # fmt: skip
    assert told["win"]["effect_pct"] == pytest.approx(10.0)


def test_twins_of_equal_size_and_time_have_their_own_numbers(played: Played) -> None:
    for engine, previews in played.previews.items():
        effects = {name: previews[name]["effect_pct"] for name in PASSING}
        assert effects == pytest.approx({"win": 10, "placebo": 0, "twin7": 3, "twin8": 2}), engine


def test_the_lost_vm_cost_a_retry_and_nothing_else(played: Played) -> None:
    vm = played.saboteur.killed["vm"]
    notes = [line for line in played.cluster.lines() if line.get("type") == "vm"]
    assert [n["kind"] for n in notes if n["vm"] == vm].count("lost") == 1
    jobs = [line for line in played.cluster.lines() if line.get("type") in ("job", "test")]
    assert max(Counter(line["job"] for line in jobs).values()) == 1  # no ledger line twice
    long = next(line["job"] for line in jobs if line["experiment"] == "long")
    ended = json.loads((played.cluster.root / ".autoresearch" / "jobs" / long / "exit.json").read_text())
    assert (ended["state"], ended["attempt"]) == ("done", 2)
    assert ended["vm"] != vm


def test_every_vm_was_qualified_before_its_first_trial(played: Played) -> None:
    notes = [line for line in played.cluster.lines() if line.get("type") == "vm"]
    used = {line["vm"] for line in self_reports(played)}
    assert used <= {n["vm"] for n in notes if n["kind"] == "qualified"}
    assert len(used) >= 2


def self_reports(played: Played) -> list[dict[str, Any]]:
    found = []
    for path in (played.cluster.root / ".autoresearch" / "jobs").glob("*/exit.json"):
        ended = json.loads(path.read_text())
        if ended.get("vm"):
            found.append(ended)
    return found


def test_the_money_is_counted(played: Played) -> None:
    code, data = played.cluster("status")
    assert code == 0
    cost = data["cost"]
    # 4 CPUs at 0.05 dollars, by the lab's price list.
    assert cost["dollars"] == pytest.approx(0.2 * cost["vm_hours"], rel=0.2, abs=0.01)
    assert cost["tokens"] == 1000
    assert cost["dollars_per_hour"] == pytest.approx(0.4)  # two VMs are up
    runs = played.cluster.runs()
    assert all(runs[name]["cost"]["machine_s"] > 0 for name in EXPERIMENTS)


def test_teardown_is_verified_though_the_server_was_killed(lab: Lab, played: Played) -> None:
    assert len(lab.vms()) == 2
    assert played.saboteur.end_server()
    code, data = played.cluster("vms", "--down")
    for _ in range(30):  # each within an agent's 30 seconds
        if code == 1:
            code, data = played.cluster(*data["next"].split()[1:])
    assert code == 0, data
    assert lab.vms() == {}
    _, data = played.cluster("status")
    assert data["cost"]["dollars_per_hour"] == 0
    own = [pid for pid in processes_with(str(played.cluster.root)) if alive(pid)]
    assert eventually(lambda: not [pid for pid in own if alive(pid)], 30), "a process of the session is left"


def test_a_used_up_budget_refuses_to_submit(lab: Lab, played: Played) -> None:
    play = played.cluster
    settings = play.root / "autoresearch.yaml"
    settings.write_text(settings.read_text().replace("price_per_hour: 0.2", "price_per_hour: 0.2, dollars: 0.001"))
    assert play("new", "more", "--hypothesis", "one more")[0] in (0, 4)
    code, data = play("run", "more")
    assert (code, "dollars" in json.dumps(data)) == (4, True), data
    assert lab.vms() == {}
