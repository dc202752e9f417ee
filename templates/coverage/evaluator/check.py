"""The suite is one that people want to keep: it passes, twice, skips nothing, and knows nothing of its grader."""

import sys
from pathlib import Path

from suite import passes

for _ in range(2):
    passed, said = passes(".")
    if not passed:
        sys.exit(f"the tests fail, or not every time: {said[-300:]}")
    if "skipped" in said:
        sys.exit("a test is skipped")
for path in Path("tests").rglob("*.py"):
    text = path.read_text()
    for word in ("evaluator", "mutant", "inspect.getsource", "read_text", "open("):
        if word in text:
            sys.exit(f"{path} reads the source or its grader ({word}) instead of testing behaviour")
