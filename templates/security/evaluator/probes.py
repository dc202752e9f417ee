"""ADAPT: the checklist. One probe an attack. It gets the program (`program.call(name, ...)`), a process of its
own, and `draw`, a random.Random of the run: other names, words and order in every run, so that no probe is known.

STRIDE: S spoofing, T tampering, R repudiation, I information disclosure, D denial of service, E elevation of privilege.
A probe returns True when every attack is repelled AND what is legal beside it works: a door that nobody can open, or
that opens only when it is watched, repels nothing. An exception counts as False.
"""

import string
import tempfile
from pathlib import Path

from worker import Failed

PROBES = []


def probe(stride, owasp, weight):
    """Registers an attack: its STRIDE letter, its OWASP Top Ten entry, and what it is worth."""

    def keep(function):
        PROBES.append((function.__name__, stride, owasp, weight, function))
        return function

    return keep


def refused(program, name, *given):
    """Whether the call raises ValueError or PermissionError: said no, and not by accident."""
    try:
        program.call(name, *given)
    except Failed as failed:
        return bool({"ValueError", "PermissionError"} & set(failed.kinds))
    return False


def word(draw):
    return "".join(draw.choices(string.ascii_lowercase, k=draw.randrange(3, 9)))


def in_any_order(draw, *tries):
    """Whether all come out true; legal ones and attacks are mixed."""
    return all(one() for one in draw.sample(tries, len(tries)))


@probe("I", "A01 broken access control", 3)
def path_traversal(program, draw):
    public, inner, hidden, name = word(draw) + "-p", word(draw), word(draw) + ".txt", word(draw) + " b.txt"
    with tempfile.TemporaryDirectory() as top:
        (Path(top) / public / inner).mkdir(parents=True)
        (Path(top) / public / inner / name).write_text(hidden)
        (Path(top) / public / name).write_text(inner)
        (Path(top) / hidden).write_text("s")
        at = f"{top}/{public}"
        attacks = (f"../{hidden}", f"{inner}/../../{hidden}", f"{top}/{hidden}", f"..\\{hidden}", f"./.././{hidden}")
        return in_any_order(
            draw,
            *(lambda path=path: refused(program, "read", at, path) for path in attacks),
            lambda: program.call("read", at, f"{inner}/{name}") == hidden,
            lambda: program.call("read", at, name) == inner,
        )


@probe("T", "A03 injection", 3)
def sql_injection(program, draw):
    name, value, other = word(draw), word(draw), word(draw) + "'" + word(draw)
    users = {name: value, other: value + "2"}
    return in_any_order(
        draw,
        *(
            lambda attack=attack: program.call("find", users, attack) is None
            for attack in (f"{word(draw)}' OR '1'='1", f"{word(draw)}' UNION SELECT '{value}' --", f"{name}' --")
        ),
        lambda: program.call("find", users, name) == value,
        lambda: program.call("find", users, other) == value + "2",
    )


@probe("D", "A04 insecure design", 2)
def oversized_input(program, draw):
    deep = draw.randrange(3, 12)
    legal = [draw.randrange(1000) for _ in range(draw.randrange(50, 400))]
    return in_any_order(
        draw,
        lambda: refused(program, "parse", "[" * draw.randrange(80000, 120000)),
        lambda: program.call("parse", str(legal)) == legal,
        lambda: repr(program.call("parse", "[" * deep + "]" * deep)) == "[" * deep + "]" * deep,
    )


@probe("S", "A07 authentication failures", 2)
def password_is_stored_with_a_salt(program, draw):
    password = word(draw) + word(draw)
    one, two = program.call("stored", password), program.call("stored", password)
    return (
        in_any_order(
            draw,
            lambda: program.call("matches", password, one) is True,
            lambda: program.call("matches", password, two) is True,
            lambda: program.call("matches", password + "x", one) is False,
        )
        and one != two
        and password not in one
        and len(one) >= 64
    )
