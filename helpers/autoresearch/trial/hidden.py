"""Checks that the candidate and its author never see: they stand in no tree before they run."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile

from autoresearch.trial.places import remove

ARCHIVE = "hidden.tar"
FOLDER = ".hidden-checks"


def take(root: str) -> bytes:
    """The archive's bytes; its file is deleted, so that nothing that runs later finds it."""
    path = os.path.join(root, ARCHIVE)
    with open(path, "rb") as file:
        content = file.read()
    os.unlink(path)
    return content


def place(content: bytes, tree: str, tmp: str) -> str:
    """Unpack the archive into a directory of its own in `tmp`, whose name tells nothing; returns it.

    In `tree`, by the name that they had before 0.4.0, where they name it themselves.
    """
    if FOLDER.encode() in content:
        to = os.path.join(tree, FOLDER)
        remove(to)
        os.mkdir(to, 0o700)
    else:
        to = tempfile.mkdtemp(dir=tmp)
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        # Packed by us from plain files (`engines.bundle`); Python 3.8 has no extraction filters.
        tar.extractall(to)
    return to
