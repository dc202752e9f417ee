"""Sessions that 0.2.0 recorded go on: the same answers, verdicts and documents, and ledger lines with the same fields.

tests/data/recorded-0.2.0 holds them, with what 0.2.0 itself answered when it went on from there.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from driver import REPO

DATA = REPO / "tests/data/recorded-0.2.0"
RECORDED = json.loads((DATA / "recorded.json").read_text())

# Different at each measuring, or on each machine. That they are there, and of which kind, is compared all the same.
VOLATILE = {
    "timestamp", "seconds", "vm_hours", "machine_s", "minutes", "seed", "cores", "machine", "environment", "output",
}  # fmt: skip
# Hashes of contents: the same wherever the same was done. Those of commits, which hold the time, are not.
CONTENTS = {"evaluator", "evaluator_digest", "settings", "diff_sha256", "tree"}
# Fields of ledger lines that are new since: what the runs met and what is measured of each, a hash of the line (0.4.0).
# `recovered` of an answer says that a waiting change was put onto the best commit (0.4.0).
ADDED = {"recovered", "met", "disturbed", "delay_pct", "cpu_s", "peak_rss_mb", "chained", "said", "fixed"}
# Of tests that 0.2.0 measured and this version judges: E holds bets on ranks, too, since 0.4.0.
RANKED = {(89.8795, 105.606), (17.5198, 20.0202)}
# Words for a person that are others since 0.4.0: of `log` the runs, their status and what they were are compared.
REWORDED = {"log --all"}
# A run that was given up is left out of an export since 0.4.0: to its readers its 0 was the best of all.
GIVEN_UP = re.compile(r'^(\w+\t0\.000000\t\S+\tdiscard\t|\{.*"metric":0,.*"status":"discard").*\n', re.MULTILINE)
READS = {"status", "queue", "ideas list", "log", "report", "wait"}


# Since 0.4.0 the hypothesis stands for a description that was not given, and so for the review's --what.
CHAINED = ("--what: what was changed; ", '--what "..." ')


def neutral(text: str) -> str:
    for words in CHAINED:
        text = text.replace(words, "")
    text = re.sub(r"\b[0-9a-f]{7,64}\b", "#", text)
    return re.sub(r"\b\d+(\.\d+)?( s\b|( machine)?-hours)|\d{4}-\d\d-\d\d( \d\d:\d\d)?", "#", text)


def differences(old: Any, new: Any, *, exact: bool = False, where: str = "") -> Iterator[str]:
    """What differs in `new`: fields and their order, kinds, values; without `exact` not where time or chance speaks."""
    kind = where.rpartition(".")[2]
    if isinstance(old, dict) and isinstance(new, dict) and (exact or kind not in VOLATILE):
        if not exact:
            new = {key: value for key, value in new.items() if key in old or key not in ADDED}
        if [*old] != [*new]:
            yield f"{where}: fields {[*old]} -> {[*new]}"
        for key in old.keys() & new.keys():
            yield from differences(old[key], new[key], exact=exact or key in CONTENTS, where=f"{where}.{key}")
        return
    if not exact and kind in VOLATILE:
        numbers = (int, float)
        same = type(old) is type(new) or (isinstance(old, numbers) and isinstance(new, numbers))
    elif not exact and kind in ("samples", "warmups"):
        same = sorted(old) == sorted(new)  # their order is drawn
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, pair in enumerate(zip(old, new, strict=True)):
            yield from differences(*pair, exact=exact, where=f"{where}[{number}].{kind}")
        return
    elif not exact and isinstance(old, str) and isinstance(new, str):
        same = neutral(old) == neutral(new)
    elif not exact and kind == "e_value":
        same = old == new or (old, new) in RANKED
    else:
        same = old == new and type(old) is type(new)
    if not same:
        yield f"{where}: {str(old)[:300]!r} -> {str(new)[:300]!r}"


@pytest.mark.parametrize(
    "new",
    [
        {"b": "at abcdef1234", "a": 1, "seconds": 1.5, "tree": "abcdef1234"},
        {"a": 1, "b": "at abcdef1234", "seconds": 1.5},
        {"a": 1, "b": "at abcdef1234", "seconds": None, "tree": "abcdef1234"},
        {"a": 2, "b": "at abcdef1234", "seconds": 1.5, "tree": "abcdef1234"},
        {"a": 1.0, "b": "at abcdef1234", "seconds": 1.5, "tree": "abcdef1234"},
        {"a": 1, "b": "for abcdef1234", "seconds": 1.5, "tree": "abcdef1234"},
        {"a": 1, "b": "at abcdef1234", "seconds": 1.5, "tree": "0000001"},
        {"a": 1, "b": "at abcdef1234", "seconds": 1.5, "tree": "abcdef1234", "c": 0},
    ],
)
def test_the_comparison_can_fail(new: dict[str, Any]) -> None:
    old = {"a": 1, "b": "at 1234567", "seconds": 2, "tree": "abcdef1234"}
    assert not [*differences(old, {"a": 1, "b": "at abcdef1234", "seconds": 1.5, "tree": "abcdef1234"})]
    assert [*differences(old, new)]


def unpack(name: str, home: Path) -> Path:
    """A recorded project under `home`, at whose path it now believes to be; returns its top."""
    with tarfile.open(DATA / f"{name}.tar.gz") as archive:
        for member in archive.getmembers():
            assert member.name.split("/")[0] == "project", member.name
            assert member.isfile() or member.isdir(), member.name
        archive.extractall(home)
    for path in (home / "project").rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        if b"@HOME@" in content:
            path.write_bytes(content.replace(b"@HOME@", str(home).encode()))
    return home / "project"


class Continued:
    """A recording that the present code has gone on with: `found` says where it went another way than 0.2.0."""

    def __init__(self, name: str, archive: str, home: Path) -> None:
        self.recorded = RECORDED[name]
        self.root = unpack(archive, home)
        self.ledger = self.root / "autoresearch.jsonl"
        if name == "foreign":
            self.ledger.write_text((DATA / "foreign.jsonl").read_text().replace("@HOME@", str(home)))
        before = self.ledger.read_bytes() if self.ledger.exists() else b""
        self.found: list[str] = []
        exact = True
        for step in self.recorded["steps"]:
            if "path" in step:
                file = self.root / step["path"]
                file.write_text(file.read_text().replace(step["old"], step["new"]))
                continue
            words = " ".join(step["args"])
            exact = exact and any(words.startswith(read) for read in READS)
            self.found += self._step(step, words, home, exact=exact)
        after = self.ledger.read_bytes()
        assert after.startswith(before), "a line of the recorded ledger was rewritten"
        self.lines = [json.loads(line) for line in after[len(before) :].splitlines() if line.startswith(b"{")]

    def _step(self, step: dict[str, Any], words: str, home: Path, *, exact: bool) -> Iterator[str]:
        done = subprocess.run(
            [sys.executable, "-m", "autoresearch", *step["args"], *([] if step["text"] else ["--json"])],
            cwd=self.root,
            env={**os.environ, "HOME": str(home), "PYTHONPATH": str(REPO / "helpers")},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode != step["code"] or "Traceback" in done.stderr:
            yield f"{words}: exit {done.returncode}, not {step['code']}: {done.stdout}{done.stderr}"
            return
        said = done.stdout.replace(str(home), "@HOME@")
        answer = said if step["text"] else json.loads(said)
        if isinstance(answer, dict):
            answer.pop("foreign", None)  # names the keys with text of others, since 0.4.0: tests/test_foreign_text.py
        if words == "doctor":  # what it finds is the machine's
            yield from differences(step["answer"]["ready"], answer["ready"], where=words)
        elif words in REWORDED:
            row = re.compile(r"^(\d+)\*? +([0-9a-f]{7})", re.MULTILINE)
            told = [row.findall(text) for text in (step["answer"], answer)]
            yield from differences(*told, where=words)
            assert told[0]
        else:
            old = GIVEN_UP.sub("", step["answer"]) if words.startswith("log --export") else step["answer"]
            yield from (f"{words}: {d}" for d in differences(old, answer, exact=exact))


@pytest.fixture(scope="module", params=["baseline", "loop", "foreign"])
def continued(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Continued:
    name: str = request.param
    home = tmp_path_factory.mktemp(name)
    return Continued(name, "loop" if name == "foreign" else name, home)


def test_every_command_answers_as_before(continued: Continued) -> None:
    """Reading: to the letter. Deciding, measuring, auditing, the pinned evaluator taken and the edited one refused."""
    assert continued.found == []


def test_the_ledger_gets_lines_with_the_same_fields_in_the_same_order(continued: Continued) -> None:
    old, new = continued.recorded["lines"], continued.lines
    assert [line.get("type", line.get("status")) for line in new] == [
        line.get("type", line.get("status")) for line in old
    ]
    assert [d for pair in zip(old, new, strict=True) for d in differences(*pair)] == []


def test_the_documents_are_the_same(continued: Continued) -> None:
    for name, old in zip(("autoresearch.md", "IMPROVEMENTS.md"), continued.recorded["documents"], strict=True):
        new = (continued.root / name).read_text()
        assert neutral(new).splitlines() == neutral(old).splitlines()


def test_the_recording_holds_every_kind_of_record_and_of_refusal() -> None:
    lines = [line for part in ("baseline", "loop", "foreign") for line in RECORDED[part]["lines"]]
    kinds = {line.get("type", line.get("status")) for line in lines}
    assert kinds == {"config", "experiment", "job", "test", "audit", "revert", "keep", "discard", "crash"}
    refused = {step["args"][0] for step in RECORDED["loop"]["steps"] if step.get("code") == 5}
    assert refused == {"run", "ab", "decide", "new"}
