"""A candidate that failed is mended twice at most; the bound is code, and the ledger has it."""

from __future__ import annotations

from driver import Driver


def run_once(session: Driver, name: str) -> str:
    code, data = session("run", name)
    assert code == 0, data
    return str(session.until_done("wait", "--timeout", "20")[1]["stages"][name])


def test_a_failed_win_is_reworked_twice_at_most(session: Driver) -> None:
    session.open("e1")
    session.edit("e1", "return 1000", "return 900")
    session.edit("e1", "return 42", "return 41")
    for wrong, other in (("41", "40"), ("40", "39"), ("39", None)):
        assert run_once(session, "e1").startswith("failed: checks_failed")
        if other:
            assert session("status")[1]["next"] == "autoresearch logs e1"
            session.edit("e1", f"return {wrong}", f"return {other}")
    assert session("status")[1]["next"] == "autoresearch decide e1"
    # Neither the same files again, nor mended ones, nor an A/B of them: three failures are enough.
    for command in (["run", "e1"], ["ab", "e1", "--timeout", "20"]):
        code, data = session(*command)
        assert (code, data["next"]) == (1, "autoresearch decide e1"), command
    session.edit("e1", "return 39", "return 42")
    for command in (["run", "e1"], ["ab", "e1", "--timeout", "20"], ["decide", "e1"]):
        code, data = session(*command)
        assert (code, data["next"]) == (1, "autoresearch decide e1 --abandon"), command
    session.edit("e1", "return 42", "return 39")
    code, data = session("decide", "e1")
    assert (code, data["status"]) == (1, "checks_failed")
    line = session.run_line("e1")
    assert (line["jobs"], line["reworks"]) == (3, 2)
    assert [r.get("rework") for r in session.lines() if r.get("type") == "job"] == [None, 1, 2]
    assert session("status")[1]["counts"] == {"checks_failed": 1}


def test_a_reworked_win_is_kept_and_its_tests_stay_untouched(session: Driver) -> None:
    session.open("e1")
    session.edit("e1", "return 1000", "return 900")
    session.edit("e1", "return 42", "return 41")
    assert run_once(session, "e1").startswith("failed: checks_failed")
    session.edit("e1", "assert answer() == 42", "assert True", "autoresearch.checks.sh")
    code, data = session("run", "e1")
    assert code == 5, "the checks are not what is mended"
    session.edit("e1", "assert True", "assert answer() == 42", "autoresearch.checks.sh")
    session.edit("e1", "return 41", "return 42")
    assert run_once(session, "e1").startswith("screened")
    code, data = session.measure("e1")
    assert (code, data["verdict"]) == (0, "keep"), data
    assert session("decide", "e1")[1]["status"] == "keep"
    assert session.run_line("e1")["reworks"] == 1
    # What was cancelled, or never failed, is no rework.
    session.open("e2")
    session.edit("e2", "return 900", "return 800")
    assert run_once(session, "e2").startswith("screened")
    session.edit("e2", "return 800", "return 700")
    assert run_once(session, "e2").startswith("screened")
    assert session("decide", "e2", "--abandon")[0] == 1
    assert session.run_line("e2")["reworks"] == 0
