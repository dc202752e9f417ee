"""Does a rebuild give a new layout? Looks at the native code that a build leaves.

A build that ignores the layout seed gives the same bytes again: rebuilding it for every run costs time and shakes
nothing, so its layout is fixed, whatever was asked for.
"""

from __future__ import annotations

import hashlib
import os
import stat

# First bytes of ELF, Mach-O (four kinds, universal), WebAssembly and Windows executables and of object archives.
MAGIC = (
    b"\x7fELF", b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe",
    b"\0asm", b"MZ", b"!<arch>",
)  # fmt: skip


def native_code(tree: str) -> dict[str, str]:
    """{path below `tree`: sha256} of the executables, libraries and objects in it; links are not followed."""
    found = {}
    for where, _, files in os.walk(tree):
        for name in files:
            path = os.path.join(where, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                digest = _digest(path)
                if digest:
                    found[os.path.relpath(path, tree)] = digest
    return found


def _digest(path: str) -> str:
    try:
        with open(path, "rb") as file:
            head = file.read(8)
            if not head.startswith(MAGIC):
                return ""
            digest = hashlib.sha256(head)
            for chunk in iter(lambda: file.read(1 << 20), b""):
                digest.update(chunk)
            return digest.hexdigest()
    except OSError:
        return ""
