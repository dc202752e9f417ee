"""What CI runs: the README's test command and the named suites, each once more where it failed the first time."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ALL = ["--test", "--test slurm", "--test clients"]
# Stands in for setup.sh: notes its arguments, and fails as often as the file `fail` says for those arguments.
STUB = """
echo "$*" >> called
n=$(grep -cxF -- "$*" called)
while IFS=: read -r arguments times; do
  if [ "$arguments" = "$*" ] && [ "$n" -le "$times" ]; then exit 1; fi
done < fail
"""


def run_ci(
    tmp_path: Path, *arguments: str, fail: dict[str, int] | None = None
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    (tmp_path / "setup.sh").write_text(STUB)
    (tmp_path / "fail").write_text("".join(f"{name}:{times}\n" for name, times in (fail or {}).items()))
    done = subprocess.run([tmp_path / ".ci" / "run", *arguments], capture_output=True, text=True, check=False)
    return done, (tmp_path / "called").read_text().splitlines()


def test_ci_runs_the_readmes_test_command_and_the_named_suites(tmp_path: Path) -> None:
    assert "\nbash setup.sh --test\n" in (ROOT / "README.md").read_text(encoding="utf-8")
    done, called = run_ci(tmp_path)
    assert (done.returncode, called) == (0, ALL)


def test_one_suite_by_name(tmp_path: Path) -> None:
    done, called = run_ci(tmp_path, "attacks")
    assert (done.returncode, called) == (0, ["--test attacks"])


@pytest.mark.parametrize("suite", ALL)
def test_a_suite_that_fails_once_is_run_once_more_and_told(tmp_path: Path, suite: str) -> None:
    done, called = run_ci(tmp_path, fail={suite: 1})
    assert done.returncode == 0
    assert called.count(suite) == 2
    assert sorted(set(called)) == sorted(ALL)
    assert "FAILED ONCE AND PASSED AT THE SECOND RUN" in done.stderr


@pytest.mark.parametrize("suite", ALL)
def test_a_suite_that_fails_twice_fails_ci(tmp_path: Path, suite: str) -> None:
    done, called = run_ci(tmp_path, fail={suite: 2})
    assert done.returncode == 1
    assert called == [*ALL[: ALL.index(suite)], suite, suite]
