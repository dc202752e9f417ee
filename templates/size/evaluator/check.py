"""The built files are used as a user would: each call of calls.json gives its answer, and loads nothing more."""

import json
import re
import subprocess
import sys
from pathlib import Path

RUN = ["node", "-e"]  # ADAPT: how an expression is evaluated against the bundle
LOAD = "const m = require('./dist/bundle.js');"
calls = json.loads((Path(__file__).parent / "calls.json").read_text())
for expression, want in calls.items():
    code = f"{LOAD} console.log(JSON.stringify({expression}))"
    done = subprocess.run([*RUN, code], stdout=subprocess.PIPE, timeout=60)
    if done.returncode or json.loads(done.stdout) != want:
        sys.exit(f"{expression} should be {want}")
for path in Path("dist").rglob("*.js"):
    if re.search(r"""\bimport\(|require\(\s*[^'")]|https?://""", path.read_text()):
        sys.exit(f"{path} loads code at run time: moved bytes are not saved bytes")
