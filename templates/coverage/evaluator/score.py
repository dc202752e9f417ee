"""Prints killed_pct (mutants that make a test fail) and mutants. A line that is run but not checked earns nothing."""

from signed_metric import metric

import shutil
import sys
import tempfile
from pathlib import Path

from mutants import mutants
from suite import passes

with tempfile.TemporaryDirectory() as scratch:
    copy = Path(scratch) / "p"
    shutil.copytree(".", copy, ignore=shutil.ignore_patterns(".git", ".autoresearch"))
    if not passes(copy)[0]:
        sys.exit("the tests fail on the code as it is")
    made = mutants(copy)
    killed = 0
    for name, text in made:
        right = (copy / name).read_text()
        (copy / name).write_text(text)
        killed += not passes(copy)[0]
        (copy / name).write_text(right)
metric("killed_pct", round(100 * killed / len(made), 4))
metric("mutants", len(made))
