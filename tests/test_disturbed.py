"""What runs met is said and decides nothing; a test that was disturbed is offered again, as a test of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autoresearch.ledger.history import MOST_REPEATS
from driver import Driver, commit_all, make_project

# Every fourth run is as slow as on a core whose twin is busy; what the program does is the same.
COUNTING = """set -euo pipefail
n=$(cat {counter} 2>/dev/null || echo 0)
echo $((n + 1)) > {counter}
slow=$((n % 4 == 3 && n < {quiet_from} ? 17 : 10))
awk "BEGIN {{ printf \\"METRIC time_s=%.7f\\\\n\\", $slow * (0.001 + 0.0000001 * ($n * 7 % 5)) }}"
"""


def play(root: Path, *, quiet_from: int = 10**6, more: str = "") -> Driver:
    """A session with its baseline and one experiment, of a time that every fourth run disturbs."""
    make_project(root)
    driver = Driver(root)
    config = root / "autoresearch.yaml"
    text = config.read_text().replace("{metric: steps, direction: lower, unit: steps}", "{metric: time_s, unit: s}")
    config.write_text(f"{text}contain: {{mode: off}}\ntest: {{max_runs: 8}}\n{more}")
    (root / "autoresearch.sh").write_text(COUNTING.format(counter=root / ".git" / "counter", quiet_from=quiet_from))
    commit_all(root)
    driver.baseline()
    driver.open("e1")
    driver.edit("e1", "return 42", "return 40 + 2")
    return driver


def words(command: str) -> list[str]:
    """What `next` says, as the driver takes it."""
    assert command.startswith("autoresearch ")
    return command.split()[1:]


def booked(driver: Driver) -> list[dict[str, Any]]:
    return [line for line in driver.lines() if line.get("type") == "test"]


def test_a_disturbed_test_is_offered_again_twice_and_then_the_discard_stands(tmp_path: Path) -> None:
    driver = play(tmp_path / "p")
    code, told = driver.measure("e1")
    assert (code, told["verdict"], told["disturbed"]) == (1, "discard", True), told
    assert told["reason"] in ("hopeless", "budget")
    for number in (1, 2):
        assert told["next"] == f"autoresearch ab e1 --again {number} --timeout 25"
        assert told["repeat"].startswith("disturbed: run `ab` again when the machine is quieter")
        for asking in (("wait", "--timeout", "5"), ("status",)):
            answer = driver(*asking)[1]
            assert answer["next"] == told["next"], answer
        assert driver("status")[1]["undecided"]["e1"].startswith("disturbed: run `ab` again")
        # Neither a decision nor a poll of what is done takes it for final, and neither begins anything.
        code, refused = driver("decide", "e1")
        assert (code, refused["next"]) == (1, told["next"]), refused
        assert "it is a test of its own" in refused["error"]
        assert driver.measure("e1")[1]["t"] == told["t"]
        assert len(booked(driver)) == number
        code, told = driver.until_done(*words(told["next"]))
        assert (code, told["t"]) == (1, number + 1), told
        assert driver.until_done("ab", "e1", "--again", str(number), "--timeout", "20")[1]["t"] == number + 1
    assert told["next"] == "autoresearch decide e1"
    assert "repeat" not in told
    assert "disturbed in each of its 3 A/Bs: the discard stands" in told["reason_text"]
    lines = booked(driver)
    assert [line["t"] for line in lines] == [1, 2, 3]
    assert [line.get("again", 0) for line in lines] == [0, 1, MOST_REPEATS]
    assert all(line["alpha"] > 0 for line in lines)
    assert len({line["seed"] for line in lines}) == 3
    assert driver.until_done("ab", "e1", "--again", "3", "--timeout", "20")[1]["t"] == 3  # nor is there a fourth
    code, told = driver("decide", "e1")
    assert (code, told["status"]) == (1, "discard"), told
    line = driver.run_line("e1")
    assert "the discard stands" in line["verdict"]["reason_text"]
    assert line["runs_before"] >= 8  # of two tests, which cost as much as if they had decided
    code, told = driver("status")
    assert told["cost"]["runs"] == 4 + line["runs_before"] + line["verdict"]["runs_used"]


def test_a_repeat_that_was_quiet_decides(tmp_path: Path) -> None:
    driver = play(tmp_path / "p", quiet_from=4 + 1 + 2 + 8)  # the baseline, its warm-up, and the first A/B
    code, told = driver.measure("e1")
    assert "--again 1" in told["next"], told
    code, told = driver.until_done(*words(told["next"]))
    assert (code, told["next"]) == (1, "autoresearch decide e1"), told
    assert "disturbed" not in told
    code, told = driver("decide", "e1")
    assert (code, told["status"]) == (1, "discard")
    assert "disturbed" not in told["reason_text"]


@pytest.mark.parametrize("bound", ["budget: {vm_hours: 0.0001, price_per_hour: 1}\n", "--final"])
def test_where_nothing_more_is_measured_the_discard_stands_at_once(bound: str, tmp_path: Path) -> None:
    driver = play(tmp_path / "p")
    driver.measure("e1")
    if not bound.startswith("--"):
        driver.configure(bound)
    asked = [bound] if bound.startswith("--") else words(driver("status")[1]["next"])[2:]
    code, told = driver("decide", "e1", *asked)
    assert (code, told["status"]) == (1, "discard"), told
    line = driver.run_line("e1")
    assert ("nothing more may be measured: the discard stands" in line["verdict"]["reason_text"]) is not bool(asked)
    assert len(line["samples"]) == line["verdict"]["runs_used"]


def test_a_count_knows_no_load_and_is_not_repeated(tmp_path: Path) -> None:
    driver = play(tmp_path / "p")
    for path in (driver.root / "autoresearch.yaml", driver.root / "autoresearch.sh"):
        path.write_text(path.read_text().replace("time_s", "requests").replace("unit: s}", "unit: requests}"))
    code, told = driver.until_done("baseline", "--new-segment", "--timeout", "20")
    assert code == 0, told
    code, told = driver.measure("e1")
    assert (code, told["next"]) == (1, "autoresearch decide e1"), told
