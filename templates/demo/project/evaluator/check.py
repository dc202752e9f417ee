"""Compares the program's report with the reference on several logs; exit 1 and the first difference if they part."""

import itertools
import sys

from inputs import make_log
from logstat.report import analyse
from reference import report

for lines, seed, junk in [(0, 1, 0.0), (1, 2, 0.0), (40, 3, 1.0), (700, 4, 0.2), (1500, 5, 0.01)]:
    log = make_log(lines, seed, junk)
    want, got = report(log), analyse(log)
    if want != got:
        pairs = itertools.zip_longest(want.splitlines(), got.splitlines())
        number, (right, wrong) = next((i, pair) for i, pair in enumerate(pairs, 1) if pair[0] != pair[1])
        print("log of %d lines, seed %d: report line %d" % (lines, seed, number))
        print("  expected: %s" % right)
        print("  got:      %s" % wrong)
        sys.exit(1)
