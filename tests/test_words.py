"""What a verdict says in words: both values, one convention of signs, and no claim that its interval does not carry."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.config import parse_config
from autoresearch.errors import BadInput
from autoresearch.verdict.rule import Rule
from autoresearch.verdict.sequential import SequentialTest
from autoresearch.verdict.words import Effect, Quantity, ends
from driver import Driver

MS, RATE, SIZE = Quantity("time_ms", "ms"), Quantity("ops", "req/s", "higher"), Quantity("wheel", "MB")


@pytest.mark.parametrize(("of", "change", "said"), [
    (MS, Effect(26.0, 8.0, 40.0, 2.0, 36, decided=True), "26.0 % faster [8.0, 40.0], 36 runs"),
    (MS, Effect(-12.0, -20.0, -5.0, 2.0, 16), "12.0 % slower [5.0, 20.0], 16 runs"),
    (MS, Effect(-12.0, None, None, 14.0, 4), "no difference shown (4 runs, between 70.5 % slower and 26.4 % faster)"),
    (MS, Effect(3.0, -1.0, 7.0, 2.0, 12), "no difference shown (12 runs, between 1.0 % slower and 7.0 % faster)"),
    (MS, Effect(-30.0, None, None, 2.0, 4), "30.0 % slower [22.4, 38.0], 4 runs"),
    # 100 -> 110 requests are 10 % more, whatever share of the time they take.
    (RATE, Effect(100 / 11, 100 / 21, 20.0, 1.0, 12, decided=True), "10.0 % higher [5.0, 25.0], 12 runs"),
    (RATE, Effect(-100.0, -150.0, -50.0, 1.0, 12), "50.0 % lower [33.3, 60.0], 12 runs"),
    (SIZE, Effect(5.0, 5.0, 5.0, 0.0, 12), "exactly 5.0 % smaller, 12 runs"),
    (SIZE, Effect(-5.0, -5.0, -5.0, 0.0, 12), "exactly 5.0 % larger, 12 runs"),
    (SIZE, Effect(0.0, 0.0, 0.0, 0.0, 12), "the same value in every run, 12 runs"),
    (Quantity("steps", "steps"), Effect(5.0, 1.0, 9.0, 1.0, 1), "5.0 % lower [1.0, 9.0], 1 run"),
    (Quantity("score", "", "higher"), Effect(-5.0, -9.0, -1.0, 1.0, 4, linear=True), "5.0 % lower [1.0, 9.0], 4 runs"),
    (MS, Effect(-12.0, None, None, None, 8), "12.0 % slower by the medians (its interval is not known), 8 runs"),
    (MS, Effect(None, runs=3), "3 runs"),
])  # fmt: skip
def test_each_change_in_its_words(of: Quantity, change: Effect, said: str) -> None:
    assert of.said(change) == said


@pytest.mark.parametrize(("line", "likely"), [
    ("objective: {metric: a, direction: lowr}", "lower"), ("engine: locl", "local"), ("test: {preset: lena}", "lean"),
    ("constraints: [{metrc: b}]", "metric"), ("scop: [a]", "scope"), ("engine: 7", ""),
    ("constraints: [{metric: b, direction: hgher, max: 1}]", "higher"), ("test: {preset: zzz}", "lean or default or"),
])  # fmt: skip
def test_a_typo_in_the_yaml_is_answered_with_what_was_meant(line: str, likely: str) -> None:
    text = "name: t\nscope: [a]\n" + ("" if "objective" in line else "objective: {metric: a}\n") + line + "\n"
    with pytest.raises(BadInput) as caught:
        parse_config(text)
    assert (f"Did you mean {likely}" in caught.value.fix) is bool(likely), caught.value.sentence()


def test_both_values_are_told_apart() -> None:
    assert MS.values(Effect(26.0, base=642.0, candidate=458.0)) == "642 -> 458 ms"
    assert MS.values(Effect(0.01, base=642.012, candidate=642.007)) == "642.012 -> 642.007 ms"
    assert SIZE.values(Effect(1.0, base=1234567.0, candidate=1200000.0)) == "1234567 -> 1200000 MB"
    assert MS.values(Effect(None, base=1.0)) == ""


@given(st.floats(-500, 99), st.floats(0, 60), st.floats(0, 60), st.booleans(), st.sampled_from([MS, RATE, SIZE]))
def test_a_direction_is_claimed_where_the_interval_excludes_0(
    effect: float, below: float, above: float, linear: bool, of: Quantity
) -> None:
    change = Effect(effect, effect - below, min(99.5, effect + above), 1.0, 8, linear=linear)
    low, high = ends(change)
    assert low is not None
    assert high is not None
    said = of.said(change)
    better, worse = of.words
    if low <= 0.0 <= high and low < high:
        assert said.startswith("no difference shown")
    elif low > 0.0:
        assert better in said
        assert worse not in said
    elif high < 0.0:
        assert worse in said
        assert better not in said


def test_worse_in_the_reason_is_worse_in_the_words() -> None:
    """On noise alone, a loss, and few blocks: the reason and the words of a verdict agree."""
    rng = random.Random(11)
    seen = set()
    for number in range(300):
        test, shift = SequentialTest(Rule()), (0.0, 0.02, 0.2)[number % 3]
        for _ in range(rng.randint(1, 4)):
            order = rng.choice(["ABBA", "BAAB", "ABAB", "AABB"])
            test.step(order, [rng.gauss(1.0, 0.02) + (shift if side == "B" else 0.0) for side in order])
        found = test.verdict()
        line = found.line(of=MS)
        worse = "slower [" in line or "exactly" in line
        seen.add(worse)
        if found.reason == "hopeless":
            assert worse == found.reason_text.startswith("worse"), line
    assert seen == {True, False}


def test_ab_decide_and_log_say_both_values_the_interval_and_the_word(session: Driver) -> None:
    for name, value in (("e1", "700"), ("e2", "1200")):
        session.open(name)
        session.edit(name, "1000", value)
    assert "1000 -> 700 steps, exactly 30.0 % lower, " in (said := session.run("ab", "e1").stdout), said
    assert "runs, KEEP — " in said
    said = session.run("decide", "e1").stdout
    assert "1000 -> 700 steps, exactly 30.0 % lower, " in said
    session("decide", "e2", "--abandon")
    session.open("e3")
    session.edit("e3", "700", "1200")
    assert "700 -> 1200 steps, 71.4 % higher [" in session.run("ab", "e3").stdout
    session("decide", "e3")
    assert session.until_done("baseline", "--new-segment", "--timeout", "20")[0] == 0
    rows = session.run("log").stdout.splitlines()
    found = {row.split()[0]: row for row in rows if row[:1].isdigit()}
    assert rows[0] == "segment 1: 4 runs, steps steps, lower is better"
    assert "segment 2: 1 run, steps steps, lower is better" in rows
    assert "  baseline  " in found["1"]
    assert "1000 -> 700 steps  exactly 30.0 % lower, " in found["2"]
    assert found["3"].split()[2:5] == ["-", "-", "discard"], "it never ran"
    assert "700 -> 1200 steps  71.4 % higher [" in found["4"], "against its own base"
