"""The ideas queue: ranking, the file under several writers, the command."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoresearch.cli import main
from autoresearch.errors import BadInput
from autoresearch.safetext import clean
from autoresearch.search.ideas import VERDICTS, file
from autoresearch.search.ideas.idea import Duplicate, Idea, calibration, find_duplicate, outcome, rank

texts = st.text(max_size=80).map(lambda text: clean(text).strip()).filter(bool)
pieces = st.sampled_from(
    ["`", "``", "|", "\\", "[", "]", "<br>", "<", "&", "*", "_", "a", "b c", ";", "\n", "[i1]", "~~"]
)
percents = st.none() | st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 4))
nasty = st.lists(pieces, min_size=1, max_size=12).map("".join).map(str.strip).filter(bool)
one_liners = texts.map(lambda text: " ".join(text.split())).filter(bool)


# Ranking


def test_rank_is_gain_times_confidence_per_cost() -> None:
    ideas = [
        Idea("i1", "a", 10, 0.5, 5),
        Idea("i2", "b", 4, 0.9, 1),
        Idea("i3", "c", 50, 0.9, 1, status="running"),
        Idea("i4", "d"),
        Idea("i5", "e", -3, 1),
    ]
    ranked = rank(ideas)
    assert [(item.idea.id, item.score) for item in ranked] == [
        ("i2", pytest.approx(3.6)), ("i1", 1.0), ("i4", 0.5), ("i5", -3.0)
    ]  # fmt: skip
    assert ranked[0].reasons == ("4 % x 0.9 / cost 1",)
    assert ranked[2].reasons == ("1 % x 0.5 / cost 1 (gain and confidence assumed)",)


def test_a_source_that_failed_is_discounted_after_three_tries() -> None:
    new = Idea("i0", "new", 4, 0.5, source="fork:https://x")
    tries = [Idea(f"i{n}", "t", status="discard", source="fork:y") for n in range(1, 3)]
    kept = [Idea(f"k{n}", "t", status="keep", source="profile") for n in range(3)]
    assert rank([new, *tries, *kept])[0].score == 2
    tries.append(Idea("i3", "t", status="crash", source="fork:z"))
    item = rank([new, *tries, *kept])[0]
    # Beta(1,1): forks (0+1)/(3+2) = 0.2, all (3+1)/(6+2) = 0.5.
    assert item.score == pytest.approx(2 * 0.2 / 0.5)
    assert item.reasons[1] == "source fork: 0 of 3 kept, x0.40"
    assert rank([new, *tries, *kept], history=False)[0].score == 2


@given(
    st.lists(st.tuples(st.sampled_from(["profile", "arxiv:1", ""]), st.sampled_from([*VERDICTS, "open"])), max_size=30)
)
def test_history_never_raises_a_score(done: list[tuple[str, str]]) -> None:
    ideas = [Idea(f"i{n}", "t", 3, 0.5, 1, source, status=status) for n, (source, status) in enumerate(done)]
    for item in rank(ideas):
        assert 0 < item.score <= 1.5


def test_duplicates() -> None:
    ideas = [Idea("i1", "Use a tile size of 32", status="discard"), Idea("i2", "Sort the keys once, outside the loop")]
    same = find_duplicate("  sort the KEYS once -- outside the loop!", ideas)
    assert same is not None
    assert (same.idea.id, same.similarity) == ("i2", 1)
    near = find_duplicate("Sort the key once, outside of the loop", ideas)
    assert near is not None
    assert near.idea.id == "i2"
    assert not near.numbers_only
    variant = find_duplicate("use a tile size of 64", ideas)
    assert variant is not None
    assert variant.numbers_only
    assert find_duplicate("Hash the keys instead of sorting them", ideas) is None
    assert find_duplicate("???", [Idea("i1", "!!!")]) is None


def test_outcome_and_calibration() -> None:
    def idea(gain: float | None, measured: float | None, status: str = "keep") -> Idea:
        return Idea("i1", "t", gain, 0.5, status=status, measured_pct=measured)

    assert [outcome(idea(4, m)) for m in (4, 2, 8, 1.9, 8.1, -3)] == [
        "hit", "hit", "hit", "undershoot", "overshoot", "undershoot"
    ]  # fmt: skip
    assert outcome(idea(None, 4)) is outcome(idea(4, None)) is outcome(idea(0, 4)) is None
    worth = calibration([idea(4, 4), idea(4, 1, "discard"), idea(None, 3), idea(5, None, "open")])
    assert worth == {
        "judged": 2, "hit": 1, "overshoot": 0, "undershoot": 1, "measured_over_predicted": 0.625,
        "tried": 3, "kept": 2, "mean_confidence": 0.5,
    }  # fmt: skip
    assert calibration([])["measured_over_predicted"] is None


# The file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "autoresearch.ideas.md"


def test_a_missing_file_has_no_ideas(path: Path) -> None:
    assert file.load(path) == []
    with pytest.raises(BadInput, match="no idea i1"):
        file.mark(path, "i1", "keep")
    assert not path.exists()


@settings(max_examples=60)
@given(
    texts | nasty,
    percents,
    st.none() | st.floats(0, 1).map(lambda value: round(value, 4)),
    st.floats(0.01, 1000).map(lambda value: round(value, 4)),
    one_liners,
)
def test_what_is_added_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    text: str,
    gain: float | None,
    confidence: float | None,
    cost: float,
    source: str,
) -> None:
    path = tmp_path_factory.mktemp("ideas") / "autoresearch.ideas.md"
    file.add(path, Idea("", "zzzz"), force=True)
    file.add(path, Idea("", text, gain, confidence, cost, source, "io"), force=True)
    read = file.get(path, "i2")
    assert read == Idea("i2", text, gain, confidence, cost, source, "io", line=read.line)


def test_mode_bom_bytes_and_links_survive(path: Path) -> None:
    real = path.parent / "real.md"
    raw = b"\xef\xbb\xbf# T\xff\r\n\r\n- idea \xfe one\r\n\r\ntail \xf0\x9f"
    real.write_bytes(raw)
    real.chmod(0o640)
    path.symlink_to(real.name)
    file.mark(path, "i1", "running", note="e1")
    assert path.is_symlink()
    assert real.read_bytes() == raw.replace(b"- idea", b"- [i1; running: e1] idea")
    assert real.stat().st_mode & 0o777 == 0o640
    assert [item.name for item in path.parent.iterdir() if item.suffix == ".tmp"] == []


def test_an_id_is_never_given_twice(path: Path) -> None:
    file.add(path, Idea("", "first thing"))
    file.add(path, Idea("", "another matter"))
    path.write_text(path.read_text().replace("another matter", "x").split("| i2")[0])
    added = file.add(path, Idea("", "a third way"))
    assert isinstance(added, Idea)
    assert added.id == "i3"


def test_reading_does_not_write(path: Path) -> None:
    path.write_text("- one\n")
    assert file.load(path)[0].id == "i1"
    assert path.read_text() == "- one\n"
    file.number(path)
    assert path.read_text() == "- [i1] one\n"
    stamp = path.stat().st_mtime_ns, path.stat().st_ino
    file.number(path)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == stamp


def test_mark_refuses_unknown_words(path: Path) -> None:
    file.add(path, Idea("", "x"))
    with pytest.raises(BadInput, match="no status"):
        file.mark(path, "i1", "kept")


def test_a_failed_write_leaves_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.add(path, Idea("", "x"))
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Exception, match="No space left"):
        file.mark(path, "i1", "keep")
    assert path.read_bytes() == before
    assert not list(path.parent.glob(".*.tmp"))


PROCESSES, EACH = 8, 5


def _add_many(path: str, worker: int) -> None:
    for number in range(EACH):
        file.add(Path(path), Idea("", f"worker {worker} idea {number}"), force=True)


def _claim_many(path: str, worker: int) -> None:
    while file.claim(Path(path), 1, f"w{worker}"):
        pass


def _together(target: Any, path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=target, args=(str(path), number)) for number in range(PROCESSES)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0


def test_eight_processes_at_once(path: Path) -> None:
    path.write_text("Prose.\n\n- by hand\n")
    _together(_add_many, path)
    ideas = file.load(path)
    assert len(ideas) == PROCESSES * EACH + 1
    assert {idea.id for idea in ideas} == {f"i{number}" for number in range(1, PROCESSES * EACH + 2)}
    assert len({idea.text for idea in ideas}) == len(ideas)
    assert path.read_text().startswith("Prose.\n\n- [i1] by hand\n")
    _together(_claim_many, path)
    assert all(idea.status == "claimed" and idea.note.startswith("w") for idea in file.load(path))


# The command


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, dict[str, Any]]:
    """Exit code and the JSON object, which is one line under 2 kB."""
    with pytest.raises(SystemExit) as ended:
        main(["ideas", *args, "--json"])
    out = capsys.readouterr().out
    assert len(out) < 2000
    assert out.count("\n") == 1
    return int(ended.value.code or 0), json.loads(out)


def test_an_empty_queue_asks_for_a_profile_first(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, data = run(capsys, "next")
    assert (code, data["ideas"]) == (1, [])
    assert "profile" in data["why"]
    assert data["next"].startswith("autoresearch ideas add ")


def test_the_queue_from_add_to_done(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, data = run(capsys, "add", "Reuse the buffer", "--gain", "5", "--confidence", "0.6", "--cost", "2",
                     "--source", "arxiv:2101.00001", "--class", "memory")  # fmt: skip
    assert (code, data["id"], data["next"]) == (0, "i1", "autoresearch ideas next")
    page = (project / "autoresearch.ideas.md").read_text()
    assert page.startswith("# Autoresearch ideas\n")
    assert "| i1 | Reuse the buffer | 5 | 0.6 | 2 | arxiv:2101.00001 | memory | open |\n" in page

    code, data = run(capsys, "add", "reuse the BUFFER.")
    assert (code, data["duplicate_of"]) == (1, "i1")
    assert run(capsys, "add", "reuse the BUFFER.", "--force")[1]["id"] == "i2"

    code, data = run(capsys, "rank")
    assert [(idea["id"], idea["score"]) for idea in data["ideas"]] == [("i1", 1.5), ("i2", 0.5)]

    (project / "autoresearch.jsonl").write_text(
        '{"run":1,"experiment":"e6"}\n{"type":"experiment","experiment": "e3"}\n'
    )
    code, data = run(capsys, "next", "--n", "2")
    assert [idea["start"] for idea in data["ideas"]] == [
        "autoresearch new e7 --idea i1", "autoresearch new e8 --idea i2"
    ]  # fmt: skip
    assert data["next"] == "autoresearch new e7 --idea i1"
    code, data = run(capsys, "next", "--n", "2", "--claim", "agent 1")
    assert [idea["start"] for idea in data["ideas"]] == [
        "autoresearch new --idea i1 --as 'agent 1'", "autoresearch new --idea i2 --as 'agent 1'"
    ]  # fmt: skip
    assert run(capsys, "next")[0] == 1

    code, data = run(capsys, "done", "i1", "--measured", "1.5", "--verdict", "keep")
    assert (code, data["status"], data["outcome"], data["predicted_pct"]) == (0, "keep", "undershoot", 5)
    assert run(capsys, "drop", "i2", "--why", "same as i1")[1]["note"] == "same as i1"
    code, data = run(capsys, "list")
    assert data["counts"] == {"keep": 1, "dropped": 1}
    assert data["calibration"]["undershoot"] == 1
    assert run(capsys, "reopen", "i2")[1]["status"] == "open"
    assert run(capsys, "list", "--status", "open")[1]["ideas"] == [
        {"id": "i2", "text": "reuse the BUFFER.", "status": "open", "cost": 1.0, "class": "other"}
    ]


def test_hand_written_bullets_get_ids_from_next(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = project / "autoresearch.ideas.md"
    page.write_text("Thoughts:\n\n- [ ] unroll the loop\n- tried nothing yet")
    code, data = run(capsys, "next")
    assert (code, data["ideas"][0]["id"]) == (0, "i1")
    assert page.read_text() == "Thoughts:\n\n- [ ] [i1] unroll the loop\n- [i2] tried nothing yet"


def test_many_long_ideas_still_fit(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = project / "autoresearch.ideas.md"
    path.write_text("".join(f"- {n} {'é🦊' * 90}\n" for n in range(200)))
    for words in (("list",), ("rank",), ("next", "--n", "50", "--claim", "w" * 250)):
        code, data = run(capsys, *words)
        assert code == 0
        assert data["ideas"]
        assert data["left_off"] + len(data["ideas"]) in (50, 200)


@pytest.mark.parametrize(
    "words",
    [
        ("add", "x", "--confidence", "1.5"),
        ("add", "x", "--gain", "nan"),
        ("add", "x", "--cost", "0"),
        ("add", " \x1b[0m "),
        ("add", "x", "--class", "magic"),
        ("done", "i1", "--measured", "inf"),
        ("done", "i99"),
        ("drop", "i1"),
        ("next", "--claim", " "),
        ("next", "--n", "0"),
    ],
)
def test_wrong_use_is_exit_2(project: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["ideas", *words])
    assert ended.value.code == 2
    assert not (project / "autoresearch.ideas.md").exists()
    assert "Traceback" not in capsys.readouterr().err


def test_people_read_no_escape_sequences(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "autoresearch.ideas.md").write_text("- evil \x1b[31mred\u202e text\n")
    with pytest.raises(SystemExit):
        main(["ideas", "list"])
    out = capsys.readouterr().out
    assert "evil red text" in out
    assert "\x1b" not in out


def test_add_tells_a_person_of_a_duplicate(path: Path) -> None:
    file.add(path, Idea("", "Cache the parsed header"))
    twin = file.add(path, Idea("", "Cache the parsed headers"))
    assert isinstance(twin, Duplicate)
    assert twin.idea.id == "i1"
