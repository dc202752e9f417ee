"""`python3 -m autoresearch.trial trial.json`, in the directory that holds the unpacked bundle."""

from __future__ import annotations

import io
import os
import signal
import sys

from autoresearch.trial import processes
from autoresearch.trial.emit import Recorder
from autoresearch.trial.runner import Trial
from autoresearch.trial.spec import parse_spec
from autoresearch.trial.stage import TrialStage


def main(argv: list[str]) -> int:
    """Run the spec named on the command line; 0 measured (or checks failed), 1 crash, 2 unusable spec."""
    if len(argv) != 1:
        print("usage: python3 -m autoresearch.trial trial.json", file=sys.stderr)
        return 2
    if os.environ.get("AUTORESEARCH_JOB"):
        # Under an engine that kills its jobs: the shell between it and us may be killed first.
        processes.die_with_parent()
    # As an exception, so that what runs is ended and the slot is given back.
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, _stop)
    root = os.path.dirname(os.path.abspath(argv[0]))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    out = Recorder(sys.stdout, root)
    name = os.path.basename(argv[0])
    try:
        with open(argv[0], encoding="utf-8") as file:
            spec = parse_spec(file.read())
    except (OSError, ValueError) as exc:
        return _unusable(out, "%s: %s" % (name, exc))
    try:
        stage = TrialStage(root)
    except OSError as exc:
        return _unusable(out, "machine: %s" % exc, machine=True)
    with stage:
        try:
            trial = Trial(spec, stage, out)
        except OSError as exc:
            return _unusable(out, "%s: %s" % (name, exc))
        except ValueError as exc:
            return _unusable(out, "test rule: %s" % exc)
        return trial.run()


def _unusable(out: Recorder, error: str, machine: bool = False) -> int:
    """End a trial that cannot begin: by its spec, or by the machine, which says nothing about the candidate."""
    reason = "machine" if machine else "spec"
    out.record("end", status="crash", error=error, reason=reason, base_failed=machine)
    out.result("crash", error, "skipped (not reached)")
    return 1 if machine else 2


def _stop(signum: int, frame: object) -> None:
    raise SystemExit(128 + signum)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
