"""The whole session on less than 2 kB: everything that a fresh agent needs to go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from autoresearch.errors import Exit
from autoresearch.safetext import one_line
from autoresearch.session.limits import best_value, stop_view
from autoresearch.session.pending import pending
from autoresearch.session.recover import tip_of
from autoresearch.session.stages import POLL, Stage, next_step, undecided
from autoresearch.session.state import Record, Session

MOST = 6  # experiments listed; the rest is counted


@dataclass(frozen=True)
class Overview:
    """What `status` prints: an object for an agent, text for a person, the exit code."""

    data: dict[str, Any]
    text: str
    code: Exit


def overview(session: Session) -> Overview:
    """Describe the session and its next legal step."""
    if session.header is None or session.baseline is None:
        return _before(session)
    objective = session.config.objective
    stages = undecided(session)
    stop = stop_view(session)
    follow = next_step(stages) or ("autoresearch report" if stop.stop else "autoresearch ideas next")
    noise = session.baseline.get("noise") or {}
    data: dict[str, Any] = {
        "session": session.config.name,
        "goal": one_line(session.config.goal, 160),
        "metric": f"{objective.metric} ({objective.direction} is better)",
        "branch": session.branch,
        "tip": tip_of(session)[:12],
        "baseline": session.baseline.get("metric"),
        "best": best_value(session),
        "claimed_gain_pct": claimed_gain(session),
        "counts": session.by_status,
        "undecided": {name: one_line(f"{s.name}: {s.detail}", 70) for name, s in list(stages.items())[:MOST]},
        "undecided_more": max(0, len(stages) - MOST),
        "recent": [_short(record) for record in _recent(session)],
        "noise": {key: noise.get(key) for key in ("class", "sigma_short_pct", "mde_pct")},
        "cost": {"runs": session.runs_used, "seconds": round(session.seconds)},
        "stop": {"now": stop.stop, "reason": one_line(stop.reason, 160), "near": stop.rules},
        "advice": stop.advice,
        "next": follow,
    }
    return Overview(data, _text(session, data, stages), Exit.STOPPED if stop.stop else Exit.DONE)


def _before(session: Session) -> Overview:
    waiting = pending(session)
    follow = f"autoresearch baseline {POLL}" if waiting else "autoresearch doctor"
    state = "the baseline is being measured" if waiting else "no baseline yet"
    data = {"session": session.config.name, "state": state, "next": follow}
    return Overview(data, f"{session.config.name}: {state}\nnext: {follow}", Exit.DONE)


def claimed_gain(session: Session) -> float | None:
    """Product of the kept effects in percent: a sum of claims, each measured against its own parent."""
    factor = 1.0
    for record in session.kept:
        effect = (record.get("verdict") or {}).get("effect_pct")
        if effect is None:
            return None
        factor *= 1 - effect / 100
    return round(100 * (1 - factor), 2)


def _recent(session: Session) -> list[Record]:
    done = [e.result for e in session.experiments.values() if e.result is not None]
    return sorted(done, key=lambda r: int(r["run"]))[-MOST:]


def _short(record: Record) -> str:
    effect = (record.get("verdict") or {}).get("effect_pct")
    gain = f" {effect:+.1f} %" if effect is not None else ""
    return one_line(f"{record['experiment']} {record['status']}{gain}: {record.get('description') or ''}", 80)


def _text(session: Session, data: dict[str, Any], stages: dict[str, Stage]) -> str:
    objective = session.config.objective
    counts = ", ".join(f"{n} {status}" for status, n in session.by_status.items()) or "none decided yet"
    gain = data["claimed_gain_pct"]
    lines = [
        f"session   {session.config.name}: {data['goal']}".rstrip(": "),
        f"metric    {data['metric']}, baseline {data['baseline']:.6g} {objective.unit}".rstrip(),
        f"best      {data['branch']} at {data['tip']}" + (f", claims {gain:+.1f} %" if session.kept else ""),
        f"decided   {counts}; {session.runs_used} runs",
        f"stop      {', '.join(f'{k} {v}' for k, v in data['stop']['near'].items())}",
    ]
    if data["stop"]["now"]:
        lines.append(f"STOP      {data['stop']['reason']}")
    if data["advice"]:
        lines.append(f"advice    {data['advice']}")
    lines += [f"  {name}  {s.name}: {one_line(s.detail, 90)}" for name, s in list(stages.items())[:MOST]]
    lines += [f"  {line}" for line in data["recent"]]
    lines.append(f"next: {data['next']}")
    return "\n".join(lines)
