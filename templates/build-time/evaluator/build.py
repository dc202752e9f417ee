"""Builds in fresh copies of the project, with a drawn change of the sources in each, and judges what was built.

What is right evaluator/reference says, the project as it was at the start: it is built of sources with the same change,
after the clock has stopped. The artifact is used in a place of its own, where the sources and the tree are gone.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import paired
from settings import ARTIFACT, BUILD, CLEAN, ENVIRONMENT, RUN, SOURCES, change, inputs
from stopwatch import Stopwatch

REFERENCE = "evaluator/reference"
ASIDE = shutil.ignore_patterns(".git", ".autoresearch", "evaluator")
paired.adopt_orphans()


def made(top, old, new, asked):
    """(seconds, bytes, processor seconds of its uses, its kind, its answers) of a build of `top`."""
    with tempfile.TemporaryDirectory() as scratch:
        tree, home, place = (Path(scratch, os.urandom(4).hex()) for _ in "123")  # lint: allow random
        shutil.copytree(top, tree, ignore=ASIDE, symlinks=True)
        home.mkdir()
        texts = [path for path in sorted((tree / SOURCES).rglob("*")) if path.is_file() and not path.is_symlink()]
        changed = [path for path in texts if old.encode() in path.read_bytes()]
        for path in changed:
            path.write_bytes(path.read_bytes().replace(old.encode(), new.encode()))
        if not changed:
            sys.exit(f"{SOURCES} no longer holds {old!r}: mend change() in evaluator/settings.py")
        env = dict(paired.environments()[0], **ENVIRONMENT, HOME=str(home), TMPDIR=str(home))
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "cwd": tree, "env": env, "check": True}
        subprocess.run(CLEAN, **streams)
        if (tree / ARTIFACT).exists():
            sys.exit(f"{ARTIFACT} is still there after a clean: an old build would be measured")
        began = time.perf_counter()
        subprocess.run(BUILD, **streams)
        seconds = time.perf_counter() - began
        alone = place / ARTIFACT
        alone.parent.mkdir(parents=True)
        if not (tree / ARTIFACT).exists():
            sys.exit(f"the build made no {ARTIFACT}")
        shutil.move(str(tree / ARTIFACT), str(alone))
        shutil.rmtree(tree)
        paired.left_behind()
        files = [alone] if alone.is_file() else sorted(path for path in alone.rglob("*") if path.is_file())
        kind = [(path.relative_to(place), path.read_bytes()[:4]) for path in files]
        size, watch = sum(path.stat().st_size for path in files), Stopwatch()
        # Put together in this order, the first use pays for what a build has left undone.
        uses = [paired.Command(RUN, str(place), env).run(given, watch) for given in asked]
    return seconds, size, sum(span.cpu for span, *_ in uses), kind, [answer for _, answer, _ in uses]


def judged(rng):
    """(seconds, bytes) of a build that makes what the reference's makes."""
    asked, (old, new) = inputs(rng), change(rng)
    seconds, size, used, kind, answers = made(".", old, new, asked)
    _, _, theirs, right_kind, right = made(REFERENCE, old, new, asked)
    if answers != right:
        sys.exit(f"{ARTIFACT} should say {right[0][:80]!r}, not {answers[0][:80]!r}, with {new!r} in its sources")
    if kind[0][1] != right_kind[0][1]:
        sys.exit(f"{ARTIFACT} is another kind of file than the reference's: {kind[0][1]!r}")
    if used > 3 * theirs + 0.02 * len(asked):
        sys.exit(f"{ARTIFACT} takes {used:.3g} s of the processor, the reference's {theirs:.3g} s: work is left to it")
    return seconds, size


def no_new_binaries():
    """What was compiled before is no source."""
    for path in sorted(Path(SOURCES).rglob("*")):
        if path.is_file() and b"\0" in path.read_bytes():
            twin = Path(REFERENCE, path)
            if not twin.is_file() or twin.read_bytes() != path.read_bytes():
                sys.exit(f"{path} is no text, and was not there at the start")
