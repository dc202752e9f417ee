"""What `logs` shows of a job: the words of the stage that failed, not the records around them."""

from __future__ import annotations

from autoresearch.cli.logs import failed_output


def test_a_failed_benchmark_run_shows_its_own_words() -> None:
    records = [
        {"type": "build", "ok": True, "tail": "cc -O2"},
        {"type": "sample", "value": 1.5, "problem": None, "tail": "fine"},
        {"type": "sample", "value": None, "problem": "benchmark exit 1", "tail": "Traceback\nNo module named x"},
        {"type": "checks", "status": "passed", "tail": "ok"},
    ]
    assert failed_output(records) == "[sample]\nTraceback\nNo module named x"
    assert failed_output([{"type": "build", "ok": False, "tail": "error: x"}]) == "[build]\nerror: x"
    assert failed_output(records[:2]) == ""
