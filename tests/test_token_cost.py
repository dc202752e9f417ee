"""What an agent reads stays affordable: benchmarks/token_cost.py holds the limits, and its estimate is from above."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[1]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("token_cost", ROOT / "benchmarks/token_cost.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["token_cost"] = module
    spec.loader.exec_module(module)
    return module


token_cost = _load()
# What the answers of commands may add at the start of a session; the toy session below measures it.
ANSWERS = 1200


@pytest.mark.parametrize(("text", "tokens"), token_cost.RECORDED)
def test_the_estimate_is_from_above(text: str, tokens: int) -> None:
    assert tokens <= token_cost.estimate(text) <= 2 * tokens


@given(st.text(max_size=300), st.text(max_size=300))
def test_more_text_costs_more(one: str, two: str) -> None:
    assert token_cost.estimate(one) >= len(one) / 3.5
    assert token_cost.estimate(f"{one}\n{two}") >= max(token_cost.estimate(one), token_cost.estimate(two))


def test_the_documents_leave_room_for_the_answers() -> None:
    words = sum(token_cost.estimate((ROOT / name).read_text()) for name in ("SKILL.md", "instructions.md"))
    assert words <= token_cost.START_LIMIT - ANSWERS


def test_a_playbook_costs_less_than_the_instructions() -> None:
    most = token_cost.estimate((ROOT / "instructions.md").read_text())
    for path in (ROOT / "references").glob("*.md"):
        assert token_cost.estimate(path.read_text()) < most, path.name


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_real_session_keeps_to_the_limits(capsys: pytest.CaptureFixture[str]) -> None:
    code = token_cost.main()
    said = capsys.readouterr().out
    assert code == 0, said
    assert f"at the start of a session, of {token_cost.START_LIMIT}" in said
    assert f"for experiment 2, of {token_cost.EXPERIMENT_LIMIT}" in said
    assert "tokens by: " in said
