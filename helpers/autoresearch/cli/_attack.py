"""`doctor --attack`: play generic cheats on the project's evaluator, and say what it lets through."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoresearch.cli._fit import fit
from autoresearch.cli._output import is_terminal, say, tell
from autoresearch.errors import POLL_BASELINE, Exit
from autoresearch.safetext import one_line

if TYPE_CHECKING:
    from autoresearch.attack.score import Score
    from autoresearch.config import Config
    from autoresearch.project import Project

BUDGET, SHOWN = 60.0, 5
DRAFT = ".autoresearch/autoresearch.diff.sh"


def play_attack(project: Project, config: Config, budget: float, seed: int, *, as_json: bool) -> int:
    """Attack for `budget` seconds, record it, print it; returns the exit code."""
    from autoresearch.files import write_atomic
    from autoresearch.ledger.lines import now_ms
    from autoresearch.session import open_session
    from autoresearch.session.strength import remember

    score = _play(project, config, budget, seed, as_json=as_json)
    rows = _rows(score)
    record = {"type": "attack", "evaluator": score.evaluator, **score.to_json(), "let": rows, "timestamp": now_ms()}
    remember(project, record)
    with open_session():  # which takes it into the ledger, once there is a baseline
        pass
    follow = "autoresearch status" if project.ledger.exists() else POLL_BASELINE
    data: dict[str, Any] = {**score.to_json(), "let": rows, "not_played": score.left}
    if score.faster:
        follow = "autoresearch doctor"
    if score.draft:
        write_atomic(project.root / DRAFT, score.draft.encode())
        data["draft"], follow = {"path": DRAFT, "tried": _tried(score)}, f"cp {DRAFT} autoresearch.diff.sh"
    data["survived"] = [f"{cheat} {place}" for cheat, place in _survived(score)[:8]]
    tell(fit(data | {"next": follow}, "survived", "let"), lines(score), as_json=as_json)
    return int(Exit.NO) if score.faster else 0


def _play(project: Project, config: Config, budget: float, seed: int, *, as_json: bool) -> Score:
    """Attack, with a progress bar for a person."""
    from autoresearch.attack.score import attack

    show = not as_json and is_terminal()
    with contextlib.ExitStack() as stack:
        bar: Any = stack.enter_context(click.progressbar(length=1000, file=sys.stderr)) if show else None

        def seen(score: Score, share: float) -> None:
            if bar is not None:
                bar.label = f"{len(score.played)} played, {score.count('faster')} faster"
                bar.update(round(1000 * share) - bar.pos)

        return attack(project, config, budget, seed, say if show else lambda _: None, seen)


def of_plan(root: Path, write: Callable[[Path], object], *, as_json: bool) -> Score:
    """Attack what `write` writes, in a throw-away clone of the project with its untracked files."""
    from autoresearch.config import load_config
    from autoresearch.project import Project
    from autoresearch.workspace.git import git
    from autoresearch.workspace.objects import prefix

    with tempfile.TemporaryDirectory(prefix="autoresearch-plan-") as place:
        top = Path(git(root, "rev-parse", "--show-toplevel"))
        git(root, "clone", "--quiet", "--shared", str(top), f"{place}/clone")
        here = Path(place, "clone", prefix(Project(root)))
        for name in git(root, "ls-files", "--others", "--exclude-standard", "-z").split("\0"):
            if name and (root / name).is_file():
                (here / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, here / name)
        write(here)
        return _play(Project(here), load_config(here), 25.0 if as_json else BUDGET, 1, as_json=as_json)


def short(score: Score) -> dict[str, Any]:
    """The score in a plan's answer, with the first cheat that gets through."""
    figures = {name: score.to_json()[name] for name in ("strength_pct", "refused", "faster")}
    return figures | {"let": [f"{row['place']}: {row['cheat']}; {row['line']}" for row in _rows(score)[:1]]}


def _rows(score: Score) -> list[dict[str, Any]]:
    """What is let through and faster, each with the line that lets it and the check that would stop it."""
    from autoresearch.attack.edits import CHEATS
    from autoresearch.attack.lets import through

    rows = []
    for played in score.faster[:SHOWN]:
        line, stop = through(played.mutant, score.scripts)
        what = {"cheat": CHEATS[played.mutant.cheat][0], "place": one_line(played.mutant.place, 100)}
        rows.append(what | {"gain_pct": played.gain_pct, "line": one_line(line, 120), "stop": stop})
    return rows


def _survived(score: Score) -> list[tuple[str, str]]:
    return [(p.mutant.cheat, one_line(p.mutant.place, 60)) for p in score.played if p.result == "passed"]


def _tried(score: Score) -> str:
    """What the draft did when it was tried."""
    if score.stops == "stopped":
        return "it stops the first of these"
    return f"adapt it: {score.stops if score.stops != 'passed' else 'it does not stop the first of these yet'}"


def lines(score: Score) -> list[str]:
    """For a person."""
    rows = _rows(score)
    refused, told = score.count("refused"), score.count("refused", "passed", "faster")
    pct = "unknown" if score.strength_pct is None else f"{score.strength_pct:.0f} %"
    aside = f"{score.count('same')} made no difference that it can see, {score.count('unbuilt')} did not build"
    played = (
        f"played {len(score.played)} of {len(score.played) + score.left} in {score.seconds:.0f} s, seed {score.seed}"
    )
    found = [
        f"evaluator strength {pct}: {refused} of {told} cheats refused ({aside})",
        f"{played}; a gain had to be over {score.noise_pct:.2g} %",
    ]
    found += [f"LET THROUGH AND FASTER: {score.count('faster')}"] if rows else []
    for row in rows:
        found.append(f"  {row['gain_pct']:+.1f} %  {row['place']}: {row['cheat']}")
        found += [f"           {row['line']}", f"           to stop it: {row['stop']}"]
    survived = [f"{place} ({cheat})" for cheat, place in _survived(score)]
    if survived:
        found.append(f"let through, no gain: {len(survived)}, such as {', '.join(survived[:3])}")
    if score.draft:
        found.append(f"draft {DRAFT}: {_tried(score)}. In a session it opens a new segment (baseline --new-segment)")
    return found
