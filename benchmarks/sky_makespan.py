"""How much time the engine skypilot wastes: 12 equal experiments on 3 VMs, against a shell loop of raw `sky exec`.

python benchmarks/sky_makespan.py [--jobs 12] [--vms 3] [--seconds 20] [--infra slurm/mycluster/cpu]

Without --infra it brings a Slurm cluster up on this machine (tests/slurm; root and Debian packages needed), so that the
real SkyPilot runs. Both ways run the same bundles by the same experiment.yaml on the same VMs, which are up before the
clock starts, and each result is checked to be its own. The hand-written loop is one background loop a VM, each of
`sky exec VM experiment.yaml`, which waits for the job and prints its log. Every round runs both; the ratio is of the
rounds' sums. The controller's CPU time is that of all processes but SkyPilot's API server, which both ways share.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "helpers"))

from autoresearch.engines.bundle import Bundle, build_bundle
from autoresearch.engines.output import parse_log
from autoresearch.engines.skypilot import model as m
from autoresearch.engines.skypilot.engine import SkyPilotEngine
from autoresearch.resources import shipped
from autoresearch.task import load_task
from slurm.lab import NoLab, running_lab

LOOP = """
set -u
run() { # VM JOB...
  vm=$1; shift
  for job in "$@"; do
    sky exec "$vm" --workdir "$WORK/outbox-$job" "$TASK" --env "EXP_ID=$job" \
      --env "EXP_SHA256=$(basename "$WORK/outbox-$job"/*.tar.gz .tar.gz)" >"$WORK/$ROUND-$job.log" 2>&1
  done
}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=12)
    parser.add_argument("--vms", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--infra", help="a place that SkyPilot can already use")
    parser.add_argument("--quick", action="store_true", help="only say what would run, where there is no --infra")
    options = parser.parse_args()
    if options.quick and not options.infra:
        print("sky_makespan: skipped: it needs a cluster and five minutes (leave --quick away)")
        return 0
    # So that a cluster which is up goes down however this ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with _cluster(options.infra, options.vms) as infra, tempfile.TemporaryDirectory() as work:
            return measure(Path(work), infra, options.jobs, options.vms, options.seconds, options.rounds)
    except NoLab as exc:
        print(f"sky_makespan: skipped: {exc}")
        return 0


@contextlib.contextmanager
def _cluster(infra: str | None, vms: int) -> Iterator[str]:
    if infra is not None:
        yield infra
        return
    with running_lab(nodes=vms, name=os.environ.get("SLURM_LAB_NAME", "")) as lab:
        os.environ.update(lab.env)
        yield lab.infra


def measure(work: Path, infra: str, jobs: int, vms: int, seconds: float, rounds: int) -> int:
    """Both ways, `rounds` times on the same VMs; prints the ratio."""
    bundles = {f"e{i}": _bundle(work, f"e{i}", i, seconds) for i in range(jobs)}
    engine = SkyPilotEngine(
        work / "state", "makespan", infra=infra, policy=m.Policy(vms=vms, qualify=False), idle_minutes=30
    )
    try:
        _by_engine(engine, {f"w{i}": _bundle(work, f"w{i}", i, 20.0) for i in range(vms)})
        names = [vm["vm"] for vm in engine.vms() if vm["state"] not in (m.RETIRED, m.LOST)]
        if len(names) != vms:
            raise SystemExit(f"{len(names)} of {vms} VMs came up")
        ours, theirs = [], []
        for number in range(rounds):
            ours.append(_by_engine(engine, bundles))
            theirs.append(_by_hand(work, number, names, bundles))
    finally:
        for vm in engine.vms():
            subprocess.run(["sky", "down", "-y", vm["vm"]], capture_output=True, check=False)
    ideal = -(-jobs // vms) * seconds
    _print(f"{jobs} experiments of {seconds:g} s on {vms} VMs, {rounds} round(s); ideal {ideal:.0f} s")
    for who, found in (("autoresearch", ours), ("sky exec loop", theirs)):
        spans, cpus = zip(*found, strict=True)
        _print(
            f"{who:<14} makespan {sum(spans) / rounds:6.1f} s   controller CPU {sum(cpus) / rounds / jobs:.2f} s "
            "an experiment"
        )
    ratio = sum(span for span, _ in ours) / sum(span for span, _ in theirs)
    _print(f"autoresearch / sky exec loop = {ratio:.3f} (target <= 1.15)")
    return 0 if ratio <= 1.15 else 1


def _print(text: str) -> None:
    print(text, flush=True)


def _bundle(work: Path, name: str, number: int, seconds: float) -> Bundle:
    tree = work / f"tree-{name}"
    tree.mkdir()
    (tree / "autoresearch.sh").write_text(f"sleep {seconds}\necho METRIC time_s={seconds}\necho METRIC id={number}\n")
    spec = {
        "protocol": 1, "experiment": name, "mode": "single", "metric": {"name": "time_s"},
        "benchmark": "bash autoresearch.sh",
    }  # fmt: skip
    outbox = work / f"outbox-{name}"
    bundle = build_bundle(outbox, spec, candidate=tree)
    (outbox / ".skyignore").touch()
    return bundle


def _cpu() -> float:
    """CPU seconds of this process and of all that it has waited for."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _by_engine(engine: SkyPilotEngine, bundles: dict[str, Bundle]) -> tuple[float, float]:
    """(makespan, CPU seconds) from the first submission to the last result, through the engine."""
    task = load_task(shipped("experiment.yaml"))
    begun, cpu = time.monotonic(), _cpu()
    names = {
        engine.submit(
            task, experiment=name, mode="single", workdir=bundle.path.parent, timeout=900,
            envs={"EXP_ID": name, "EXP_SHA256": bundle.sha256},
        ): name
        for name, bundle in bundles.items()
    }  # fmt: skip
    waiting = list(names)
    while waiting:
        time.sleep(0.25)
        waiting = [job for job, state in engine.poll(waiting).items() if not state.final]
        problem = engine.blocked()
        if problem is not None:
            raise SystemExit(problem.sentence())
    makespan = time.monotonic() - begun
    for job, name in names.items():
        got = engine.fetch(job)
        if got.state != "done" or got.metrics.get("id") != int(name[1:]):
            raise SystemExit(f"{job} is {got.state} {got.error} and measured {got.metrics}")
    for child in engine._children:
        child.wait(120)  # the dispatcher ends by itself; its CPU time is counted then
    return makespan, _cpu() - cpu


def _by_hand(work: Path, number: int, vms: list[str], bundles: dict[str, Bundle]) -> tuple[float, float]:
    """The same by a shell loop a VM."""
    shares = {vm: list(bundles)[i :: len(vms)] for i, vm in enumerate(vms)}
    lines = [f"run {vm} {' '.join(jobs)} &" for vm, jobs in shares.items()]
    env = {**os.environ, "WORK": str(work), "TASK": str(shipped("experiment.yaml")), "ROUND": str(number)}
    begun, cpu = time.monotonic(), _cpu()
    subprocess.run(["bash", "-c", "\n".join([LOOP, *lines, "wait"])], env=env, check=True)
    makespan, spent = time.monotonic() - begun, _cpu() - cpu
    for name in bundles:
        said = parse_log((work / f"{number}-{name}.log").read_text(errors="replace"))
        if said.status != "done" or said.metrics.get("id") != int(name[1:]):
            raise SystemExit(f"by hand {name} is {said.status!r} and measured {said.metrics}")
    return makespan, spent


if __name__ == "__main__":
    sys.exit(main())
