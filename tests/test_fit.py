"""Answers for agents stay under 2 kB, and say how much was left off."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autoresearch.cli._fit import LIMIT, fit
from autoresearch.cli._output import to_json

names = st.text("abcdef-", min_size=1, max_size=40)


@given(st.dictionaries(names, st.text(max_size=120), max_size=80), st.lists(st.text(max_size=200), max_size=60))
def test_any_answer_fits_and_counts_what_it_left_off(stages: dict[str, str], refused: list[str]) -> None:
    data = {"next": "autoresearch status", "stages": stages, "refused": refused}
    kept = fit(data, "stages", "refused", "absent")
    assert len(to_json(kept)) < LIMIT
    assert kept["next"] == "autoresearch status"
    left = kept.get("left_off", 0)
    assert len(kept["stages"]) + len(kept["refused"]) + left == len(stages) + len(refused)
    assert list(kept["stages"]) == list(stages)[: len(kept["stages"])]
    if not left:
        assert kept == data
