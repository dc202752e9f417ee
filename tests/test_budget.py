"""Money and time: sums, budgets that refuse, forecasts; and all of it once through the real command."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.budget.spend import (
    PerExperiment,
    Spend,
    add_up,
    beyond,
    cost_json,
    cost_text,
    forecast,
    near,
    per_experiment,
)
from autoresearch.config import Budget, parse_config
from autoresearch.engines import Machine
from autoresearch.engines.local import LocalEngine
from autoresearch.engines.supervisor import write_json
from autoresearch.errors import BadInput
from autoresearch.ledger.lines import CostFields, RunLine, SpentFields
from autoresearch.ledger.store import records
from autoresearch.project import Project
from driver import Driver

VM1 = Machine("vm-1", True, 2.0, 0.20)
VM2 = Machine("vm-2", False, 1.0, 0.30, dollars=0.29)
OWN = Machine("rack", True, 4.0)


def test_hours_times_price_unless_the_provider_reports() -> None:
    spend = add_up([VM1, VM2], SpentFields(), 5, None)
    assert spend.vm_hours == 3.0
    assert spend.dollars == pytest.approx(0.40 + 0.29)
    assert (spend.per_hour, spend.up, spend.tokens) == (0.20, 1, 5)
    assert spend.price == pytest.approx(0.25)


def test_a_price_of_ones_own_is_for_machines_without_one() -> None:
    assert add_up([OWN, VM1], SpentFields(), 0, 0.5).dollars == pytest.approx(2.0 + 0.4)
    assert add_up([OWN], SpentFields(), 0, None).dollars is None
    assert add_up([], SpentFields(), 0, 0.5).dollars == 0.0


def test_a_provider_without_a_price_list_names_no_price() -> None:
    slurm = Machine("rack", True, 4.0, 0.0, dollars=0.0)
    assert add_up([slurm], SpentFields(), 0, None).dollars is None
    assert add_up([slurm], SpentFields(), 0, 0.5).dollars == 2.0


@given(
    hours=st.lists(st.floats(0, 100), max_size=5),
    old_hours=st.floats(0, 1000),
    old_dollars=st.none() | st.floats(0, 1000),
)
def test_what_was_spent_stays_spent(hours: list[float], old_hours: float, old_dollars: float | None) -> None:
    machines = [Machine(f"m{i}", False, h, 1.0) for i, h in enumerate(hours)]
    spend = add_up(machines, SpentFields(vm_hours=old_hours, dollars=old_dollars), 0, None)
    assert spend.vm_hours >= max(old_hours, sum(hours) - 1e-6)
    assert (spend.dollars or 0.0) >= max(old_dollars or 0.0, sum(hours) - 1e-6)


def test_near_names_what_is_used_up_and_only_what_is_limited() -> None:
    spend = Spend(vm_hours=3.0, dollars=1.2, tokens=70)
    assert near(Budget(), spend) == ({}, [])
    shown, reasons = near(Budget(dollars=5, vm_hours=3, tokens=100), spend)
    assert shown == {"dollars": "1.20/5", "vm_hours": "3.00/3", "tokens": "70/100"}
    assert reasons == ["3.00 machine-hours used (budget.vm_hours is 3)"]


def test_the_baseline_says_what_an_experiment_takes_until_there_are_some() -> None:
    baseline = RunLine(seconds=20.0, runs_used=20)
    guess = per_experiment([], [], hours_since_baseline=0, baseline=baseline, max_runs=60)
    assert guess is not None
    assert (guess.hours * 3600, guess.hours_high * 3600) == (pytest.approx(31), pytest.approx(61))
    assert guess.basis == "the baseline"
    assert per_experiment([], [], hours_since_baseline=0, baseline=None, max_runs=60) is None
    costs = [CostFields(machine_s=100.0)] * 8 + [CostFields(machine_s=600.0)] * 2
    told = per_experiment(costs, [10, 20], hours_since_baseline=5.0, baseline=baseline, max_runs=60)
    assert told is not None
    # The mean holds idle and launching machines too; the spread is that of the experiments themselves.
    assert (told.hours, told.tokens, told.basis) == (0.5, 15, "10 experiments")
    assert told.hours_high == pytest.approx(0.5 * 3)
    # A new segment's baseline is minutes old; an experiment takes no less than its own jobs for that.
    fresh = per_experiment(costs, [], hours_since_baseline=0.001, baseline=baseline, max_runs=60)
    assert fresh is not None
    assert fresh.hours * 3600 == pytest.approx(200)


EACH = PerExperiment(0.5, 1.0, 100, "4 experiments")


def test_a_forecast_adds_hours_and_shares_the_clock() -> None:
    ahead = forecast(6, EACH, Spend(price=0.2), 3)
    assert (ahead.vm_hours, ahead.minutes, ahead.dollars, ahead.tokens) == (3.0, 60.0, pytest.approx(0.6), 600)
    assert forecast(2, EACH, Spend(), 3).minutes == 30.0
    assert "0.60 dollars" in ahead.sentence()
    assert forecast(1, EACH, Spend()).to_json()["dollars"] is None


@given(limit=st.floats(0.1, 10), used=st.floats(0, 10), n=st.integers(1, 20), reserve=st.floats(0, 2))
def test_nothing_is_submitted_that_would_go_beyond(limit: float, used: float, n: int, reserve: float) -> None:
    spend = Spend(vm_hours=used, dollars=used * 0.2, price=0.2)
    ahead = forecast(n, EACH, spend)
    refused = bool(beyond(Budget(vm_hours=limit), spend, ahead, reserve))
    assert refused == (used + n * 0.5 + reserve > limit)
    assert not beyond(Budget(), spend, ahead, reserve)


def test_the_refusal_is_a_sentence() -> None:
    spend = Spend(dollars=4.5, price=0.2)
    text = beyond(Budget(dollars=5), spend, forecast(10, EACH, spend), 0.1)
    assert text == (
        "it would probably go beyond budget.dollars 5: 4.5 spent, 1 for 10 experiments and 0.02 kept for the audit "
        "(from 4 experiments)"
    )
    assert beyond(Budget(tokens=1000), Spend(tokens=950), forecast(1, EACH, Spend()), 0.0)


def test_the_spend_in_words() -> None:
    spend = add_up([VM1], SpentFields(), 7, None)
    assert cost_text(spend) == "2.00 machine-hours, 0.40 dollars, 7 tokens; 1 machine up now, 0.20 dollars an hour"
    assert cost_json(spend) == {"vm_hours": 2.0, "dollars": 0.4, "dollars_per_hour": 0.2, "tokens": 7}


def test_the_local_machine_counts_once_however_many_jobs_run(tmp_path: Path) -> None:
    engine = LocalEngine(tmp_path)
    jobs = {"a": (1000.0, 4600.0), "b": (2800.0, 6400.0), "c": (8200.0, 10000.0)}
    for name, (begun, ended) in jobs.items():
        where = tmp_path / "jobs" / name
        where.mkdir(parents=True)
        write_json(where / "started.json", {"time": begun})
        write_json(where / "exit.json", {"ended": ended})
    (machine,) = engine.machines([*jobs, "gone"])
    assert (machine.up, machine.hours) == (False, pytest.approx(2.0))
    assert engine.machines(["a"])[0].hours == pytest.approx(1.0)


@pytest.mark.parametrize("bad", ["dollars: 0", "dollars: -1", "vm_hours: x", "cents: 5", "price_per_hour: -1"])
def test_a_bad_budget_is_refused(bad: str) -> None:
    with pytest.raises(BadInput):
        parse_config(f"name: t\nobjective: {{metric: a}}\nscope: [x]\nbudget: {{{bad}}}\n")


def set_budget(project: Project, text: str) -> None:
    path = project.root / "autoresearch.yaml"
    kept = [line for line in path.read_text().splitlines() if not line.startswith("budget:")]
    path.write_text("\n".join([*kept, f"budget: {text}"]) + "\n")


def test_a_session_says_what_it_costs_and_stops_at_its_budget(session: Driver) -> None:
    project = session.project
    code, _ = session("new", "e1", "--hypothesis", "fewer")
    assert code == 0
    source = project.worktree("e1") / "src" / "work.py"
    source.write_text(source.read_text().replace("1000", "900"))

    set_budget(project, "{dollars: 5}")
    code, data = session("run", "e1")
    assert (code, "nobody names the price" in data["error"]) == (2, True)
    set_budget(project, "{dollars: 0.0001, price_per_hour: 360}")  # 10 cents a second: the baseline was dearer
    code, data = session("run", "e1")
    assert code == 4
    assert "dollars spent (budget.dollars is 0.0001)" in data["error"]
    code, data = session("status")
    assert code == 4
    code, data = session("baseline", "--new-segment", "--timeout", "1")
    assert (code, "nothing more is measured" in data["error"]) == (4, True)
    baseline = next(r for r in records(project.ledger) if r.get("kind") == "baseline")
    hours = baseline["spent"]["vm_hours"]
    assert hours > 0
    # What is spent leaves room for less than an experiment.
    set_budget(project, f"{{vm_hours: {hours + 1e-5:.7f}, price_per_hour: 3.6}}")
    code, data = session("run", "e1")
    assert code == 4
    assert "would probably go beyond budget.vm_hours" in data["refused"][0]["error"]

    set_budget(project, "{dollars: 50, vm_hours: 10, tokens: 5000, price_per_hour: 3.6}")
    code, data = session("run", "e1")
    assert code == 0
    ahead = data["forecast"]
    assert (ahead["experiments"], ahead["basis"]) == (1, "the baseline")
    assert 0 < ahead["dollars"][0] <= ahead["dollars"][1]
    assert session.until_done("wait", "--timeout", "20")[0] == 0
    set_budget(project, "{tokens: 1, price_per_hour: 3.6}")
    assert session.until_done("ab", "e1", "--timeout", "20")[0] == 0
    code, data = session("decide", "e1", "--tokens", "4321")
    assert (code, data["status"]) == (0, "keep")
    (line,) = [r for r in records(project.ledger) if r.get("experiment") == "e1" and "run" in r]
    assert line["tokens"] == line["spent"]["tokens"] == 4321
    assert line["cost"]["machine_s"] > 0
    assert line["cost"]["dollars"] == pytest.approx(line["cost"]["machine_s"] / 1000, rel=1e-3)
    assert line["spent"]["vm_hours"] > hours
    code, data = session("status")
    assert code == 4
    assert data["stop"]["near"]["tokens"] == "4321/1"
    assert data["cost"]["tokens"] == 4321
    assert data["cost"]["dollars"] >= round(line["spent"]["dollars"], 2)
    assert "machine-hours" in session.run("status").stdout
