"""Times the analysis of 36 logs, each by the program and by its frozen reference (baseline/), in turns.

The metric is the median of the 36 ratios in own time, as seconds of one log: see paired.py, why. Only the analysis is
timed, not the making of the logs. Each log has its own seed, so what is remembered from one is of no use to the next.
"""

from signed_metric import metric
import paired

# The program's part of the standard library, once for all launches; nothing of the project is loaded here.
import datetime, math, re, typing, urllib.parse  # noqa: E401, F401
import sys
from functools import partial
from pathlib import Path

from inputs import make_log

HERE = Path(__file__).resolve().parent
LOGS = 36
LINES = 250
NOMINAL = 0.0035  # seconds: one log, by the reference, on the machine that this was written on


def load(top):
    sys.path.insert(0, str(top))
    from logstat.report import analyse

    return analyse


def check(report, log):
    if not report.startswith("LINES %d " % LINES):
        raise SystemExit("the report does not cover the whole log")


logs = [make_log(LINES, seed) for seed in range(LOGS)]
program, reference = partial(load, "src"), partial(load, HERE / "baseline")
paired.tell(metric, paired.rounds(program, reference, logs, seed=1, check=check, launches=6), NOMINAL)
