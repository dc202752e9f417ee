"""Bounded iterations and the summary of every ten experiments."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from autoresearch.config import load_config
from autoresearch.ledger.lines import RunLine, read_as
from autoresearch.report.progress import EVERY, tens
from driver import Driver


def run(status: str = "discard", effect: object = None, **more: Any) -> RunLine:
    record = {"status": status, "verdict": {"effect_pct": effect}, "runs_used": 12, "seconds": 30.0, **more}
    return read_as(RunLine, record)


def test_ten_experiments_in_a_line() -> None:
    ten = [run("keep", 10.0, source="profile"), run("keep", 20.0, source="arxiv:2101.00001"), run("crash"),
           *[run(source="profile")] * 7]  # fmt: skip
    (line,) = tens([*ten, *[run()] * 9])
    assert line == (
        "experiments 1 to 10: 2 kept, 7 discarded, 1 crashed; +28.0 % claimed; 120 runs, 5 min; "
        "kept by source: profile 1/8, arxiv 1/1, no source 0/1"
    )
    assert tens(ten[:9]) == []
    assert [t.split(":", 1)[0] for t in tens(ten * 2)] == ["experiments 1 to 10", "experiments 11 to 20"]


odd = st.none() | st.integers() | st.floats() | st.text(max_size=3) | st.lists(st.none(), max_size=1)


@given(
    st.lists(
        st.fixed_dictionaries({}, optional={
            "status": odd | st.sampled_from(["keep", "discard"]), "runs_used": odd, "seconds": odd, "source": odd,
            "verdict": odd | st.fixed_dictionaries({"effect_pct": odd}),
        }), max_size=25))  # fmt: skip
def test_any_run_lines_are_summarised(runs: list[dict[str, Any]]) -> None:
    assert len(tens([read_as(RunLine, record) for record in runs])) == len(runs) // EVERY


def test_ten_iterations_then_it_ends(fresh: Driver) -> None:
    code, data = fresh.until_done("baseline", "--timeout", "20", "--max-iterations", "10")
    assert code == 0
    assert load_config(fresh.project.root).stop.max_experiments == 10
    for number in range(1, 10):
        fresh.open(f"e{number}", "--source", "profile")
        code, data = fresh("decide", f"e{number}", "--abandon")
        assert (code, "summary" in data) == (1, False)
    assert fresh("status")[1]["summary"] is None
    fresh.open("e10")
    # What is open counts, or a wave would overrun the bound.
    code, data = fresh("new", "e11", "--hypothesis", "one more")
    assert (code, data["next"]) == (1, "autoresearch status")
    code, data = fresh("decide", "e10", "--abandon")
    assert data["summary"].startswith("experiments 1 to 10: 0 kept, 10 discarded")
    code, data = fresh("status")
    assert (code, data["stop"]["near"]["experiments"]) == (4, "10/10")
    assert data["summary"].startswith("experiments 1 to 10")
    assert fresh("new", "e11", "--hypothesis", "one more")[0] == 4
    document = fresh.project.document.read_text()
    assert "## Every ten experiments" in document
    assert "- experiments 1 to 10: 0 kept, 10 discarded" in document
