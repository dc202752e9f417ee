"""ADAPT: what the code is for still works: a door that nobody can open repels every attack."""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, "src")
import store

with tempfile.TemporaryDirectory() as top:
    (Path(top) / "notes").mkdir()
    (Path(top) / "notes" / "a b.txt").write_text("hello")
    (Path(top) / "plain.txt").write_text("plain")
    assert store.read(top, "notes/a b.txt") == "hello"
    assert store.read(top, "plain.txt") == "plain"
base = store.connect({"ada": "1815", "o'hara": "2"})
assert store.find(base, "ada") == "1815"
assert store.find(base, "o'hara") == "2"
assert store.find(base, "nobody") is None
assert store.parse("[1, [2, 3]]") == [1, [2, 3]]
kept = store.stored("correct horse")
assert store.matches("correct horse", kept)
assert not store.matches("wrong", kept)
