"""The strength of an evaluator: the share of cheats that it refuses, within a budget of seconds."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autoresearch.attack.edits import SCALES, Known, Mutant, Scale
from autoresearch.attack.lets import draft
from autoresearch.attack.mutants import mutants, supported
from autoresearch.attack.play import Ground, Played, Player, Result, plays, workers
from autoresearch.config import Config
from autoresearch.errors import BadInput
from autoresearch.files import scratch
from autoresearch.prepare.rehearsal import machine_faults, pack
from autoresearch.project import Project
from autoresearch.session.trial_spec import differential, spec_of
from autoresearch.trial.stage import TrialStage
from autoresearch.verdict.stats import median
from autoresearch.workspace import evaluator
from autoresearch.workspace.evaluator import BENCHMARK, CHECKS
from autoresearch.workspace.git import git, places, resolve
from autoresearch.workspace.objects import prefix
from autoresearch.workspace.scope import changeable

# The share of the budget by which a scale ends, so that the next ones come to their turn.
UNTIL: dict[Scale, float] = {"file": 0.5, "function": 0.85, "statement": 1.0}
# Larger sources are left alone; seconds in which the last mutant is cleared away.
LARGEST, CLEARING = 400_000, 1.0
# Seconds, beyond the budget, for trying what is drafted.
TRYING = 10.0


@dataclass
class Score:
    """What came of an attack. `noise_pct` is what a gain had to be larger than, `left` the mutants not played.

    `draft` is a differential script for the first that is let through and faster, where the project has none, and
    `stops` what it made of it: "stopped", "passed", or why it does not run.
    """

    seed: int
    evaluator: str = ""
    scripts: dict[str, str] = field(default_factory=dict)
    played: list[Played] = field(default_factory=list)
    noise_pct: float = 0.0
    seconds: float = 0.0
    left: int = 0
    draft: str = ""
    stops: str = ""

    def count(self, *results: Result) -> int:
        return sum(p.result in results for p in self.played)

    @property
    def faster(self) -> list[Played]:
        """Let through and faster: whole files first, then the largest gain."""
        found = {(p.mutant.cheat, p.mutant.place): p for p in self.played if p.result == "faster"}
        return sorted(found.values(), key=lambda p: (SCALES.index(p.mutant.scale), -p.gain_pct))

    @property
    def strength_pct(self) -> float | None:
        """Refused, of all that made a difference; None where nothing did."""
        told = self.count("refused", "passed", "faster")
        return round(100.0 * self.count("refused") / told, 1) if told else None

    def to_json(self) -> dict[str, Any]:
        """The figures, as they stand in the ledger."""
        counts = {result: self.count(result) for result in ("refused", "faster", "passed", "same", "unbuilt")}
        figures = {"noise_pct": round(self.noise_pct, 1), "seconds": round(self.seconds, 1), "seed": self.seed}
        return {"strength_pct": self.strength_pct, **counts, **figures}


def attack(
    project: Project, config: Config, budget: float, seed: int, progress: Callable[[str], None],
    seen: Callable[[Score, float], None] = lambda *_: None,
) -> Score:  # fmt: skip
    """Play cheats on the last commit for `budget` seconds; `seen` is called after each with the share of them used."""
    begun = time.monotonic()
    score = Score(seed)
    with machine_faults(), scratch(project.state, "attack-") as root, ExitStack() as held:
        ground = _ground(project, config, root, score)
        stage = held.enter_context(TrialStage(str(root)))
        player = Player(ground, stage, begun + budget - CLEARING)
        player.base(progress)
        score.noise_pct = player.noise_pct
        known = _known(config, player.values, score.scripts)
        player.printed = known.value
        found = mutants(ground.texts, known, seed)
        for played in plays(player, _within(found, begun, budget), workers(config)):
            score.played.append(played)
            seen(score, min(1.0, (time.monotonic() - begun) / budget))
        score.left = sum(map(len, found.values())) - len(score.played)
        if score.faster and player.trial.spec.differential is None:
            first = score.faster[0].mutant
            score.draft = draft(first, score.scripts)
            score.stops = player.stops(score.draft, first, TRYING)
    score.seconds = time.monotonic() - begun
    return score


def _within(found: dict[Scale, list[Mutant]], begun: float, budget: float) -> Iterator[Mutant]:
    """Each scale until its share of the time is over."""
    for scale, those in found.items():
        for mutant in those:
            if time.monotonic() - begun > UNTIL[scale] * budget - CLEARING:
                break
            yield mutant


def _ground(project: Project, config: Config, root: Path, score: Score) -> Ground:
    """The last commit with the evaluator as it stands over it."""
    places(project.root)
    head = resolve(project.root, "HEAD")
    if head is None:
        raise BadInput("this repository has no commit yet", fix="git add -A && git commit -m start")
    manifest, inside = evaluator.survey(project, config), prefix(project)
    small = [name for name in manifest.files if (project.root / name).stat().st_size < LARGEST]
    score.evaluator = manifest.digest
    score.scripts = {name: (project.root / name).read_text("utf-8", "replace") for name in small}
    texts: dict[str, str] = {}

    def complete(tree: Path) -> None:
        evaluator.overlay(project.root, manifest, tree, inside)
        texts.update(_texts(project, config, manifest, tree / inside, "\n".join(score.scripts.values())))

    pack(root, project, head, complete)
    spec = spec_of(project, config, manifest, "attack", "noise", None)
    return Ground(project, config, spec | {"differential": differential(config, manifest)}, texts, inside)


def _texts(project: Project, config: Config, frozen: evaluator.Manifest, tree: Path, evaluators: str) -> dict[str, str]:
    """The sources that a candidate may change, those first that the evaluator names, then the longest."""
    found: list[tuple[int, int, int, str, str]] = []
    names = (n for n in git(project.root, "ls-files", "-z").split("\0") if n not in frozen.files and supported(n))
    for name in changeable(names, config):
        path = tree / name
        if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
            continue
        text = path.read_bytes().decode("utf-8", "surrogateescape")
        stem = path.parent.name if path.stem in ("__init__", "index", "mod", "lib", "main") else path.stem
        named = evaluators.count(stem) if len(stem) > 2 else 0
        found.append((-evaluators.count(name), -named, -len(text), name, text))
    if not found:
        fix = "Known are Python, C, C++, JavaScript, TypeScript, Go, Rust, Java and shells"
        raise BadInput("scope holds no source that could be attacked", fix=fix)
    return {name: text for *_, name, text in sorted(found)}


def _known(config: Config, values: list[float], scripts: dict[str, str]) -> Known:
    """A METRIC line twice as good as the base's, and variables that the benchmark sets and the checks do not."""
    objective = config.objective
    value = median(values) * (0.5 if objective.direction == "lower" else 2.0)
    sets = {n: set(re.findall(r"\b([A-Z][A-Z0-9_]{2,})=", scripts.get(n, ""))) for n in (BENCHMARK, CHECKS)}
    return Known(objective.metric, float(f"{value:.9g}"), tuple(sorted(sets[BENCHMARK] - sets[CHECKS])))
