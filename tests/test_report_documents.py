"""The rendered documents: foreign text stays text, the author's prose stays the author's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from autoresearch.errors import EnvironmentMissing
from autoresearch.ledger.history import fold
from autoresearch.project import Project
from autoresearch.report import documents, markers
from autoresearch.report.escape import markdown, plain
from autoresearch.report.render import render, render_all
from autoresearch.report.view import build
from autoresearch.resources import shipped
from report_sessions import baseline, experiment, header, session, write_ledger

TEMPLATE = shipped("templates/autoresearch.md").read_text(encoding="utf-8")
PEERS = ["Objective", "Metrics", "How to Run", "Files in Scope", "Off Limits", "Constraints", "What's Been Tried"]
OURS = {"baseline": "Baseline", "noise": "Noise", "literature": "Literature", "log": "Experiment log"}

pieces = st.sampled_from(
    [
        *("|", "||", "\\", "`", "```", "<b>", "</td>", "<!--", "-->", "&lt;", "&", "[x](http://a.b)", "![i](u)"),
        *("<!-- autoresearch:end log -->", "<!-- autoresearch:begin log -->", "\n", "\r\n", "\u2028", "\x1b[31m"),
        *("www.a.b", "a@b.c", "@user", "http://a.b", "*", "_", "__", "~~", "$", "# ", "- ", "{{goal}}", "\u202e"),
        *("\u200b", "\U000e0041", "\ud800", "word", " ", "字"),
    ]
)
nasty = st.one_of(st.text(max_size=40), st.lists(pieces, max_size=12).map("".join))


def document(existing: bytes | None = None, records: list[dict[str, Any]] | None = None) -> bytes:
    return documents.session_document(existing, TEMPLATE, build(fold(records or session())))[0]


def unescaped(text: str, chars: str) -> list[str]:
    """Occurrences of `chars` that no backslash takes the meaning from."""
    return re.findall(rf"(?:\\.)|([{re.escape(chars)}])", text)


@given(nasty)
@example("a\\|b")
@example("<!-- autoresearch:end log -->")
def test_escaped_text_holds_no_structure(text: str) -> None:
    escaped = markdown(text, 100)
    assert not re.search(r"[|<>`@\n\r\x00-\x1f\u2028\u202e\u200b]", escaped)
    assert not [c for c in unescaped(re.sub("&#[0-9]+;", "", escaped), "*[]{}#~$") if c]
    assert "://" not in escaped
    assert "www." not in escaped.lower()
    assert not re.search(r"&(?!amp;|lt;|gt;|#124;|#96;)[#\w]", escaped)
    escaped.encode("utf-8")


@given(nasty, st.integers(1, 80))
def test_escaped_text_is_readable_back(text: str, limit: int) -> None:
    shown = plain(text, limit)
    assert len(shown) <= limit
    back = re.sub(r"\\(.)", r"\1", markdown(text, limit))
    for entity, char in {"&lt;": "<", "&gt;": ">", "&#124;": "|", "&#96;": "`", "＠": "@", "&amp;": "&"}.items():
        back = back.replace(entity, char)
    assert back == shown.replace("＠", "@")


def test_words_that_need_no_escape_stay_as_they_are() -> None:
    assert markdown("parse_fast_path: 3.5 ms -> (2.1 ms), a && b; don't!") == (
        "parse_fast_path: 3.5 ms -&gt; (2.1 ms), a && b; don't!"
    )


@settings(max_examples=60)
@given(nasty, nasty, nasty, nasty)
def test_foreign_text_never_breaks_a_document(goal: str, description: str, hypothesis: str, name: str) -> None:
    hostile = experiment(
        2,
        "keep",
        3.0,
        description=description,
        hypothesis=hypothesis,
        files=[name],
        source=name,
        experiment=name or "e",
    ) | {"commit": name, "error": description}
    records = [header(goal=goal, name=name, metricName=name, metricUnit=name), baseline(machine=name), hostile]
    text = document(records=records).decode()
    spots, warnings = markers.find(text.encode())
    assert [s.name for s in spots] == ["baseline", "noise", "literature", "log"]
    assert not warnings
    rows = [line for line in text.split("\n") if line.startswith("|")]
    assert len(rows) == 3
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {8}

    wins = documents.improvements(build(fold(records)))
    for rendered in (text, wins):
        without = re.sub(r"^<!-- autoresearch:[^\n]* -->$", "", rendered, flags=re.MULTILINE)
        assert not re.search(r"<[a-zA-Z/!]", without)
        assert "](" not in without.replace("\\]", "")
        headings = [line for line in without.split("\n") if line.startswith("#")]
        assert len(headings) == (12 if rendered is text else 2)


def test_a_new_document_has_the_peers_sections_and_ours() -> None:
    text = document().decode()
    assert text.startswith("# Autoresearch: Parse faster\n")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert sorted(headings) == sorted([*PEERS, *OURS.values()])
    assert "{{" not in text
    assert "| 4 | e5 | keep | +20.0 % [+18.0, +22.0] | 12 | change 5 | because 5 |" in text
    assert "| 5 | e6 | checks_failed |  | 0 | change 6 | checks failed (exit 1) |" in text
    assert "sum of claims +28.0 %, not yet re-verified" in text
    assert "- arXiv:1902.08318: e5 (keep +20.0 % [+18.0, +22.0])" in text


def test_rendering_twice_gives_the_same_bytes() -> None:
    once = document()
    assert document(once) == once


prose = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=60).map(lambda t: t.encode("utf-8", "replace")),
    st.sampled_from([b"## Mine\r\n", b"\xff\xfe", b"no newline", b"\n\n", b"<!-- autoresearch:begin -->\n"]),
)


@given(st.lists(prose, min_size=5, max_size=5))
def test_prose_outside_the_markers_is_preserved_byte_for_byte(texts: list[bytes]) -> None:
    # A marker counts only on a line of its own, so the author's text ends its line before one.
    ended = [t + b"\n" for t in texts[:4]]
    whole = b""
    for text, name in zip(ended, OURS, strict=True):
        whole += text + markers.begin(name).encode() + b"\nold\n" + markers.end(name).encode() + b"\n"
    whole += texts[4]
    result = document(whole)
    spots, _ = markers.find(result)
    assert [s.name for s in spots] == list(OURS)
    left, at = [], 0
    for spot in spots:
        begin, end = markers.begin(spot.name).encode() + b"\n", markers.end(spot.name).encode() + b"\n"
        left.append(result[at : spot.start - len(begin)])
        at = spot.end + len(end)
    assert [*left, result[at:]] == [*ended, texts[4]]
    assert b"\nold\n" not in result
    assert document(result) == result


@given(prose)
def test_missing_sections_are_appended_and_nothing_else_changes(text: bytes) -> None:
    result = document(text)
    assert result.startswith(text)
    assert [s.name for s in markers.find(result)[0]] == list(OURS)
    assert document(result) == result


def test_a_damaged_marker_destroys_nothing() -> None:
    mine = b"# Mine\n\n<!-- autoresearch:begin log -->\n| old |\n\nMy own words after a lost end marker.\n"
    result, warnings = documents.session_document(mine, TEMPLATE, build(fold(session())))
    assert result.startswith(mine)
    assert len(warnings) == 1
    assert "line 3" in warnings[0]
    assert "begin log" in warnings[0]
    assert result.count(b"| 4 | e5 | keep |") == 1
    again, warned = documents.session_document(result, TEMPLATE, build(fold(session())))
    assert again == result
    assert warned == warnings


def test_the_line_ends_of_the_author_are_used() -> None:
    mine = b"# Mine\r\n<!-- autoresearch:begin log -->\r\n<!-- autoresearch:end log -->\r\n"
    result = document(mine)
    assert result.startswith(mine[: mine.index(b"<!-- autoresearch:end")])
    assert b"\n" not in result.replace(b"\r\n", b"")


def test_a_long_log_is_cut_and_says_so() -> None:
    many = [header(), baseline(), *(experiment(n, "discard", -1.0) for n in range(2, 302))]
    text = document(records=many).decode()
    assert text.count("\n| ") == documents.LOG_ROWS + 1
    assert "100 earlier experiments not shown; the ledger has them all." in text


def test_improvements_tell_each_win_and_the_honest_total() -> None:
    text = documents.improvements(build(fold(session())))
    assert text.startswith("# Improvements: Parse faster\n")
    assert "The sum of the claims is +28.0 %" in text
    assert "a fresh comparison of the tip with the original baseline is what counts" in text
    second = text[text.index("## 2. change 5") :]
    for line in (
        "- Problem: guess 5",
        "- Solution: change 5",
        "- Files: src/a.py",
        "- Effect: +20.0 % [+18.0, +22.0] (95 % interval, against its own base), 12 runs",
        "- Commit: `0000005`, experiment e5",
        "- Source: arXiv:1902.08318",
    ):
        assert line in second
    assert "change 3" not in text


def test_improvements_without_a_win() -> None:
    text = documents.improvements(build(fold([header(), baseline(), experiment(2, "discard", -1.0)])))
    assert "No improvement is kept yet" in text


def test_render_all_writes_beside_the_ledger_and_repeats_itself(tmp_path: Path) -> None:
    write_ledger(tmp_path, session())
    paths = render_all(Project(tmp_path), chart=False)
    assert [p.name for p in paths] == ["autoresearch.md", "IMPROVEMENTS.md"]
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in paths}
    assert render(tmp_path / "autoresearch.jsonl", tmp_path, chart=False).changed == []
    assert before == {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in paths}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["IMPROVEMENTS.md", "autoresearch.jsonl", "autoresearch.md"]


def test_render_all_before_the_baseline_takes_the_goal_of_the_config(project: Project) -> None:
    render_all(project, chart=False)
    text = project.document.read_text()
    assert text.startswith("# Autoresearch: Fewer steps\n")
    assert "Not measured yet." in text


def test_someone_elses_improvements_file_is_left_alone(tmp_path: Path) -> None:
    write_ledger(tmp_path, session())
    (tmp_path / "IMPROVEMENTS.md").write_text("# My plans\n")
    done = render(tmp_path / "autoresearch.jsonl", tmp_path, chart=False)
    assert (tmp_path / "IMPROVEMENTS.md").read_text() == "# My plans\n"
    assert any("IMPROVEMENTS.md" in warning for warning in done.warnings)


def test_a_planted_link_is_replaced_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("precious\n")
    root = tmp_path / "root"
    root.mkdir()
    write_ledger(root, session())
    (root / "autoresearch.md").symlink_to(outside)
    render_all(Project(root), chart=False)
    assert outside.read_text() == "precious\n"
    assert not (root / "autoresearch.md").is_symlink()


def test_a_directory_in_the_way_is_a_sentence(tmp_path: Path) -> None:
    write_ledger(tmp_path, session())
    (tmp_path / "autoresearch.md").mkdir()
    with pytest.raises(EnvironmentMissing, match="cannot read"):
        render_all(Project(tmp_path), chart=False)
