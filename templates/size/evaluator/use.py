"""ADAPT: what users load, how it is used, and the calls. Right is what evaluator/reference, built by setup_deps.sh from
the project as it was at the start, gives for the same calls."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

OUTPUT = "dist"
# How an expression is evaluated against the bundle, in a directory with nothing but what was counted. {here} is the one
# place that it may read; where your runtime knows no such bounds, a bundle could load what lies elsewhere.
RUN = ["node", "--disallow-code-generation-from-strings", "--no-warnings", "--experimental-permission"]
RUN += ["--allow-fs-read={here}/*", "-e"]
LOAD = "const m = require('./dist/bundle.js');"
EDGES = ["m.greet('Ada')", "m.greet('')", "Object.keys(m).sort()"]
# Ways to code that nobody counted, or that unpacks itself. One that the reference's files use as well is no offence.
WAYS = re.compile(
    r"""\bimport\s*\(|\brequire\s*\(\s*(?:[^'")]|['"][^'")]*)|\brequire\b(?!\s*\()|\bmodule\s*[.\[]\s*(?!exports)\w*|"""
    r"""https?://\w*|\bprocess\b|\bglobal(?:This)?\b|\bWebAssembly\b|\bDecompressionStream\b|\bfetch\b|\beval\b|"""
    r"""\bFunction\b|\bconstructor\b|\batob\b|\bWorker\b"""
)


def calls(rng):
    """Expressions with drawn arguments, as many ways to use the bundle as there are; `rng` is new in every run."""
    words = ("".join(rng.choices("abcXYZ äß'\"\\", k=rng.randrange(1, 12))) for _ in range(20))
    return ["m.greet(%s)" % json.dumps(word) for word in words]


def counted(top):
    """The files that users load: all of OUTPUT but source maps. Nothing else is there when the bundle is used."""
    files = sorted(p for p in Path(top, OUTPUT).rglob("*") if p.is_file() and p.suffix != ".map")
    if not files:
        sys.exit(f"{Path(top, OUTPUT)} holds no file: build first")
    return files


def answers(top, expressions):
    """What the bundle of the project in `top` gives for each expression, as JSON or an error's text."""
    tries = ",".join(f"(() => {{ try {{ return [{e}] }} catch (e) {{ return String(e) }} }})()" for e in expressions)
    with tempfile.TemporaryDirectory() as scratch:
        for path in counted(top):
            place = Path(scratch, path.relative_to(top))
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
        command = [word.replace("{here}", os.path.realpath(scratch)) for word in RUN]
        code = f"const say = console.log; {LOAD} say(JSON.stringify([{tries}]))"
        env = {"PATH": os.environ["PATH"], "HOME": scratch}
        done = subprocess.run([*command, code], cwd=scratch, env=env, stdout=subprocess.PIPE, timeout=60)
    return done.returncode, done.stdout


def ways(top):
    texts = (path.read_bytes().decode("utf-8", "replace") for path in counted(top))
    return {found[0].strip() for text in texts for found in WAYS.finditer(text)}


def judge(seed):
    """Leave with a word unless the bundle does what the reference's does, from its own files."""
    rng = random.Random(seed)
    expressions = [*EDGES, *calls(rng)]
    rng.shuffle(expressions)
    reference = "evaluator/reference"
    right, said = answers(reference, expressions), answers(".", expressions)
    if right[0]:
        sys.exit("the reference cannot be used: see RUN and LOAD in evaluator/use.py")
    if said != right:
        odd = [f"{e} should be {want}" for e, got, want in zip(expressions, *map(_list, (said, right))) if got != want]
        sys.exit(odd[0] if odd else f"another answer than the reference's: exit {said[0]}, {said[1][-200:]!r}")
    new = ways(".") - ways(reference)
    if new:
        sys.exit(f"{sorted(new)[0]} is new in {OUTPUT}: moved or packed bytes are not saved bytes")


def _list(said):
    try:
        return json.loads(said[1])
    except ValueError:
        return []
