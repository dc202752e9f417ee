"""`autoresearch parse`, as a shell calls it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from driver import command, environment


def call(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command("parse", *arguments), input=stdin, capture_output=True, env=environment(), timeout=60, check=False
    )


def test_json_of_a_pipe() -> None:
    done = call("--json", stdin="x\rMETRIC total_µs=3\nMETRIC total_µs=2\n METRIC b=1\n".encode())
    assert done.returncode == 0
    data = json.loads(done.stdout)
    assert data["metrics"] == {"total_µs": 2.0}
    assert data["samples"] == {"total_µs": [3.0, 2.0]}
    assert len(data["warnings"]) == 2


def test_a_file_with_bad_bytes(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_bytes(b"\xff\xfe\nMETRIC a=1\n\x80METRIC b=1\n")
    done = call(str(log), "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["metrics"] == {"a": 1.0}


def test_no_metric_is_exit_1_and_names_the_near_miss() -> None:
    done = call(stdin=b"METRIC a=5ms\n")
    assert done.returncode == 1
    assert b"unit 'ms'" in done.stdout
    lenient = call("--lenient", "--json", stdin=b"METRIC a=5ms\n")
    assert lenient.returncode == 0
    assert json.loads(lenient.stdout)["metrics"] == {"a": 5.0}


def test_output_shows_no_control_characters() -> None:
    done = call(stdin=b"METRIC a=1\nMETRIC a=\x1b]0;owned\x07x\nMETRIC \x1b[2Jb=1\n")
    assert done.returncode == 0
    assert b"\x1b" not in done.stdout
    assert b"\x07" not in done.stdout


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        done = call(str(path))
        assert done.returncode == 2
        assert done.stderr.startswith(b"autoresearch: cannot read ")
        assert b"Traceback" not in done.stderr
