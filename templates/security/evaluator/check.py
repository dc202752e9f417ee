"""ADAPT: what the code is for still works: a door that nobody can open repels every attack."""

import os
import random
import sys
import tempfile
from pathlib import Path

import worker
from probes import word

draw = random.Random(os.environ.get("AUTORESEARCH_LAYOUT_SEED", "1"))
program = worker.Worker("evaluator/adapter.py", "src", limit=20)


def gives(wanted, name, *given):
    try:
        found = program.call(name, *given)
    except worker.Failed as failed:
        sys.exit(f"{name}: {failed}")
    if type(found) is not type(wanted) or found != wanted:
        sys.exit(f"{name}: another answer than {wanted!r}")


with tempfile.TemporaryDirectory() as top:
    names = [f"{word(draw)}/a b.txt", "plain.txt", f"{word(draw)}.{word(draw)}", f"{word(draw)}/..{word(draw)}"]
    for name in names:
        (Path(top) / name).parent.mkdir(exist_ok=True)
        (Path(top) / name).write_text(name[::-1])
    for name in names:
        gives(name[::-1], "read", top, name)
users = {word(draw): "1815", "o'hara": "2", "": "3", '"; --': "4"}
for name, value in users.items():
    gives(value, "find", users, name)
gives(None, "find", users, "nobody")
gives([1, [2, 3]], "parse", "[1, [2, 3]]")
gives({"a": [None, True, 1.5]}, "parse", '{"a": [null, true, 1.5]}')
password = word(draw) + " battery"
kept = program.call("stored", password)
gives(True, "matches", password, kept)
gives(False, "matches", "wrong", kept)
program.close()
