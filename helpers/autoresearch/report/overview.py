"""The whole session on less than 2 kB: everything that a fresh agent needs to go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msgspec.structs import asdict

from autoresearch.budget.error_budget import error_budget
from autoresearch.budget.purse import enforce, spend_of
from autoresearch.budget.rules import best_value, stop_view
from autoresearch.budget.spend import Spend, cost_json, cost_text
from autoresearch.errors import POLL_BASELINE, Exit, poll_audit
from autoresearch.judging.claims import naive
from autoresearch.judging.met import together, told
from autoresearch.ledger.history import Session
from autoresearch.ledger.in_flight import pending
from autoresearch.ledger.lines import NoiseFields, Record, RunLine
from autoresearch.report.progress import tens
from autoresearch.report.words import reverified
from autoresearch.safetext import one_line
from autoresearch.search.ideas.holders import agent
from autoresearch.session.integrity import tip_of
from autoresearch.session.stages import Stage, next_step, undecided
from autoresearch.session.strength import strength_of
from autoresearch.verdict.verdict import effect_text

MOST = 6  # experiments listed; the rest is counted
AUDIT_EVERY = 10  # keeps; by then the sum of claims has drifted visibly from the truth


@dataclass(frozen=True)
class Overview:
    """What `status` prints: an object for an agent, text for a person, the exit code."""

    data: dict[str, Any]
    text: str
    code: Exit


def overview(session: Session, who: str = "") -> Overview:
    """Describe the session and its next legal step; for one of several agents, `who`, that of its own experiments."""
    if session.header is None or session.baseline is None:
        return _before(session)
    objective = session.config.objective
    stages = undecided(session)
    spend = spend_of(session)
    stop = stop_view(session, spend)
    broke = enforce(session, spend)
    audit_first = bool(session.kept) and session.unaudited > 0 and not broke
    at_end = poll_audit() if audit_first else "autoresearch report"
    follow = next_step(_own(session, stages, who)) or (at_end if stop.stop else "autoresearch ideas next")
    noise = session.baseline.noise or NoiseFields()
    gone = {line.experiment for line in session.reverted}
    done = [e.result for e in session.experiments.values() if e.result is not None]
    recent = sorted(done, key=lambda line: line.run)[-MOST:]
    met = together([session.baseline.met, *(line.met for line in session.results)])
    met_words = told(met, objective.metric, objective.unit)
    data: dict[str, Any] = {
        "session": session.config.name,
        "goal": one_line(session.config.goal, 160),
        "metric": f"{objective.metric} ({objective.direction} is better)",
        "branch": session.branch,
        "tip": tip_of(session)[:12],
        "baseline": session.baseline.metric,
        "best": best_value(session),
        "claimed_gain_pct": claimed_gain(session),
        "verified_gain": None if session.audit is None else reverified(session.audit, session.unaudited),
        "counts": session.by_status,
        "undecided": {name: one_line(f"{s.name}: {s.detail}", 70) for name, s in list(stages.items())[:MOST]},
        "undecided_more": max(0, len(stages) - MOST),
        "recent": [_short(line, gone) for line in recent],
        "noise": {"class": noise.grade, "sigma_short_pct": noise.sigma_short_pct, "mde_pct": noise.mde_pct},
        **({"met": asdict(met)} if met is not None and met_words else {}),
        **_strength(session),
        "error_budget": error_budget(session),
        "cost": {"runs": session.runs_used, "seconds": round(session.seconds), **cost_json(spend)},
        "stop": {"now": stop.stop, "reason": one_line(stop.reason, 160), "near": stop.rules},
        "advice": " ".join(filter(None, [stop.advice, _audit_advice(session, stopped=stop.stop)])),
        "summary": last_ten(session),
        "next": follow,
    }
    return Overview(data, _text(session, data, stages, spend, met_words), Exit.STOPPED if stop.stop else Exit.DONE)


def _strength(session: Session) -> Record:
    """The last attack on the evaluator; nothing where there was none."""
    found = session.attack
    if found is None:
        return {}
    older = {} if strength_of(session) else {"changed_since": True}
    return {"evaluator_strength": {"pct": found.strength_pct, "faster": found.faster, **older}}


def last_ten(session: Session) -> str | None:
    """The summary of the segment's last full ten experiments, None before there are ten."""
    return next(reversed(tens(session.results)), None)


def _own(session: Session, stages: dict[str, Stage], who: str) -> dict[str, Stage]:
    """Without the experiments that another agent opened by name."""
    if not who:
        return stages
    return {n: s for n, s in stages.items() if session.experiments[n].opened.agent in (None, agent(who))}


def _before(session: Session) -> Overview:
    waiting = pending(session)
    follow = POLL_BASELINE if waiting else "autoresearch doctor"
    state = "the baseline is being measured" if waiting else "no baseline yet"
    data: dict[str, Any] = {"session": session.config.name, "state": state, "next": follow}
    text = f"{session.config.name}: {state}"
    if session.predecessor:
        data["after"] = f"{session.config.after}, from its last commit {session.predecessor[:12]}"
        text += f"\nafter     {data['after']}; its ideas and lessons are kept"
    if session.foreign:
        data["history"] = f"{session.foreign} runs of another loop; their numbers are not compared with ours"
        text += f"\nhistory   {data['history']}"
    return Overview(data, f"{text}\nnext: {follow}", Exit.DONE)


def claimed_gain(session: Session) -> float | None:
    """Product of the kept effects in percent: a sum of claims, each measured against its own parent."""
    return naive(session.kept)


def _audit_advice(session: Session, *, stopped: bool) -> str:
    if not session.kept or not session.unaudited:
        return ""
    if stopped:
        return f"What is kept is not re-verified: {poll_audit()}"
    if session.unaudited >= AUDIT_EVERY:
        return f"{session.unaudited} keeps or drops since the last audit: {poll_audit()}"
    return ""


def _short(line: RunLine, gone: set[str]) -> str:
    effect = line.effect_pct
    gain = f" {effect:+.1f} %" if effect is not None else ""
    status = "reverted" if line.experiment in gone else line.status
    return one_line(f"{line.experiment} {status}{gain}: {line.description}", 80)


def _text(session: Session, data: dict[str, Any], stages: dict[str, Stage], spend: Spend, met: str) -> str:
    objective = session.config.objective
    counts = ", ".join(f"{n} {status}" for status, n in session.by_status.items()) or "none decided yet"
    gain = data["claimed_gain_pct"]
    lines = [
        f"session   {session.config.name}: {data['goal']}".rstrip(": "),
        f"metric    {data['metric']}, baseline {data['baseline']:.6g} {objective.unit}".rstrip(),
        f"best      {data['branch']} at {data['tip']}"
        + (f", claims {gain:+.1f} %" if gain is not None and session.kept else ""),
        *_verified_line(data["verified_gain"]),
        *_strength_line(session),
        f"decided   {counts}; {session.runs_used} runs{met and ', '}{met}",
        f"tested    {_tested(data['error_budget'])}",
        f"spent     {cost_text(spend)}",
        f"stop      {', '.join(f'{k} {v}' for k, v in data['stop']['near'].items())}",
    ]
    if data["stop"]["now"]:
        lines.append(f"STOP      {data['stop']['reason']}")
    if data["advice"]:
        lines.append(f"advice    {data['advice']}")
    if data["summary"]:
        lines.append(f"summary   {data['summary']}")
    lines += [f"  {name}  {s.name}: {one_line(s.detail, 90)}" for name, s in list(stages.items())[:MOST]]
    lines += [f"  {line}" for line in data["recent"]]
    lines.append(f"next: {data['next']}")
    return "\n".join(lines)


def _tested(budget: Record) -> str:
    """A/Bs count, because each may be luck: the more of them, the more evidence a keep has to bring."""
    bar = f"the next has to bring e = {1 / budget['next_alpha']:,.0f}" if budget["next_alpha"] else ""
    return f"{budget['tests']} A/Bs, a chance of {100 * budget['spent']:.3g} % at most that luck alone kept one; {bar}"


def _strength_line(session: Session) -> list[str]:
    if session.attack is None:
        return []
    since = "" if strength_of(session) else "; the evaluator has changed since: autoresearch doctor --attack"
    return [f"evaluator strength {session.attack.words}{since}"]


def _verified_line(found: Record | None) -> list[str]:
    if found is None:
        return []
    if found["effect_pct"] is None:
        return ["verified  no: the audited commit did not measure"]
    word = "" if found["verified"] else ", short of the claims"
    age = "; older than the best commit" if found["older"] else ""
    gain = effect_text(found["effect_pct"], *(found["ci_pct"] or ()))
    return [f"verified  {gain} against the baseline{word}{age}"]
