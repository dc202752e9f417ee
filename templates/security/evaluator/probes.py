"""ADAPT: the checklist. One probe an attack: it returns True when the attack is repelled; an exception counts as False.

STRIDE: S spoofing, T tampering, R repudiation, I information disclosure, D denial of service, E elevation of privilege.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, "src")
PROBES = []


def probe(stride, owasp, weight):
    """Registers an attack: its STRIDE letter, its OWASP Top Ten entry, and what it is worth."""

    def keep(function):
        PROBES.append((function.__name__, stride, owasp, weight, function))
        return function

    return keep


def refused(function, *args):
    """Whether the call raises ValueError or PermissionError: said no, and not by accident."""
    try:
        function(*args)
    except (ValueError, PermissionError):
        return True
    return False


@probe("I", "A01 broken access control", 3)
def path_traversal():
    import store

    with tempfile.TemporaryDirectory() as top:
        (Path(top) / "public").mkdir()
        (Path(top) / "secret.txt").write_text("s")
        return all(
            refused(store.read, f"{top}/public", name)
            for name in ("../secret.txt", "a/../../secret.txt", f"{top}/secret.txt", "..\\secret.txt")
        )


@probe("T", "A03 injection", 3)
def sql_injection():
    import store

    base = store.connect({"ada": "1815"})
    return store.find(base, "ada") == "1815" and store.find(base, "x' OR '1'='1") is None


@probe("D", "A04 insecure design", 2)
def oversized_input():
    import store

    return refused(store.parse, "[" * 100000)


@probe("S", "A07 authentication failures", 2)
def password_is_stored_with_a_salt():
    import store

    one, two = store.stored("pw"), store.stored("pw")
    return one != two and "pw" not in one and len(one) >= 64
