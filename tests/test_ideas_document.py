"""The format of the ideas file: cells, statuses, tags, tables and lists that people write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from autoresearch.errors import BadInput
from autoresearch.safetext import clean
from autoresearch.search import mdtext
from autoresearch.search.ideas import STATUSES
from autoresearch.search.ideas.document import TABLE, Document
from autoresearch.search.ideas.fields import format_status, format_tag, read_status, read_tag
from autoresearch.search.ideas.idea import Idea
from peer_logs import CORPUS

texts = st.text(max_size=80).map(lambda text: clean(text).strip()).filter(bool)
pieces = st.sampled_from(
    ["`", "``", "|", "\\", "[", "]", "<br>", "<", "&", "*", "_", "a", "b c", ";", "\n", "[i1]", "~~"]
)
nasty = st.lists(pieces, min_size=1, max_size=12).map("".join).map(str.strip).filter(bool)
one_liners = texts.map(lambda text: " ".join(text.split())).filter(bool)


# Text in cells


@given(texts | nasty)
@example("`a|b` and `c`")
@example("\\`x`")
@example("a\\|b")
def test_a_cell_reads_back_equal(text: str) -> None:
    cell = mdtext.encode(text)
    assert "\n" not in cell
    assert mdtext.decode(cell) == text
    line = f"| i1 | {cell} | 5 |"
    spans = mdtext.cells(line)
    assert len(spans) == 3
    start, end = spans[1]
    assert line[start:end] == cell


def test_a_cell_shows_no_html_and_no_links_outside_code() -> None:
    assert mdtext.encode("<script> ![x](http://y)") == "\\<script\\> !\\[x\\](http://y)"
    assert mdtext.encode("use `Vec<u8>` in my_file") == "use `Vec<u8>` in my_file"
    assert mdtext.encode("a\nb | c") == "a<br>b \\| c"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("| a | b |", ["a", "b"]),
        ("a | b", ["a", "b"]),
        ("  |a||c|  ", ["a", "", "c"]),
        (r"| a \| b | c |", [r"a \| b", "c"]),
        ("| a |\r", ["a"]),
        ("|", [""]),
    ],
)
def test_cells_of_a_row(line: str, expected: list[str]) -> None:
    assert [line[start:end] for start, end in mdtext.cells(line)] == expected


percents = st.none() | st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 4))


@given(st.sampled_from([word for word in STATUSES if word != "other"]), percents, st.just("") | one_liners)
def test_a_status_reads_back_equal(word: str, measured: float | None, said: str) -> None:
    idea = Idea("i1", "x", status=word, measured_pct=measured, note=said)
    if "✓" in said or "✅" in said:
        return  # a person's tick, wherever it stands
    assert read_status(format_status(idea)) == (word, measured, said)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ("open", None, "")),
        ("TODO", ("open", None, "")),
        ("**keep** (+3.2 %)", ("keep", 3.2, "(+3.2 %)")),
        ("kept", ("keep", None, "")),
        ("discarded - too slow", ("discard", None, "too slow")),
        ("✅ Production", ("done", None, "✅ Production")),
        ("85% recall", ("other", None, "85% recall")),
        ("promising", ("other", None, "promising")),
    ],
)
def test_statuses_that_people_write(text: str, expected: tuple[str, float | None, str]) -> None:
    assert read_status(text) == expected


@given(one_liners, one_liners | nasty.map(lambda text: " ".join(text.split())))
def test_a_tag_reads_back_equal(source: str, said: str) -> None:
    values = {"id": "i12", "source": source, "status": f"dropped: {said}".strip()}
    tag = format_tag(values)
    assert read_tag(tag + "text") == values


# The document


def test_our_table_is_read() -> None:
    text = TABLE + "| i3 | Reuse \\| share | 5 | 0.6 | 2 | arxiv:2101.00001 | memory | keep, measured 4.5 %: good |\n"
    expected = Idea("i3", "Reuse | share", 5, 0.6, 2, "arxiv:2101.00001", "memory", "keep", 4.5, "good", line=3)
    assert Document(text).ideas() == [expected]


MIXED = """# Ideas about `tiles`

Prose | with a pipe, and a [link](x).

- [ ] First, wrapped
  over two lines
  - a detail, not an idea
- [x] Second
* Third **bold**
1. Fourth

```
- not an idea, but code
```
<!-- - nor this -->

| # | Technique | Gain | Effort |
|---|-----------|------|--------|
| 1 | Fifth | ~8 % | low |

### 1. Sixth as a heading
- **Risk**: low

## Notes
- nothing here is an idea

## Dead ends
- Seventh, tried
"""


def test_foreign_layouts_are_read() -> None:
    ideas = Document(MIXED).ideas()
    assert [(idea.id, idea.text, idea.status) for idea in ideas] == [
        ("i1", "First, wrapped over two lines", "open"),
        ("i2", "Second", "done"),
        ("i3", "Third **bold**", "open"),
        ("i4", "Fourth", "open"),
        ("i5", "Fifth", "open"),
        ("i6", "Sixth as a heading", "open"),
        ("i7", "Seventh, tried", "done"),
    ]
    assert (ideas[4].gain_pct, ideas[4].cost) == (8, 1)
    assert not any(idea.recorded for idea in ideas)


def test_numbering_changes_only_what_it_must() -> None:
    document = Document(MIXED)
    assert document.number() == 7
    added = document.text
    for tag in ("[i1] ", "[i2] ", "[i3] ", "[i4] ", "[i5] ", "[i6] ", "[i7] "):
        assert added.count(tag) == 1
        added = added.replace(tag, "")
    assert added == MIXED
    assert document.number() == 0
    assert [idea.recorded for idea in document.ideas()] == [True] * 7


def test_an_update_changes_one_line() -> None:
    document = Document(MIXED)
    document.number()
    before = document.text.split("\n")
    old = document.ideas()[0]
    document.update(old, replace(old, status="discard", measured_pct=-0.5, note="no; gain [really]"))
    after = document.text.split("\n")
    changed = [number for number, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    assert changed == [old.line - 1]
    assert after[old.line - 1] == "- [x] [i1; discard, measured -0.5 %: no\\; gain \\[really\\]] First, wrapped"
    new = document.ideas()[0]
    assert (new.status, new.measured_pct, new.note, new.text) == ("discard", -0.5, "no; gain [really]", old.text)
    document.update(new, replace(new, status="open", measured_pct=None, note=""))
    assert document.text.split("\n") == before


def test_ids_are_unique_and_foreign_ones_stay() -> None:
    text = "| ID | Idea |\n|---|---|\n| A3 | alpha |\n| i2 | beta |\n| i2 | copied |\n|  | new |\n"
    document = Document(text)
    document.number()
    assert [(idea.id, idea.text) for idea in document.ideas()] == [
        ("A3", "alpha"), ("i2", "beta"), ("i3", "copied"), ("i4", "new")
    ]  # fmt: skip
    assert "| A3 | alpha |" in document.text
    assert "| i2 | [i3] copied |" in document.text
    assert "| i4 | new |" in document.text
    first = document.ideas()[0]
    document.update(first, replace(first, status="running", note="e7"))
    assert "| A3 | [i; running: e7] alpha |" in document.text
    assert document.ideas()[0] == replace(first, status="running", note="e7")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["", "END"])
def test_append_keeps_everything_else(end: str, last: str) -> None:
    for text in (MIXED, TABLE + "| i1 | one | | | | | | |\n\nprose below\n", TABLE, "# Title\n\ntext\n"):
        text = (text + "last line" if last else text).replace("\n", end)
        document = Document(text)
        count = len(document.entries)
        document.append(Idea("i9", "new | idea"))
        lines = document.text.split(end)
        assert "\n" not in "".join(lines)
        assert Document(document.text).ideas()[-1 if count == 0 else 0]
        old = text.split(end)
        # All old lines are there, in order, and nothing of them has changed.
        rest = iter(lines)
        assert all(line in rest for line in old if line)
        found = [idea for idea in document.ideas() if idea.id == "i9"]
        assert [(idea.text, idea.status) for idea in found] == [("new | idea", "open")]


def test_append_where_it_would_be_lost_is_refused() -> None:
    with pytest.raises(BadInput, match="code block"):
        Document("text\n```\ncode").append(Idea("i1", "x"))


markdown_lines = st.sampled_from(
    ["", "# H", "## Tried", "### Notes", "- a", "- [ ] b", "- [x] [i3; keep] c", "  - d", "   wrapped", "1. e", "text",
     "```", "<!--", "-->",
     "| id | idea | status |", "|---|---|---|", "| i2 | f | open |", "| | g |", "|", "- [i9]", "- - -",
     "\t- h",
     "| A | Idea |", "### 2. head", "a | b", "--- | ---", "- `x", "- \\", "\ufeff", "\x0c", "- [i4; note"]
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(markdown_lines | st.text(max_size=15), max_size=25), st.sampled_from(["\n", "\r\n"]))
def test_any_file_survives(lines: list[str], end: str) -> None:
    text = end.join(lines)
    document = Document(text)
    assert document.text == text
    ideas = document.ideas()
    assert len({idea.id for idea in ideas}) == len(ideas)
    document.number()
    again = document.ideas()
    assert [(i.id, i.text, i.status) for i in again] == [(i.id, i.text, i.status) for i in ideas]
    assert all(idea.recorded for idea in again)
    for idea in again:
        before = document.text.split("\n")
        new = replace(idea, status="discard", measured_pct=1.5, note="why; [not]", source="arxiv:1")
        document.update(idea, new)
        after = document.text.split("\n")
        assert [n for n, (a, b) in enumerate(zip(before, after, strict=True)) if a != b] in ([idea.line - 1], [])
        assert next(i for i in document.ideas() if i.id == idea.id) == new


def corpus_files() -> list[Path]:
    return sorted(CORPUS.rglob("*ideas*.md")) if CORPUS.is_dir() else []


def test_corpus() -> None:
    files = corpus_files()
    if not files:
        pytest.skip(f"no corpus of public idea files at {CORPUS}")
    with_ideas = 0
    for path in files:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
        document = Document(text)
        assert document.text == text
        ideas = document.ideas()
        with_ideas += bool(ideas)
        document.number()
        assert [i.text for i in document.ideas()] == [i.text for i in ideas]
        untagged = document.text
        for idea in ideas:
            untagged = untagged.replace(f"[{idea.id}] ", "", 1)
        assert untagged == text
    assert with_ideas >= len(files) - 1  # one of them is all `//` comments


def test_items_that_look_like_the_rule_of_a_table_are_items() -> None:
    document = Document("- |\n- |\n")
    assert document.number() == 2
    assert [(idea.id, idea.text) for idea in document.ideas()] == [("i1", "|"), ("i2", "|")]
