"""What a Python benchmark computes, said in a line for each place, so that none of it can be left out. Python 3.

`autoresearch init --plan` wrote aloud.py: the benchmark's script, in which the values of the project's calls pass
through `said`. Which of them are looked at, and what is printed of them, follows from a key on stdin that is new in
every round: who ends early, or gives back something else, prints another line than the reference does (alike.py).
"""

import atexit
import os
import sys

try:
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

_MOST = 40  # items and characters at either end that are looked at


def begin(script):
    """`said` for a script of that name, "" for python3 -c; it is as if the script itself had been started."""
    key, seen = sys.stdin.buffer.read()[:64], {}
    sys.argv[0], sys.path[0] = script or "-c", os.path.dirname(os.path.abspath(script)) if script else ""

    def said(place, value):
        one = seen.get(place)
        if one is None:
            one = seen[place] = [0, 1, blake2b(key=key, digest_size=8)]
        one[0] += 1
        if one[0] == one[1]:
            one[2].update(repr(plain(value, 3)).encode("utf-8", "replace"))
            one[1] += 1 + one[0] * one[2].digest()[0] // 1024
        return value

    def end():
        for place, (count, _, digest) in sorted(seen.items()):
            print("computed at", place, count, int.from_bytes(digest.digest(), "big"))
        print("computed in all", len(seen), int.from_bytes(blake2b(key=key, digest_size=8).digest(), "big"))

    atexit.register(end)
    return said


def plain(value, deep):
    """What can be said of a value: exact built-in types by content, others by their type."""
    kind = type(value)
    if kind is float:
        return "%.9g" % value
    if kind in (str, bytes):
        return len(value), value[:_MOST], value[-_MOST:]
    if kind in (bool, int, complex, type(None)):
        return value
    if kind in (set, frozenset):
        return kind.__name__, sorted(repr(plain(one, deep - 1)) for one in value)[:_MOST]
    if deep and kind is dict:
        value = list(value.items())
    if deep and kind in (dict, list, tuple):
        some = value if len(value) <= 2 * _MOST else [*value[:_MOST], *value[-_MOST:]]
        return kind.__name__, len(value), [plain(one, deep - 1) for one in some]
    return kind.__name__
