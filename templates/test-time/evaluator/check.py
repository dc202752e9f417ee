"""All tests pass, none is gone or skipped, the order does not matter, and every planted bug is found."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from settings import COMMAND, ENVIRONMENT, LEAST_TESTS, PLANTED


def tests(where):
    done = subprocess.run(
        COMMAND,
        cwd=where,
        env={**os.environ, **ENVIRONMENT},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=600,
    )
    return done.returncode, done.stdout.decode("utf-8", "replace")


code, said = tests(".")
ran = re.search(r"Ran (\d+) tests?|(\d+) passed", said)
if code or ran is None:
    sys.exit(f"the tests fail: {said[-400:]}")
if int(ran[1] or ran[2]) < LEAST_TESTS or "skipped" in said:
    sys.exit(f"{ran[0]}, but there were {LEAST_TESTS}, and none may be skipped")
with tempfile.TemporaryDirectory() as scratch:
    copy = Path(scratch) / "p"
    shutil.copytree(".", copy, ignore=shutil.ignore_patterns(".git", ".autoresearch"))
    for name, right, wrong in PLANTED:
        text = (copy / name).read_text()
        if right not in text:
            sys.exit(f"{name} no longer holds {right!r}: mend PLANTED")
        (copy / name).write_text(text.replace(right, wrong))
        if tests(copy)[0] == 0:
            sys.exit(f"no test finds this bug in {name}: {wrong}")
        (copy / name).write_text(text)
