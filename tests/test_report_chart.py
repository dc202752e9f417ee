"""The chart: drawn from any view, the same bytes every time, nothing foreign in it but letters."""

from __future__ import annotations

import struct
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from autoresearch.errors import EnvironmentMissing
from autoresearch.ledger.history import fold
from autoresearch.project import Project
from autoresearch.report.chart import draw, limits
from autoresearch.report.render import render, render_all
from autoresearch.report.view import build
from report_sessions import baseline, experiment, header, session, write_ledger


def long_session(count: int) -> list[dict[str, Any]]:
    cycle = ["discard", "discard", "keep", "crash", "discard", "checks_failed"]
    runs = []
    for n in range(2, count + 2):
        status = cycle[n % 6]
        runs.append(experiment(n, status, {"keep": 1.0, "discard": -2.0}.get(status)))
    return [header(), baseline(), *runs]


@pytest.mark.parametrize("count", [0, 1, 10, 300])
def test_any_number_of_experiments(count: int) -> None:
    pictures = draw(build(fold(long_session(count))), ("svg", "png"))
    assert struct.unpack(">II", pictures["png"][16:24]) == (1200, 600)
    root = ET.fromstring(pictures["svg"])
    assert root.tag.endswith("svg")
    ids = {node.get("id", "").split("_")[0] for node in root.iter()}
    assert "axes" in ids


def test_the_same_view_gives_the_same_bytes() -> None:
    assert draw(build(fold(session())), ("svg", "png")) == draw(build(fold(session())), ("svg", "png"))


def test_the_users_style_and_the_clock_leave_no_trace() -> None:
    import matplotlib

    plain = draw(build(fold(session())))["svg"]
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30, "svg.hashsalt": None}):
        assert draw(build(fold(session())))["svg"] == plain
    assert b"<dc:date>" not in plain


@pytest.mark.parametrize(
    "verdict",
    [
        {"ci_low_pct": None, "ci_high_pct": None},
        {"ci_low_pct": float("nan"), "ci_high_pct": float("inf")},
        {"ci_low_pct": 50.0, "ci_high_pct": -50.0},
        {"effect_pct": None},
        {"effect_pct": -999999.0},
        {"effect_pct": 0.0, "ci_low_pct": 0.0, "ci_high_pct": 0.0},
    ],
)
@pytest.mark.parametrize("status", ["keep", "discard"])
def test_odd_intervals(verdict: dict[str, Any], status: str) -> None:
    odd = experiment(3, status, 5.0)
    odd["verdict"] |= verdict
    assert draw(build(fold([header(), baseline(), odd])))["svg"]


@pytest.mark.filterwarnings("error")
def test_foreign_text_is_drawn_as_letters() -> None:
    hostile = "<script>alert(1)</script> $\\frac{$ -- --> & 字 \U0001f600 \x1b[31m \ud800"
    view = build(fold([header(goal=hostile, metricName=hostile, metricUnit="$"), baseline(), *hostile_runs(hostile)]))
    svg = draw(view, ("svg", "png"))["svg"]
    tags = {node.tag.split("}")[-1] for node in ET.fromstring(svg).iter()}
    assert not tags & {"script", "a", "image", "foreignObject"}


def hostile_runs(text: str) -> list[dict[str, Any]]:
    return [experiment(2, "keep", 5.0, description=text), experiment(3, "keep", 5.0, description=text * 50)]


def test_one_wild_discard_does_not_flatten_the_picture() -> None:
    runs = [experiment(n, "keep" if n % 4 == 0 else "discard", 2.0 if n % 4 == 0 else -1.0) for n in range(2, 40)]
    low, high = limits(build(fold([header(), baseline(), *runs, experiment(50, "discard", -5000.0)])).current)
    assert low > -60
    assert high > build(fold([header(), baseline(), *runs])).current.claimed


def test_all_keeps_are_inside_the_picture() -> None:
    segment = build(fold([header(), baseline(), *(experiment(n, "keep", 15.0) for n in range(2, 30))])).current
    low, high = limits(segment)
    assert all(low < e.position < high for e in segment.keeps if e.position is not None)


def test_without_matplotlib_the_documents_still_render(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_ledger(tmp_path, session())
    for name in [m for m in sys.modules if m.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(EnvironmentMissing, match="matplotlib"):
        render(tmp_path / "autoresearch.jsonl", tmp_path, chart=True)
    done = render(tmp_path / "autoresearch.jsonl", tmp_path)
    assert [p.name for p in done.paths] == ["autoresearch.md", "IMPROVEMENTS.md"]
    assert len(done.warnings) == 1
    assert "autoresearch.svg" not in (tmp_path / "IMPROVEMENTS.md").read_text()


def test_the_chart_is_shown_in_the_improvements(tmp_path: Path) -> None:
    write_ledger(tmp_path, session())
    names = [p.name for p in render_all(Project(tmp_path))]
    assert names == ["autoresearch.svg", "autoresearch.md", "IMPROVEMENTS.md"]
    assert "](autoresearch.svg)" in (tmp_path / "IMPROVEMENTS.md").read_text()
