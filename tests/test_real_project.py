"""A real project that is not ours: packaging 25.0 from PyPI, made faster by what its authors released as 26.2.

The change log of 26 names the speed-ups of `Version`. The A/B must find them, and must not keep a comment.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from driver import Driver, commit_all

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BENCHMARK = """#!/usr/bin/env bash
set -euo pipefail
PYTHONPATH=src python3 -c '
import time
from packaging.version import Version
texts = [f"{a}.{b}.{c}{s}" for a in range(9) for b in range(9) for c in range(9) for s in ("", "rc1", ".post2")]
begun = time.perf_counter()
found = sorted(map(Version, texts * 2))
print(f"METRIC sort_s={time.perf_counter() - begun:.6f}")
'
"""
CHECKS = """#!/usr/bin/env bash
set -euo pipefail
PYTHONPATH=src python3 -c '
from packaging.version import InvalidVersion, Version
order = ["1.0.dev1", "1.0a1", "1.0rc1", "1.0", "1.0.post1", "1.1", "1!0.5"]
assert [str(v) for v in sorted(map(Version, reversed(order)))] == order
assert Version("1.0") == Version("1.0.0") and hash(Version("1.0")) == hash(Version("1.0.0"))
try:
    Version("not a version")
except InvalidVersion:
    pass
else:
    raise SystemExit("accepts anything")
'
"""


def sdist(version: str, to: Path) -> Path:
    """Download and unpack the source distribution."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:",
         "--dest", str(to), f"packaging=={version}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.skip(f"needs the package index: pip cannot download packaging {version}: {done.stderr[-300:]}")
    (archive,) = to.glob(f"packaging-{version}.tar.gz")
    with tarfile.open(archive) as tar:
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # not in each 3.11
        tar.extractall(to, **safe)
    return to / f"packaging-{version}"


REVIEW = (
    "--description", "Faster version comparison", "--risk", "versions of a legacy form", "--checked", "sorted a list",
)  # fmt: skip


def test_a_released_speed_up_is_kept_and_a_comment_is_not(tmp_path: Path) -> None:
    old, new = sdist("25.0", tmp_path), sdist("26.2", tmp_path)
    subprocess.run(["git", "init", "-q", "-b", "main", str(old)], check=True)
    commit_all(old, "packaging 25.0")

    call = Driver(old).until_done
    code, data = call(
        "init", "--goal", "Sort versions faster", "--metric", "sort_s", "--unit", "s", "--scope", "src/**"
    )  # fmt: skip
    assert code == 0, data
    (old / "autoresearch.sh").write_text(BENCHMARK)
    (old / "autoresearch.checks.sh").write_text(CHECKS)
    code, data = call("doctor")
    assert (code, data["ready"]) == (0, True), data
    code, data = call("baseline", "--timeout", "25")
    assert code == 0, data
    for name in ("release", "comment"):
        assert call("new", name, "--hypothesis", f"the {name}")[0] == 0
    worktrees = old / ".autoresearch" / "worktrees"
    shutil.copytree(new / "src", worktrees / "release" / "src", dirs_exist_ok=True)
    (worktrees / "comment" / "src" / "packaging" / "_nothing.py").write_text("# nothing to see here\n")
    assert call("run", "release", "comment")[0] == 0
    code, data = call("wait", "--timeout", "25")
    assert all(stage.startswith("screened") for stage in data["stages"].values()), data
    code, data = call("ab", "release", "--timeout", "25")
    assert (code, data.get("verdict")) == (0, "keep"), data
    assert data["effect_pct"] > 30
    assert call("decide", "release", *REVIEW)[1]["status"] == "keep"
    code, data = call("ab", "comment", "--timeout", "25")
    assert (code, data.get("verdict")) == (1, "discard"), data
    assert call("decide", "comment", "--final")[1]["status"] == "discard"
    assert "release" in (old / "IMPROVEMENTS.md").read_text()
