"""Reading logs: ours, SkyPilot's, and damaged ones."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from autoresearch.engines.output import parse_log, phase, strip_prefixes

RECORDS = [
    {"type": "environment", "max_runs": 60},
    {"type": "sample", "side": "A", "warmup": True, "value": 1.0},
    {"type": "sample", "side": "B", "warmup": False, "value": 2.0},
    {"type": "checks", "status": "passed"},
    {"type": "end", "status": "done", "error": None},
]
LOG = "\n".join("AR_RECORD " + json.dumps(record) for record in RECORDS)
LOG += "\nMETRIC time_s=2.0\nEXPERIMENT_STATUS: done\nCHECKS_STATUS: passed\n"


def test_own_log() -> None:
    out = parse_log(LOG)
    assert out.records == RECORDS
    assert (out.status, out.error, out.checks, out.metrics) == ("done", "", "passed", {"time_s": 2.0})
    assert out.warnings == []


def test_skypilots_prefixes_and_colours() -> None:
    for prefix in ("\x1b[36m(autoresearch, pid=1234)\x1b[0m ", "(head, rank=0, pid=77, ip=10.0.0.2) "):
        text = "".join(prefix + line + "\r\n" for line in LOG.splitlines())
        assert strip_prefixes(text) == LOG
        assert parse_log(text) == parse_log(LOG)


def test_a_plain_task() -> None:
    text = "compiling\nMETRIC a=1\nMETRIC b=2.5\nEXPERIMENT_STATUS: checks_failed\nEXPERIMENT_ERROR: bad \x1b[31msum\n"
    out = parse_log(text + "CHECKS_STATUS: failed (exit 3)\n")
    assert (out.status, out.error, out.checks) == ("checks_failed", "bad sum", "failed (exit 3)")
    assert (out.metrics, out.records) == ({"a": 1.0, "b": 2.5}, [])


def test_damage_is_counted_and_unknown_words_are_no_status() -> None:
    out = parse_log('AR_RECORD {"type":"sam\nAR_RECORD [1]\nEXPERIMENT_STATUS: splendid\n' + LOG.splitlines()[1] + "\n")
    assert (len(out.records), out.status) == (1, "")
    assert out.warnings == ["2 damaged AR_RECORD line(s) skipped", "unknown EXPERIMENT_STATUS splendid"]


def test_phases() -> None:
    lines = LOG.splitlines(keepends=True)
    assert phase("") == "start"
    for odd in ("1e999", '"many"', "[60]"):
        assert phase(f'AR_RECORD {{"type":"environment","max_runs":{odd}}}\n') == "build"
    assert phase(lines[0]) == "build"
    assert phase(lines[0] + 'AR_RECORD {"type":"slot","state":"waiting"}\n') == "waits for a measurement slot"
    assert phase("".join(lines[:2])) == "measure 0/60"
    assert phase("".join(lines[:3])) == "measure 1/60"
    sides = [f'AR_RECORD {{"type":"build","side":"{side}","stage":"build","ok":true}}\n' for side in "AB"]
    assert [phase("".join([lines[0], *sides[:n]])) for n in (1, 2)] == ["build", "checks"]
    assert phase("".join([*lines[:3], *sides])) == "measure 1/60"  # a fresh layout's build, between two runs
    free = 'AR_RECORD {"type":"slot","state":"free","index":0}\n'
    once = 'AR_RECORD {"type":"environment","max_runs":1}\n'
    assert phase("".join([once, *lines[1:3], free])) == "checks"
    assert phase("".join([*lines[:3], free])) == "measure 1/60"


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    out = parse_log("AR_RECORD " + text)
    assert out.status in ("", "done", "crash", "checks_failed")
    assert isinstance(phase(text), str)


@given(st.lists(st.dictionaries(st.text(), st.integers() | st.text(), max_size=3), max_size=5))
def test_records_come_back_as_they_were(bodies: list[dict[str, object]]) -> None:
    records = [{**body, "type": "x"} for body in bodies]
    assert parse_log("".join(f"AR_RECORD {json.dumps(record)}\n" for record in records)).records == records
