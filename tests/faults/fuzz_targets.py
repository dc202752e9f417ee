"""The parsers that read what others have written, each with seeds, words of its grammar, and what it may answer.

A target takes bytes. It may return anything, or raise what it names in `refuses`: whatever else it raises is a crash.
What it returns is a short feature of the answer; an input with a new feature is kept and mutated further.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from autoresearch import metrics, safetext
from autoresearch.cli._guard import Guarded, calls_us, shorten, written
from autoresearch.config import parse_config
from autoresearch.engines import output
from autoresearch.errors import BadInput
from autoresearch.judging.samplefile import read_samples
from autoresearch.ledger.records import Reader
from autoresearch.ledger.store import read_odd
from autoresearch.peers.foreign import Table, sniff
from autoresearch.report.escape import markdown
from autoresearch.search.ideas.document import Document
from autoresearch.task import parse_task
from autoresearch.workspace.evaluator import Manifest
from autoresearch.workspace.objects import Change
from autoresearch.workspace.scope import violations


@dataclass(frozen=True)
class Target:
    """`share` is its part of all inputs, so that slow ones do not take all the time."""

    name: str
    call: Callable[[bytes], object]
    share: float
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...]
    refuses: tuple[type[BaseException], ...] = ()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _metrics(data: bytes) -> object:
    found = metrics.parse(_text(data))
    for value in found.metrics.values():
        assert value - value == 0.0, "a metric is not finite"
    return len(found.metrics), len(found.warnings), str(found.warnings[:1])[:30]


def _ledger(data: bytes) -> object:
    reader = Reader()
    kinds = []
    for number, line in enumerate(data.split(b"\n"), 1):
        for found in read_odd(number, line):
            assert (found.record is None) != (found.problem is None)
            if found.record is not None:
                kinds.append(type(reader.take(found.record)).__name__)
            else:
                kinds.append(str(found.problem))
    return tuple(kinds[:4])


def _foreign(data: bytes) -> object:
    table = Table()
    rows = [table.take(number, line) for number, line in enumerate(_text(data).split("\n"), 1)]
    return sniff(data), tuple(type(row).__name__ for row in rows[:4]), len(table.header)


def _ideas(data: bytes) -> object:
    document = Document(_text(data))
    found = document.ideas()
    document.number(0)
    again = document.ideas()
    assert [idea.text for idea in found] == [idea.text for idea in again], "numbering changes texts"
    return len(found), tuple(idea.status for idea in found[:4])


def _config(data: bytes) -> object:
    return parse_config(data.decode()).objective.direction  # as `load_config`: UTF-8 or a sentence


def _task(data: bytes) -> object:
    return len(parse_task(data.decode()).envs)


def _samples(data: bytes) -> object:
    try:
        parsed: Any = json.loads(data)
    except (ValueError, RecursionError):
        return "no JSON"
    found = read_samples(parsed)
    return len(found.runs), len(found.pairs), len(found.baseline), found.rule.direction


def _log(data: bytes) -> object:
    text = _text(data)
    found = output.parse_log(text)
    output.phase(text)
    assert found.status in ("", *output._STATUSES)
    return len(found.records), found.status, len(found.metrics), found.checks[:12], len(found.warnings)


def _hook(data: bytes) -> object:
    try:
        event: Any = json.loads(data)
    except (ValueError, RecursionError):
        return "no JSON"
    if not isinstance(event, dict):
        return "no object"
    arguments = event.get("tool_input")
    if not isinstance(arguments, dict):
        return "no arguments"
    guarded = Guarded(frozenset(("autoresearch.sh", "autoresearch.jsonl")))
    paths = written(str(event.get("tool_name")), arguments)
    hits = [guarded.hit(path) for path in paths]
    shorten(str(event.get("tool_response")))
    return len(paths), tuple(hits[:3]), bool(calls_us(arguments.get("command")))


_CONFIG = parse_config("name: t\nobjective: {metric: x}\nscope: ['src/**']\noff_limits: ['src/x/*']\n")
_FROZEN = Manifest({"autoresearch.sh": "0"}, {})


def _paths(data: bytes) -> object:
    """A raw diff of git's: mode, path, link target by NUL."""
    fields = [_text(field) for field in data.split(b"\0")]
    changes, links = [], {}
    for mode, path, target in zip(fields[0::3], fields[1::3], fields[2::3], strict=False):
        changes.append(Change(path, "A", "000000", mode, ""))
        links[path] = target
    found = violations(changes, _CONFIG, _FROZEN, "", links)
    for change in changes:
        inside = change.path.startswith("src/") and ".." not in change.path.split("/")
        assert inside or any(line.startswith(change.path) for line in found), "a path outside scope passed"
    return tuple(line.rsplit(" ", 2)[-1] for line in found[:4])


def _words(data: bytes) -> object:
    text = _text(data)
    cleaned = safetext.clean(text)
    assert "\x1b" not in cleaned
    assert "\x00" not in cleaned
    line = safetext.one_line(text)
    assert "\n" not in line
    assert len(line) <= 200
    assert "<script" not in markdown(text)
    safetext.tail(text)
    return len(cleaned) == len(text), len(line) // 20


_RECORD = b'{"run":2,"commit":"abc1234","metric":0.5,"metrics":{"m":1},"status":"keep","description":"d","timestamp":1}'
_LOG = (
    b'AR_RECORD {"type":"environment","max_runs":60}\nMETRIC time_s=0.5\n'
    b'AR_RECORD {"type":"slot","state":"waiting"}\nAR_RECORD {"type":"sample","slot":0,"side":"A","value":1.0}\n'
    b'AR_RECORD {"type":"end","status":"done","error":null}\nEXPERIMENT_STATUS: done\nCHECKS_STATUS: passed\n'
)
_EVENT = json.dumps(
    {"hook_event_name": "PreToolUse", "tool_name": "Bash", "cwd": "/x",
     "tool_input": {"command": "cp a autoresearch.sh && tee x < y; echo 'q' > autoresearch.jsonl", "file_path": "a"}}
).encode()  # fmt: skip

TARGETS = (
    Target("metrics", _metrics, 0.30,
           (b"METRIC time_s=0.731\nMETRIC a.b=1e-3\n", b"METRIC x = 5\nmetric y=1ms\n\x1b[1mMETRIC z=0x1p3"),
           (b"METRIC ", b"=", b"1e309", b"nan", b"inf", b"\xc2\xb5s", b"\r", b"\n", b"\xe2\x80\xa8", b"1_000", b"ms")),
    Target("ledger", _ledger, 0.20,
           (_RECORD, b'{"type":"config","name":"n","metricName":"m","bestDirection":"lower"}\n' + _RECORD,
            b'{"type":"init","config":{"metric":"m"}}\n{"run":"7","status":"KEEP","timestamp":"2026-01-01T00:00:00Z"}'),
           (b'"run":', b"null", b"NaN", b"{", b"}", b"[", b'"', b"\\ud800", b"1e999", b'"type":"config"', b"\xff",
            b"\xef\xbb\xbf", b"\n", b"9" * 30)),
    Target("foreign", _foreign, 0.12,
           (b"commit\tval_bpb\tmemory_gb\tstatus\tdescription\nabc1234\t0.99\t44\tkeep\tbaseline\n",
            b"# metric_direction: higher\nexperiment\tscore\tstatus\n1\t5%\tdiscard\n"),
           (b"\t", b"\n", b"keep", b"crash", b"-", b"%", b"status", b"metric", b"\x00", b"1e400")),
    Target("output", _log, 0.16, (_LOG, b"(task, pid=12) " + _LOG.replace(b"\n", b"\n(task, pid=12) ")),
           (b"AR_RECORD ", b"AR_RUNNER ", b"METRIC ", b"EXPERIMENT_STATUS: ", b"(head, rank=0, pid=1, ip=1.2.3.4) ",
            b"\x1b[32m", b'{"type":', b'"end"', b"null", b"1e999", b"{", b"\r\n")),
    Target("safetext", _words, 0.12, (b"plain", b"\x1b]0;x\x07\x1b[31mred\x1b[0m\r\n<script>\xe2\x80\xae"),
           (b"\x1b", b"[", b"]", b"\x07", b"\x1b\\", b"\xe2\x80\xae", b"\r", b"<script", b"\xed\xa0\x80", b"|", b"`")),
    Target("paths", _paths, 0.05,
           (b"100644\0src/a.py\0\x00120000\0src/l\0../../etc/passwd", b"100644\0../x\0\x00160000\0src/sub\0"),
           (b"src/", b"../", b"\0", b"120000", b"/", b"autoresearch.sh", b".gitattributes", b"\n", b".", b"\xff")),
    Target("ideas", _ideas, 0.02,
           (b"# Ideas\n\n| id | idea | gain % | status |\n|---|---|---|---|\n| i1 | a `b|c` | 5 | open |\n",
            b"- [ ] Reuse the buffer\n- [x] done [i3]\n## Dead ends\n* no\n"),
           (b"|", b"\\", b"`", b"\n", b"- [ ] ", b"## ", b"[i1]", b"~~", b"<br>", b"---", b"keep, measured 5 %: e1")),
    Target("samples", _samples, 0.015,
           (b'{"direction":"lower","baseline":[1.02,1.01],"candidate":[0.97,0.98]}',
            b'{"runs":[{"slot":0,"side":"A","value":1.0,"block":0},{"side":"B","value":2}],"pairs":[[1,2]],"preset":"lean","alpha":0.1}'),
           (b"null", b"true", b"1e999", b"-", b"[", b"]", b"{", b'"runs"', b'"side":"B"', b"NaN", b"9" * 400),
           refuses=(BadInput,)),
    Target("hook", _hook, 0.01, (_EVENT,),
           (b"'", b'\\"', b">", b"<<EOF", b"$(", b")", b"&&", b"|", b"tee ", b"mv ", b"../", b"\\u0000", b"[", b"{")),
    Target("config", _config, 0.0035,
           (b"name: t\nobjective: {metric: x, direction: lower}\nscope: ['src/**']\nstop: {dry: 3}\n",),
           (b"&a", b"*a", b"<<: ", b"!!python/object", b"- ", b": ", b"\n", b"{", b"[", b"'", b"9" * 30, b"\t"),
           refuses=(BadInput, UnicodeDecodeError)),
    Target("task", _task, 0.0015, (b"name: x\nrun: |\n  echo 1\nenvs:\n  A: 1\n  B:\nresources:\n  cpus: 2+\n",),
           (b"&a", b"*a", b"run:", b"envs:", b": ", b"\n", b"  ", b"{", b"[", b"|", b"!!binary"),
           refuses=(BadInput, UnicodeDecodeError)),
)  # fmt: skip
