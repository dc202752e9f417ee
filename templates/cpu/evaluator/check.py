"""Every case's output is what evaluator/cases/NAME.out holds. The program is started as the benchmark does it."""

import sys
from pathlib import Path

from paired import Command
from settings import COMMAND
from stopwatch import Stopwatch

program, watch = Command(COMMAND), Stopwatch()
cases = sorted((Path(__file__).parent / "cases").glob("*.in"))
for case in cases:
    _, answer, _ = program.run(case.read_bytes(), watch)
    if answer != case.with_suffix(".out").read_bytes():
        sys.exit(f"{case.name}: another output than {case.stem}.out")
if len(cases) < 3:
    sys.exit("too few cases: add an empty, a large and an odd one")
