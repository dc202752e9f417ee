"""The running-best chart: what was tried, what was kept, and how sure each step is.

matplotlib (extra `chart`) is imported when a chart is drawn. The same view gives the same bytes on the same
matplotlib: fixed style, fixed hash salt, no date.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from autoresearch.errors import EnvironmentMissing
from autoresearch.report.escape import plain
from autoresearch.report.fields import percent
from autoresearch.report.view import REVERTED, ExperimentView, SegmentView, View
from autoresearch.report.words import counted, plural
from autoresearch.verdict.verdict import interval_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT, DPI = 12.0, 6.0, 100
LABELS = 14
INK, GREY, FAINT, GREEN, RED, ORANGE = "#1f2328", "#57606a", "#8c959f", "#1a7f37", "#cf222e", "#bc4c00"
_STYLE: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],  # ships with matplotlib: the same picture everywhere
    "svg.hashsalt": "autoresearch",
    "svg.fonttype": "path",
    "text.parse_math": False,  # a dollar sign in a description is a dollar sign
    "axes.unicode_minus": True,
    "path.simplify": False,
}


def draw(view: View, formats: Sequence[str] = ("svg",)) -> dict[str, bytes]:
    """The chart of the current segment in each format ("svg", "png"), 1200 x 600 pixels.

    Raises `EnvironmentMissing` without matplotlib.
    """
    try:
        import matplotlib.style
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise EnvironmentMissing(
            "the chart needs matplotlib, which is not installed here",
            fix="Install it (pip install 'matplotlib>=3.8'), or go without (--no-chart)",
            next="autoresearch report --no-chart",
        ) from None
    with matplotlib.style.context(["default", _STYLE]), _quiet():
        figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.07, 0.15, 0.815, 0.705))
        _plot(figure, axes, view)
        pictures = {}
        for name in formats:
            out = io.BytesIO()
            # A date would make every rendering a change in git.
            figure.savefig(out, format=name, dpi=DPI, metadata={"Date": None} if name == "svg" else {})
            pictures[name] = out.getvalue()
    return pictures


@contextmanager
def _quiet() -> Iterator[None]:
    """A character that the font lacks is drawn as a box; a warning per character helps nobody."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield


def _plot(figure: Figure, axes: Axes, view: View) -> None:
    segment = view.current
    shown = segment.experiments
    last = max(1, shown[-1].number if shown else 1)
    margin = max(0.6, last * 0.02)
    axes.set_xlim(-margin, last + margin)
    low, high = limits(segment)
    axes.set_ylim(low, high)
    _frame(figure, axes, view)
    axes.axhline(0, color=FAINT, linewidth=0.8, zorder=1)
    _keeps(axes, segment)
    _discards(axes, [e for e in shown if e.status in ("discard", "unknown", REVERTED)])
    _failures(axes, shown)
    _best(axes, segment)
    if not _placed(shown):
        words = "no effect was measured" if shown else "no experiments yet"
        axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", color=GREY, fontsize=13)
    _legend(figure, axes)
    _label_keeps(figure, axes, segment)


def limits(segment: SegmentView) -> tuple[float, float]:
    """The y range in percent: all keeps in full, discards as far as they do not flatten the picture."""
    keeps = _placed(segment.keeps)
    values = [0.0]
    for e, at in keeps:
        values += [at, e.best]
    core = max(values) - min(values)
    # An interval or a discard may take as much room again as the steps themselves, but not more.
    room = max(core, 2.0) if segment.verified or not core else core
    for e, _ in keeps:
        values += [max(min(v, max(values) + room), min(values) - room) for v in (e.low, e.high) if v is not None]
    top, bottom = max(values), min(values)
    others = sorted(at for e, at in _placed(segment.experiments) if e.status != "keep")
    if others:
        if not keeps:
            room = max(room, abs(others[len(others) // 2]))
        tenth = len(others) // 10
        bottom = min(bottom, max(others[tenth], min(values) - 1.5 * room))
        top = max(top, min(others[-1 - tenth], max(values) + 1.5 * room))
    size = (top - bottom) or 2.0
    return bottom - 0.12 * size, top + 0.16 * size


def _frame(figure: Figure, axes: Axes, view: View) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    segment = view.current
    goal = plain(segment.goal, 120) or plain(segment.metric, 64)
    _fitted(figure, 0.945, goal, fontsize=15, fontweight="bold", color=INK)
    unit = f" in {plain(segment.unit, 16)}" if segment.unit else ""
    facts = [
        f"{plain(segment.metric, 40)}{unit}, {segment.direction} is better",
        counted(segment),
        ", ".join(filter(None, [plural(segment.runs, "run"), segment.met])),
    ]
    if len(view.segments) > 1:
        facts.append(f"segment {segment.index + 1} of {len(view.segments)}")
    _fitted(figure, 0.895, "  ·  ".join(facts), fontsize=10, color=GREY)
    note = (
        "bars: 95 % interval of one experiment against its own base"
        if segment.verified
        else "single readings from another tool's log, not verified"
    )
    figure.text(0.97, 0.028, note, fontsize=8.5, color=GREY, ha="right", va="center")
    axes.set_xlabel("experiment", color=GREY, fontsize=10)
    axes.set_ylabel(
        "better than the baseline, %" if segment.verified else "claimed change from the first run, %",
        color=GREY,
        fontsize=10,
    )
    axes.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:+.5g}".replace("-", "−") if abs(v) > 1e-12 else "0"))
    axes.tick_params(colors=GREY, labelsize=9, length=0)
    axes.grid(axis="y", color="#eaeef2", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#d0d7de")


def _fitted(figure: Figure, height: float, words: str, **style: Any) -> None:
    """A line of text, cut to the width of the picture."""
    canvas: Any = figure.canvas
    renderer = canvas.get_renderer()
    text = figure.text(0.07, height, words, va="center", **style)
    room = 0.9 * figure.bbox.width
    while len(words) > 1 and text.get_window_extent(renderer).width > room:
        words = words[: len(words) * 9 // 10]
        text.set_text(words.rstrip() + "…")


def _discards(axes: Axes, discards: Sequence[ExperimentView]) -> None:
    placed = _placed(discards)
    low, high = axes.get_ylim()
    if not placed:
        return
    # Below the floor is the strip of the failures.
    floor = low + 0.05 * (high - low)
    inside = [(e, at) for e, at in placed if floor <= at <= high]
    style: dict[str, Any] = {
        "s": 22 if len(placed) <= 80 else 12, "color": FAINT, "alpha": 0.65, "linewidths": 0
    }  # fmt: skip
    for e, at in inside:
        if not (e.low is None and e.high is None):
            axes.vlines(e.number, *_ends(e, at, low, high), color=FAINT, alpha=0.35, linewidth=1.0, zorder=2)
    axes.scatter([e.number for e, _ in inside], [at for _, at in inside], zorder=3, label="discarded", **style)
    # What lies outside the picture is shown at its edge, so that no experiment disappears.
    step = 0.015 * (high - low)
    for marker, edge, beyond in (
        ("v", floor + step, [e.number for e, at in placed if at < floor]),
        ("^", high - step, [e.number for e, at in placed if at > high]),
    ):
        if beyond:
            axes.scatter(beyond, [edge] * len(beyond), marker=marker, **style)


def _placed(shown: Sequence[ExperimentView]) -> list[tuple[ExperimentView, float]]:
    """Those that have a place in the picture, with its height."""
    return [(e, e.position) for e in shown if e.position is not None]


def _ends(e: ExperimentView, at: float, low: float, high: float) -> tuple[float, float]:
    """The drawn part of an interval; an unbounded side stops at the point."""
    bottom = at if e.low is None else min(e.low, at)
    top = at if e.high is None else max(e.high, at)
    return max(bottom, low), min(top, high)


def _failures(axes: Axes, shown: Sequence[ExperimentView]) -> None:
    from matplotlib.transforms import blended_transform_factory

    where = blended_transform_factory(axes.transData, axes.transAxes)
    for status, marker, color, label in (
        ("crash", "x", RED, "crashed"),
        ("checks_failed", "+", ORANGE, "failed checks"),
    ):
        at = [e.number for e in shown if e.status == status]
        if at:
            axes.scatter(
                at,
                [0.022] * len(at),
                transform=where,
                marker=marker,
                s=34,
                color=color,
                linewidths=1.5,
                label=label,
                zorder=4,
            )


def _best(axes: Axes, segment: SegmentView) -> None:
    if not _placed(segment.experiments):
        return
    xs = [0, *(e.number for e in segment.experiments)]
    ys = [0.0, *(e.best for e in segment.experiments)]
    axes.step(xs, ys, where="post", color=GREEN, linewidth=2.0, zorder=5, solid_joinstyle="round")
    right = axes.get_xlim()[1]
    axes.fill_between([*xs, right], [*ys, ys[-1]], step="post", color=GREEN, alpha=0.06, linewidth=0, zorder=1)
    axes.plot([xs[-1], right], [ys[-1], ys[-1]], color=GREEN, linewidth=2.0, zorder=5)
    captions: tuple[tuple[str, int, dict[str, Any]], ...] = (
        (percent(ys[-1]).replace("-", "−"), 0, {"color": GREEN, "fontsize": 13, "fontweight": "bold"}),
        ("sum of claims," if segment.verified else "best claim,", -15, {"color": GREY, "fontsize": 8}),
        *_verified(segment),
    )
    for words, drop, style in captions:
        axes.annotate(
            words, (right, ys[-1]), xytext=(8, drop), textcoords="offset points", va="center",
            annotation_clip=False, **style,
        )  # fmt: skip


def _verified(segment: SegmentView) -> tuple[tuple[str, int, dict[str, Any]], ...]:
    """What of the claims was measured again; the smaller lines under the last caption."""
    small, audit = {"color": GREY, "fontsize": 8}, segment.audit
    if audit is None or audit.effect_pct is None:
        word = "not yet re-verified" if segment.verified and audit is None else "not verified"
        return ((word, -26, small),)
    strong = {"color": GREEN if audit.verified else RED, "fontsize": 8, "fontweight": "bold"}
    lines = [(f"verified {percent(audit.effect_pct)}".replace("-", "−"), -26, strong)]
    if ends := interval_text(audit.ci_low_pct, audit.ci_high_pct).strip():
        lines.append((ends.replace("-", "−"), -37, small))
    if segment.later:
        lines.append(("before the last keeps", -26 - 11 * len(lines), small))
    return tuple(lines)


def _keeps(axes: Axes, segment: SegmentView) -> None:
    low, high = axes.get_ylim()
    keeps = _placed(segment.keeps)
    if not keeps:
        return
    for e, at in keeps:
        axes.vlines(e.number, *_ends(e, at, low, high), color=GREEN, alpha=0.55, linewidth=1.6, zorder=5)
    axes.scatter(
        [e.number for e, _ in keeps],
        [at for _, at in keeps],
        s=56 if len(keeps) <= 40 else 26,
        color=GREEN,
        edgecolors="white",
        linewidths=1.2,
        zorder=6,
        label="kept" if segment.verified else "kept (claimed)",
    )


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(
            handles,
            labels,
            loc="center left",
            bbox_to_anchor=(0.06, 0.028),
            ncol=len(labels),
            frameon=False,
            fontsize=9.5,
            labelcolor=GREY,
            handletextpad=0.3,
            columnspacing=1.4,
        )


# Offsets in points, best first: left above a rising line there is nothing, right below it are the discards.
_PLACES = (
    (-7, 5, "right"),
    (8, -7, "left"),
    (-12, 20, "right"),
    (-16, 36, "right"),
    (14, -22, "left"),
    (-20, 52, "right"),
    (18, -38, "left"),
    (8, 8, "left"),
)


def _label_keeps(figure: Figure, axes: Axes, segment: SegmentView) -> None:
    """Name the biggest steps where there is room: never over another label, the line, a point or the edge."""
    from matplotlib.path import Path
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

    canvas: Any = figure.canvas
    renderer = canvas.get_renderer()
    keeps = _placed(segment.keeps)
    low, high = axes.get_ylim()
    ground = {"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.8}
    taken = []
    for e, at in keeps:
        x, y = axes.transData.transform((e.number, at))
        bottom, top = (axes.transData.transform((e.number, v))[1] for v in _ends(e, at, low, high))
        taken += [Bbox.from_extents(x - 5, y - 5, x + 5, y + 5), Bbox.from_extents(x - 1, bottom, x + 1, top)]
    line = Path(axes.transData.transform(_corners(segment)))
    frame = axes.get_window_extent(renderer)
    gains: dict[int, float] = {}
    best = 0.0
    for e in segment.experiments:
        if e.status == "keep" and e.best > best:
            gains[e.number] = e.best - best
        best = e.best
    named = sorted((kept for kept in keeps if kept[0].number in gains), key=lambda kept: -gains[kept[0].number])
    for e, at in named[:LABELS]:
        words = plain(e.description or e.hypothesis or e.id, 34)
        for dx, dy, side in _PLACES if words else ():
            far = abs(dy) > 10
            label = axes.annotate(
                words,
                (e.number, at),
                xytext=(dx, dy),
                textcoords="offset points",
                ha=side,
                va="bottom" if dy > 0 else "top",
                fontsize=9,
                color=INK,
                zorder=8,
                bbox=ground,
                arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 4}
                if far
                else None,
            )
            label.update_positions(renderer)
            # The text alone: the leader line may cross what it likes.
            box = Text.get_window_extent(label, renderer).padded(1.5)
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 + 18 <= box.y0 and box.y1 <= frame.y1 + 4
            if inside and not line.intersects_bbox(box, filled=False) and box.count_overlaps(taken) == 0:
                taken.append(box)
                break
            label.remove()


def _corners(segment: SegmentView) -> list[tuple[float, float]]:
    """The step line of the best, corner by corner."""
    corners = [(0.0, 0.0)]
    for e in segment.experiments:
        if e.best != corners[-1][1]:
            corners += [(e.number, corners[-1][1]), (e.number, e.best)]
    return [*corners, (segment.experiments[-1].number if segment.experiments else 1.0, corners[-1][1])]
