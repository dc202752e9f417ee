"""Every case's output is what evaluator/cases/NAME.out holds, and a malformed input is refused as before."""

import subprocess
import sys
from pathlib import Path

from settings import COMMAND

cases = sorted((Path(__file__).parent / "cases").glob("*.in"))
for case in cases:
    want = case.with_suffix(".out").read_bytes()
    done = subprocess.run(COMMAND, input=case.read_bytes(), stdout=subprocess.PIPE, timeout=60)
    if done.returncode or done.stdout != want:
        sys.exit(f"{case.name}: exit {done.returncode}, or another output than {case.stem}.out")
if len(cases) < 3:
    sys.exit("too few cases: add an empty, a large and an odd one")
