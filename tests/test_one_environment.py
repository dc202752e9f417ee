"""A program cannot tell benchmark, checks, generated inputs and hidden checks apart by what the frame gives it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from autoresearch.trial import runner
from autoresearch.trial.emit import Recorder
from autoresearch.trial.execution import Execution
from autoresearch.trial.procs import Finished
from autoresearch.trial.runner import Trial
from autoresearch.trial.slots import SLOT_DIR
from autoresearch.trial.spec import parse_spec
from autoresearch.trial.stage import TrialStage
from trial_helpers import make_tree, spec

PYTHON = sys.executable
# All that a program sees of where it runs, each as a value that may be compared; what is drawn for every run is masked.
LOOK = r"""
import fcntl, json, os, re, resource, socket, stat, sys
def mask(text):
    return re.sub(r"[0-9a-f]{16,}|[0-9a-f]{8}\b|:\[\d+\]|run-\d+", "*", text)
def read(path):
    try:
        with open(path) as file:
            return mask(file.read())
    except OSError as exc:
        return exc.strerror
def listed(path):
    return sorted(mask(name) for name in os.listdir(path) if not name.startswith("tmp"))
fds = {}
for n in range(256):
    try:
        mode, flags = stat.S_IFMT(os.fstat(n).st_mode), fcntl.fcntl(n, fcntl.F_GETFL)
        fds[n] = [mode, flags, os.isatty(n), mask(os.readlink("/proc/self/fd/%d" % n)) if n < 3 else ""]
    except OSError:
        pass
DRAWN = ("AUTORESEARCH_PAD", "AUTORESEARCH_LAYOUT_SEED", "PYTHONHASHSEED", "AUTORESEARCH_RUN", "PYTEST_ADDOPTS")
with open("/proc/self/status") as file:
    status = dict(line.split(":", 1) for line in file)
parents, pid = 0, os.getpid()
while pid > 1:
    try:
        with open("/proc/%d/stat" % pid) as file:
            pid, parents = int(file.read().rpartition(")")[2].split()[1]), parents + 1
    except OSError:
        break
tree = [os.path.join(w, n) for w, _, names in os.walk(".") for n in names]
print("SEEN " + json.dumps({
    "descriptors": fds, "cpus": sorted(os.sched_getaffinity(0)), "cwd": os.getcwd(),
    "priority": [os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0), read("/proc/self/autogroup")[-4:]],
    "variables": {k: "" if k in DRAWN else v for k, v in os.environ.items() if k != "_"},
    "job": len(os.environ["AUTORESEARCH_JOB"]), "argv": len(sys.argv[0]),
    "places": {k: listed(os.environ[k]) for k in ("HOME", "TMPDIR")},
    "tree": sorted(tree), "ages": sorted({os.lstat(name).st_mtime_ns for name in [".", *tree]}), "above": listed(".."),
    "/tmp": listed("/tmp") if sys.argv[1] == "contained" else "", "host": socket.gethostname(),
    "token": os.path.exists(os.environ["AUTORESEARCH_TOKEN"]),
    "limits": [resource.getrlimit(n) for n in range(16)], "umask": os.umask(0), "oom": read("/proc/self/oom_score_adj"),
    "session": [os.getpgrp() == os.getsid(0), os.getppid() != os.getpgrp()], "parents": parents,
    "status": {k: v for k, v in status.items() if re.match("Sig[^Q]|Shd|Cap|NoNew|Sec|Uid|Gid|Gro", k)},
    "cgroup": read("/proc/self/cgroup"), "mounts": sorted(read("/proc/self/mounts").splitlines()),
    "nets": sorted(os.listdir("/sys/class/net")) if sys.argv[1] == "contained" else "",
    "maps": read("/proc/self/uid_map"), "slack": read("/proc/self/timerslack_ns"),
}))
"""
# What a build leaves beside its tree, and in it.
LEAVES = """echo a > "$TMPDIR/flag"; echo b > "$HOME/flag"; test $1 != contained || echo c > /tmp/flag
sleep 0.02; date > made
"""


class Told(Execution):
    """Keeps what the commands of each stage have printed."""

    seen: list[tuple[str, Finished]]

    def run(self, stage: str, command: str, timeout: float | None = None) -> Finished:
        done = super().run(stage, command, timeout)
        self.seen.append(("hidden" if "/checks.sh" in command else command.split()[-2] + stage, done))
        return done


def play(where: Path, mode: str, monkeypatch: pytest.MonkeyPatch, *, signs: bool, layout: str) -> dict[str, list[Any]]:
    """A whole A/B of two equal sides; what a program saw, by stage."""
    told = type("Told", (Told,), {"seen": []})
    monkeypatch.setattr(runner, "Execution", told)
    cpu = max(os.sched_getaffinity(0))
    slots = where / "slots"
    slots.mkdir(parents=True)
    (slots / "cpus.json").write_text(json.dumps({"slots": [[cpu]], "build": sorted(os.sched_getaffinity(0))}))
    monkeypatch.setenv(SLOT_DIR, str(slots))
    take = 'rm "$AUTORESEARCH_TOKEN"\n' if signs else ""
    benchmark = f"{take}{PYTHON} -I -S look.py {mode}; echo METRIC time_s=1"
    hidden = f"{PYTHON} -I -S look.py {mode}"
    files = {
        "look__py": LOOK,
        "build__sh": f"{LEAVES}{PYTHON} -I -S look.py {mode}\n",
        "check__sh": f"{PYTHON} -I -S look.py {mode}",
    }
    job = where / "job"
    job.mkdir()
    digest = hashlib.sha256(benchmark.encode()).hexdigest()
    asked = spec(
        build=f"bash build.sh {mode}", checks="bash check.sh", hidden=True, layout=layout,
        contain={"mode": "auto" if mode == "contained" else "off"}, evaluator={"autoresearch.sh": digest},
        differential={"command": "bash check.sh", "inputs": 2, "timeout": 20, "slowdown": 50},
        test={"seed": 1, "max_runs": 8, "min_blocks_discard": 2},
    )  # fmt: skip
    for side in "ab":
        tree = make_tree(where / side, benchmark, **files)
        with tarfile.open(job / f"{side}.tar", "w") as tar:
            tar.add(tree, ".")
    with tarfile.open(job / "hidden.tar", "w") as tar:
        info = tarfile.TarInfo("checks.sh")
        info.size = len(hidden)
        tar.addfile(info, io.BytesIO(hidden.encode()))
    out = io.StringIO()
    with TrialStage(str(job)) as stage:
        trial = Trial(parse_spec(json.dumps(asked)), stage, Recorder(out, str(job)))
        code = trial.run()
    found: dict[str, list[Any]] = {}
    for name, done in told.seen:
        lines = [line for line in done.output.splitlines() if line.startswith("SEEN ")]
        found.setdefault(name, []).extend(json.loads(line[5:]) for line in lines)
    assert code == 0, (out.getvalue()[-500:], different(found))
    return found


def different(found: dict[str, list[Any]]) -> dict[str, dict[str, str]]:
    """What is not the same in all of these: {what: {value: a stage}}."""
    whole = [(name, key, json.dumps(v)) for name, seen in found.items() for one in seen for key, v in one.items()]
    by_key: dict[str, dict[str, str]] = {}
    for name, key, value in whole:
        by_key.setdefault(key, {})[value] = name
    return {key: values for key, values in by_key.items() if len(values) > 1}


@pytest.mark.parametrize("mode", ["contained", "open"])
@pytest.mark.parametrize(("signs", "layout"), [(True, "fresh"), (False, "fixed")])
def test_a_program_sees_the_same_in_each_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, signs: bool, layout: str
) -> None:
    found = play(tmp_path, mode, monkeypatch, signs=signs, layout=layout)
    builds = found.pop(next(name for name in found if name.endswith("build")))
    assert len(found) == 4
    assert all(found.values())
    assert different(found) == {}
    # A build knows itself by its command and its cores; by nothing else of these.
    same = {"cpus", "ages", "places", "tree", "/tmp", "token", "status", "parents"}
    ran = next(iter(found.values()))[0]
    for one in builds:
        assert {k: v for k, v in one.items() if k not in same} == {k: v for k, v in ran.items() if k not in same}
