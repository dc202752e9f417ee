"""Times the analysis of 60 logs, each by the program and by its frozen reference (baseline/), in turns.

The metric is the median of the 60 ratios in own time, as seconds of one log: see paired.py, why. Only the analysis is
timed, not the making of the logs. Each log has its own seed, so what is remembered from one is of no use to the next.
"""

import sys
from pathlib import Path

import paired
from signed_metric import metric

from inputs import make_log

HERE = Path(__file__).resolve().parent
LOGS = 60
LINES = 250
NOMINAL = 0.0035  # seconds: one log, by the reference, on the machine that this was written on


def program():
    from logstat.report import analyse

    return analyse


def reference():
    sys.path.insert(0, str(HERE / "baseline"))
    return program()


def check(report, log):
    if not report.startswith("LINES %d " % LINES):
        raise SystemExit("the report does not cover the whole log")


logs = [make_log(LINES, seed) for seed in range(LOGS)]
paired.tell(metric, paired.rounds(program, reference, logs, seed=1, check=check), NOMINAL)
