"""The suite is one that people want to keep: it passes, twice, skips nothing, and knows nothing of its grader.

It passes, too, on code that does the same in other words: behaviour is tested, not text.
"""

import os
import random
import sys
from pathlib import Path

from mutants import control
from suite import files, passes

tree = files()
draw = random.Random(os.environ.get("AUTORESEARCH_LAYOUT_SEED", "1"))
for what in (tree, tree, control(tree, draw), control(tree, draw)):
    passed, said = passes(what)
    if not passed:
        sys.exit(f"the tests fail, or not every time, or on the same in other words: {said[-300:]}")
    if "skipped" in said:
        sys.exit("a test is skipped")
for path in Path("tests").rglob("*.py"):
    text = path.read_text()
    for word in ("evaluator", "mutant", "inspect.getsource", "read_text", "open(", "co_code", "co_consts"):
        if word in text:
            sys.exit(f"{path} reads the source or its grader ({word}) instead of testing behaviour")
