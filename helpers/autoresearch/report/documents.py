"""Renders `autoresearch.md` and `IMPROVEMENTS.md` from a view. Pure; all foreign text is escaped."""

from __future__ import annotations

import re

from autoresearch.ledger.lines import AuditLine, HeldoutFields
from autoresearch.ledger.records import number
from autoresearch.report import markers, progress, tradeoffs
from autoresearch.report.escape import markdown
from autoresearch.report.fields import percent
from autoresearch.report.view import ExperimentView, SegmentView, View
from autoresearch.report.words import amount, audited, cost, counted, moment, plural, summary
from autoresearch.workspace.evaluator import Manifest

# An agent reads the whole document when it resumes; older rows stay in the ledger.
LOG_ROWS = 200
SOURCES = 100
FILES = 12
RENDERED = "<!-- autoresearch:rendered from the ledger; edits to this file are overwritten -->"
_FIELD = re.compile(r"\{\{(\w+)\}\}")
_COMMIT = re.compile(r"[0-9a-f]{7,64}\Z")


def session_document(existing: bytes | None, template: str, view: View) -> tuple[bytes, list[str]]:
    """`autoresearch.md` with its rendered parts up to date, and warnings; prose stays byte for byte."""
    document = new_document(template, view).encode("utf-8") if existing is None else existing
    return markers.fill(document, parts(view))


def new_document(template: str, view: View) -> str:
    """The template with `{{goal}}`, `{{metric}}` and the like filled in from the current segment."""
    segment = view.current
    known = {
        "goal": markdown(segment.goal, 160) or "(goal)",
        "metric": markdown(segment.metric, 64),
        "unit": f" ({markdown(segment.unit, 20)})" if segment.unit else "",
        "direction": segment.direction,
    }
    return _FIELD.sub(lambda match: known.get(match[1], match[0]), template)


def parts(view: View) -> dict[str, tuple[str, str]]:
    """Rendered parts of `autoresearch.md`: name -> (heading, body)."""
    found = {
        "baseline": ("Baseline", _baseline(view.current)),
        "noise": ("Noise", _noise(view.current)),
        "literature": ("Literature", _literature(view)),
        "log": ("Experiment log", _log(view)),
    }
    lines = progress.tens([e.line for e in view.current.experiments])
    if lines:
        found["progress"] = ("Every ten experiments", "\n".join(f"- {markdown(line, 400)}" for line in lines))
    # Only where a session has ever declared second metrics; once there, the part follows the current segment.
    if any(tradeoffs.gains(e) for segment in view.segments for e in segment.experiments):
        found["trade-offs"] = ("Trade-offs", tradeoffs.section(view.current))
    return found


def _baseline(segment: SegmentView) -> str:
    base = segment.baseline
    if base is None:
        return "Not measured yet."
    better = f"{segment.direction} is better"
    lines = [
        f"- Metric: {markdown(segment.metric, 64)}, {better}",
        f"- Baseline: {amount(base.metric, markdown(segment.unit, 20))} ({plural(max(base.runs, 1), 'run')})",
        f"- Commit: {_commit(base.run.commit)}",
    ]
    when = moment(base.run.timestamp_ms)
    if when:
        lines.append(f"- Measured: {when}")
    if base.line.machine:
        lines.append(f"- Machine: {markdown(base.line.machine, 120)}")
    if segment.folded.line.evaluator:
        names = [markdown(name, 80) for name in segment.folded.line.evaluator]
        lines.append(f"- Evaluator, frozen: {_cut(names, FILES)}")
    if segment.folded.attack is not None:
        lines.append(f"- Evaluator strength: {segment.folded.attack.words}{_age(segment)}")
    if segment.verified:
        lines.append("- Compare nothing with this number: an effect is measured side by side with its own base.")
    else:
        lines.append("- Read from another tool's log: single readings, compared as that log compares them.")
    return "\n".join(lines)


def _age(segment: SegmentView) -> str:
    """Whether the attack was on another evaluator than the segment's."""
    line, attack = segment.folded.line, segment.folded.attack
    same = attack and attack.evaluator == Manifest(dict(line.evaluator or {}), dict(line.settings)).digest
    return "" if same else ", before the evaluator was changed"


# Field of the noise report -> what it says. Only the noise between neighbours limits an A/B.
_NOISE = {
    "sigma_short_pct": "Noise between neighbouring runs: {} %",
    "cv_pct": "Spread of all runs (coefficient of variation): {} %",
    "ref_cv_pct": "Spread of the paired reference from run to run: {} %",
    "mde_pct": "Smallest effect that an experiment can show: about {} %",
}


def _noise(segment: SegmentView) -> str:
    report, met = (segment.baseline.line.noise, segment.baseline.met) if segment.baseline else (None, "")
    if report is None:
        return "Not measured."
    lines = []
    for key, sentence in _NOISE.items():
        value = number(getattr(report, key))
        if value is not None:
            lines.append("- " + sentence.format(f"{value:.2g}" if abs(value) < 99.5 else f"{value:.0f}"))
    for label, word in (("Its runs", met), ("Class", report.grade), ("Advice", report.advice)):
        if word:
            lines.append(f"- {label}: {markdown(word, 400)}")
    lines += [f"- Warning: {markdown(w, 400)}" for w in report.warnings[:10] if isinstance(w, str)]
    return "\n".join(lines) or "Not measured."


def _literature(view: View) -> str:
    uses: dict[str, list[ExperimentView]] = {}
    for segment in view.segments:
        for experiment in segment.experiments:
            if experiment.source:
                uses.setdefault(markdown(experiment.source, 160), []).append(experiment)
    if not uses:
        return "No experiment has named a source yet."
    lines = []
    for source, found in list(uses.items())[-SOURCES:]:
        tried = _cut([f"{markdown(e.id, 64)} ({_outcome(e)})" for e in found], 8)
        lines.append(f"- {source}: {tried}")
    return "\n".join(_omitted(len(uses) - SOURCES, "source") + lines)


def _log(view: View) -> str:
    if not view.experiments:
        return "No experiments yet."
    blocks = []
    room = LOG_ROWS
    for segment in reversed(view.segments):
        rows = segment.experiments[-room:] if room else ()
        room -= len(rows)
        lines = [] if len(view.segments) == 1 else [f"### {_segment_title(segment)}", ""]
        lines += [f"{summary(segment)}.", ""]
        if older := _omitted(len(segment.experiments) - len(rows), "earlier experiment"):
            lines += [*older, ""]
        if rows:
            lines += [
                "| # | experiment | status | effect | runs | what | why |",
                "|--:|---|---|---|--:|---|---|",
                *map(_row, rows),
            ]
        blocks.append("\n".join(lines).rstrip())
    return "\n\n".join(reversed(blocks))


def _row(e: ExperimentView) -> str:
    status = "keep, by hand" if e.overruled else e.status
    cells = (
        str(e.number),
        markdown(e.id, 64),
        status,
        e.effect_text(),
        str(e.runs),
        markdown(e.description or e.hypothesis, 160),
        "; ".join(filter(None, [markdown(e.reason, 160), e.met])),
    )
    return f"| {' | '.join(cells)} |"


def improvements(view: View, chart: str | None = None) -> str:
    """`IMPROVEMENTS.md`: every committed win with its problem, solution, effect, cost and source.

    `chart` is the relative name of the picture to embed, if there is one.
    """
    current = view.current
    lines = [f"# Improvements: {markdown(current.goal, 160) or 'this project'}", "", RENDERED, ""]
    lines += [_total(current), ""]
    if chart:
        lines += [f"![Best verified effect after each experiment]({chart})", ""]
    for segment in view.segments:
        if len(view.segments) > 1:
            lines += [f"## {_segment_title(segment)}", "", f"{summary(segment)}.", ""]
        for count, win in enumerate(segment.keeps, 1):
            lines += [*_win(win, count, "###" if len(view.segments) > 1 else "##"), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _total(segment: SegmentView) -> str:
    spent = f"{counted(segment)}; {cost(segment)}"
    if not segment.keeps:
        return f"No improvement is kept yet ({spent})."
    if not segment.verified:
        return (
            f"Another tool's log claims {percent(segment.claimed)} in {plural(len(segment.keeps), 'keep')} "
            f"({spent}). These are single readings of different hours; nothing here has been verified side by side."
        )
    if segment.audit is not None:
        return _audited(segment, segment.audit, spent)
    return (
        f"The sum of the claims is {percent(segment.claimed)} ({spent}); a fresh comparison of the tip with "
        f"{_original(segment)} is what counts. A sum of kept effects is always somewhat too good: what was lucky "
        "was kept, too."
    )


def _original(segment: SegmentView) -> str:
    return "the original baseline" if segment.index == 0 else f"the baseline of segment {segment.index + 1}"


def _audited(segment: SegmentView, audit: AuditLine, spent: str) -> str:
    """The session's gain as re-measured, next to what was claimed for it."""
    claimed = percent(segment.claimed if audit.claimed_pct is None else audit.claimed_pct)
    heldout = audit.heldout or HeldoutFields()
    if audit.effect_pct is None:
        text = f"Not verified: the best commit did not run in its audit (sum of claims {claimed}; {spent})."
    else:
        less = "" if audit.shrunken_pct is None else f", {percent(audit.shrunken_pct)} expected without their luck"
        text = (
            f"Verified {audited(audit)} (sum of claims {claimed}{less}; {spent}): a fresh comparison of the best "
            f"commit with {_original(segment)}, {plural(audit.runs_used, 'run')} of fixed number."
        )
        if not audit.verified and heldout.proven is False:
            text += " **A benchmark that no experiment has seen proves no gain.**"
        elif not audit.verified:
            text += " **That is less than was claimed.**"
    if heldout.effect_pct is not None:
        text += f" The held-out benchmark shows {percent(heldout.effect_pct)}."
    if audit.refuted:
        text += f" Refuted: {_cut([markdown(name, 64) for name in audit.refuted], FILES)}."
    if segment.later:
        changed = "1 keep or drop" if segment.later == 1 else f"{segment.later} keeps or drops"
        text += (
            f" The audit is older than the best commit: {changed} came after it, and the sum of claims is now "
            f"{percent(segment.claimed)}."
        )
    return text


def _win(win: ExperimentView, count: int, level: str) -> list[str]:
    title = markdown(win.description, 120) or markdown(win.id, 64)
    lines = [f"{level} {count}. {title}", ""]
    if win.overruled:
        lines.append("- **Kept by hand, against the rule or without a verdict.**")
    if win.hypothesis:
        lines.append(f"- Problem: {markdown(win.hypothesis, 600)}")
    solution = markdown(win.description, 600) or "(not described)"
    added, removed = win.line.lines_added, win.line.lines_removed
    size = f" (+{added} −{removed} lines)" if added is not None and removed is not None else ""
    lines.append(f"- Solution: {solution}{size}")
    files = [markdown(name, 160) for name in win.line.files if isinstance(name, str)]
    if files:
        lines.append(f"- Files: {_cut(files, FILES)}")
    if win.line.modes:
        lines.append(f"- File modes: {_cut([markdown(str(m), 200) for m in win.line.modes], FILES)}")
    effect = win.effect_text() or "not measured"
    if win.effect is not None:
        effect += " (95 % interval, against its own base)"
    lines.append(f"- Effect: {', '.join(filter(None, [effect, plural(win.runs, 'run'), win.met]))}")
    lines.append(f"- Commit: {_commit(win.run.commit)}, experiment {markdown(win.id, 64)}")
    if win.line.evaluator_strength_pct is not None:
        lines.append(f"- Evaluator strength: {win.line.evaluator_strength_pct:.0f} % of generic cheats refused")
    if win.line.judged.reason == "rescued":
        lines.append(f"- Kept for another metric: {markdown(win.reason, 400)}")
    if win.source:
        lines.append(f"- Source: {markdown(win.source, 300)}")
    return lines + _review(win)


def _review(win: ExperimentView) -> list[str]:
    """What its author said before it was committed; what and why where they say more than the lines above."""
    said = win.line.review
    known = {"what": win.description, "why": win.hypothesis}
    labels = {"what": "What", "why": "Why it is better", "risk": "Could break", "checked": "Checked"}
    return [
        f"- {label}: {markdown(said[name], 600)}"
        for name, label in labels.items()
        if isinstance(said.get(name), str) and said[name] and said[name] != known.get(name)
    ]


def _segment_title(segment: SegmentView) -> str:
    title = markdown(segment.goal, 120)
    return f"Segment {segment.index + 1}" + (f": {title}" if title else "")


def _outcome(e: ExperimentView) -> str:
    return f"{e.status} {e.effect_text()}".rstrip()


def _commit(value: str) -> str:
    """A commit in code type, or escaped text where a foreign log holds something else."""
    if not value:
        return "–"
    return f"`{value[:12]}`" if _COMMIT.match(value) else markdown(value, 40)


def _cut(shown: list[str], most: int) -> str:
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if shown[most:] else "")


def _omitted(count: int, word: str) -> list[str]:
    return [f"{plural(count, word)} not shown; the ledger has them all."] if count > 0 else []
