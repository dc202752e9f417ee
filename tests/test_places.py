"""Where trees stand: one short private place of one length for each stage and command, and nothing above it."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autoresearch.trial import places
from autoresearch.trial.places import NAME, Place
from autoresearch.trial.stage import TrialStage
from driver import Driver, commit_all, make_project
from trial_helpers import HELPERS, alive, eventually, make_tree, run_trial, spec

OFF = "contain: {mode: off}\n"
# What needs a short TMPDIR: a socket of Python's own, one of multiprocessing (as databases have it), and forkserver's.
SOCKETS = """
import multiprocessing, os, socket, tempfile
if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as where, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.join(where, "a-server-with-a-name.sock"))
    with multiprocessing.Manager() as manager:
        manager.list([1]).append(2)
    process = multiprocessing.get_context("forkserver").Process(target=print)
    process.start()
    process.join()
    assert process.exitcode == 0
    print(len(os.environ["TMPDIR"]), len(os.environ["HOME"]), len(os.getcwd()), file=open("sizes", "w"))
"""


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two directories of everybody's that are only this test's, and a home."""
    found = []
    for name in ("first", "second", "home"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o1777 if name != "home" else 0o700)
        found.append(tmp_path / name)
    monkeypatch.setattr(places, "_shared", lambda: list(map(str, found)))
    return found


def everywhere(root: Path, line: str) -> None:
    """Have set-up, build, benchmark and checks run `line`."""
    config = root / "autoresearch.yaml"
    old = next(text for text in config.read_text().splitlines() if text.startswith("build:"))
    config.write_text(config.read_text().replace(old, "build: bash build.sh"))
    (root / "build.sh").write_text(line)
    for name in ("setup_deps.sh", "autoresearch.sh", "autoresearch.checks.sh"):
        path = root / name
        path.write_text((path.read_text() if path.exists() else "#!/bin/sh\nset -e\n") + line)


def test_sockets_work_in_each_stage_however_long_the_path_and_the_name_are(tmp_path: Path) -> None:
    root = make_project(tmp_path / ("a-project-far-down-" * 5) / "below-another")
    (root / "sockets.py").write_text(SOCKETS)
    everywhere(root, 'python3 sockets.py\necho "$(cat sizes) $PWD" >> "$PROBE/sizes"\n')
    commit_all(root)
    probe = tmp_path / "probe"
    probe.mkdir()
    driver = Driver(root)
    driver.configure(OFF)
    for script in ("build.sh", "setup_deps.sh", "autoresearch.sh", "autoresearch.checks.sh"):
        (root / script).write_text((root / script).read_text().replace("$PROBE", str(probe)))
    commit_all(root)
    try:
        _, data = driver("doctor", "--timeout", "60")
        assert not [f for f in data["findings"] if f["level"] == "fail"], data
        driver.baseline()
        name = "an-experiment-of-a-name-as-long-as-it-is"
        driver.open(name)
        driver.edit(name, "1000", "700")
        code, data = driver.measure(name)
        assert code == 0, data
    finally:
        driver.end()
    seen = [line.split() for line in (probe / "sizes").read_text().splitlines()]
    assert len(seen) > 20
    assert len({tuple(line[:3]) for line in seen}) == 1, "one length for all"
    assert len({line[3] for line in seen}) >= 3, "a place of its own for doctor, baseline and experiment"
    assert not any(line[3].startswith(str(tmp_path)) for line in seen)


# What lies above the project's trees where they stand below it; each tool says what it has found. (Makefiles, tsconfig
# and .envrc are looked for as their tools do: by name, upwards.)
ABOVE = {
    "Cargo.toml": '[workspace]\nmembers = ["nothing"]\n', "go.work": "go 1.20\nuse ./nothing\n",
    "package.json": '{"type": "module"}', "pytest.ini": "[pytest]\naddopts = --no-such-option\n",
    "conftest.py": "raise SystemExit('found')\n", "pyproject.toml": "[tool.pytest.ini_options]\naddopts='--bad'\n",
    "tsconfig.json": "{}", ".envrc": "export FOUND=1\n", ".editorconfig": "root = true\n", ".npmrc": "x=y\n",
    "Makefile": "all:\n\techo found\n", "setup.cfg": "[tool:pytest]\naddopts=--bad\n",
}  # fmt: skip
UP = """
import os, sys
at, names = os.getcwd(), sys.argv[1:]
while os.path.dirname(at) != at:
    at = os.path.dirname(at)
    found = [name for name in names if os.path.exists(os.path.join(at, name))]
    if found:
        sys.exit("%s has %s" % (at, found))
"""


@pytest.mark.parametrize("act", ["files", "pytest", "node", "cargo"])
def test_a_tool_that_searches_upwards_finds_nothing_of_the_project(
    fresh: Driver, act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uncontained, with the traps where the user has such files: in the project, and above it."""
    monkeypatch.setenv("RUSTUP_HOME", str(Path(pwd.getpwuid(os.getuid()).pw_dir) / ".rustup"))
    tool = {"pytest": sys.executable, "files": "python3"}.get(act, act)
    if shutil.which(tool) is None:
        pytest.skip(f"NO {tool} HERE, so nothing was tried with it")
    root = fresh.root
    lines = {
        "files": f"python3 inner/up.py {' '.join(ABOVE)} node_modules .git\n",
        "pytest": f"(cd inner && {sys.executable} -m pytest -q -p no:cacheprovider test_one.py >&2)\n",
        "node": "node inner/one.js\n",
        "cargo": "(cd inner && cargo metadata --offline --no-deps --format-version 1 >&2)\n",
    }
    inner = root / "inner"
    inner.mkdir()
    (inner / "up.py").write_text(UP)
    (inner / "test_one.py").write_text("def test_one():\n    assert True\n")
    (inner / "one.js").write_text("try { require('trap'); process.exit(3) } catch (e) { if (!e.code) throw e }\n")
    (inner / "Cargo.toml").write_text('[package]\nname = "one"\nversion = "0.1.0"\n')
    (inner / "src").mkdir()
    (inner / "src" / "lib.rs").write_text("")
    everywhere(root, lines[act])
    fresh.configure(OFF)
    commit_all(root)
    # Not committed: not of the measured tree, but where the user works, and around it.
    for where in (root, root.parent, root / ".autoresearch"):
        where.mkdir(exist_ok=True)
        for name, text in ABOVE.items():
            if not (where / name).exists():
                (where / name).write_text(text)
        (where / "node_modules" / "trap").mkdir(parents=True)
        (where / "node_modules" / "trap" / "index.js").write_text("")
    with (root / ".git" / "info" / "exclude").open("a") as file:
        file.writelines(f"/{name}\n" for name in (*ABOVE, "node_modules"))
    _, data = fresh("doctor", "--timeout", "60")
    assert not [f for f in data["findings"] if f["level"] == "fail"], data
    fresh.baseline()
    fresh.open("e1")
    fresh.edit("e1", "1000", "700")
    code, data = fresh.measure("e1")
    assert code == 0, data


def test_nor_in_a_plan(tmp_path: Path) -> None:
    root = make_project(tmp_path / "outer" / "project")
    for name in ("autoresearch.yaml", "autoresearch.sh", "autoresearch.checks.sh"):
        (root / name).unlink()
    for name, text in ABOVE.items():
        (root.parent / name).write_text(text)
    (root / "up.py").write_text(UP + "print('METRIC time_s=1')\n")
    commit_all(root)
    line = f"python3 up.py {' '.join(ABOVE)}"
    done = Driver(root).run("init", "--plan", "--json", "--benchmark", line)
    assert "Traceback" not in done.stderr
    assert '"failed"' not in done.stdout, done.stdout


def test_one_length_wherever_it_is(ground: list[Path]) -> None:
    owner = ground[0].parent
    with Place(str(owner)) as one, Place(str(owner / "home")) as other:
        assert len(one.path) == len(other.path)
        assert one.path != other.path
        assert {path.stat().st_mode & 0o777 for path in (Path(one.path), Path(one.path).parent)} == {0o700}
    assert not Path(one.path).exists()
    assert len("/var/tmp/ar-4294967294/0123456789") == places._LENGTH, "of the longest name that a user can have"


def not_ours(place: Path) -> None:
    (place / NAME).mkdir()
    os.chown(place / NAME, 4242, 4242)


def a_link(place: Path) -> None:
    (place / NAME).symlink_to(place.parent)


def a_file(place: Path) -> None:
    (place / NAME).write_text("")


def of_everybody(place: Path) -> None:
    place.chmod(0o777)


def not_there(place: Path) -> None:
    place.rmdir()


@pytest.mark.parametrize("spoil", [not_ours, a_link, a_file, of_everybody, not_there])
def test_a_place_that_is_not_safe_is_passed_over(ground: list[Path], spoil: Callable[[Path], None]) -> None:
    if spoil is not_ours and os.geteuid():
        pytest.skip("ONLY ROOT CAN MAKE ANOTHER USER'S DIRECTORY")
    spoil(ground[0])
    with Place(str(ground[0].parent)) as place:
        assert place.path.startswith(str(ground[1] / NAME))


def test_a_disk_that_cannot_serve_is_passed_over(ground: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs
    changes: dict[str, dict[str, Any]] = {str(ground[0]): {"f_flag": os.ST_NOEXEC}, str(ground[1]): {"f_bavail": 10}}

    def told(path: str) -> Any:
        found = real(path)
        names = [name for name in dir(found) if name.startswith("f_")]
        change = next((c for p, c in changes.items() if str(path).startswith(p)), {})
        return type("Disk", (), {name: getattr(found, name) for name in names} | change)

    monkeypatch.setattr(os, "statvfs", told)
    owner = ground[0].parent / "job"
    owner.mkdir()
    with Place(str(owner)) as place:
        assert place.path.startswith(str(ground[2])), "the home"
    changes[str(ground[2])] = {"f_flag": os.ST_RDONLY}
    with Place(str(owner)) as place:
        assert place.path == str(owner / "stage"), "where the job is, as it was before"
    assert not Path(place.path).exists()
    changes[str(owner)] = {"f_flag": os.ST_NOEXEC}
    with pytest.raises(
        OSError, match=r"first is mounted noexec; .*second has 0 MB free.*home cannot be written"
    ) as said:
        Place(str(owner))
    assert "let programs run" in str(said.value)


def test_one_with_a_workspace_above_is_only_taken_where_no_other_is(ground: list[Path]) -> None:
    (ground[0] / "package.json").write_text("{}")
    (ground[1] / ".git").mkdir()
    with Place(str(ground[0].parent)) as place:
        assert place.path.startswith(str(ground[2]))
    (ground[2] / "node_modules").mkdir()
    with Place(str(ground[0].parent)) as place:
        assert place.path.startswith(str(ground[0]))


def test_a_killed_holders_place_goes_and_a_living_ones_stays(ground: list[Path]) -> None:
    hold = f"""
import sys, time
from autoresearch.trial import places
places._shared = lambda: {list(map(str, ground))!r}
place = places.Place(sys.argv[1])
print(place.path, flush=True)
time.sleep(600)
"""

    def holder(name: str) -> tuple[subprocess.Popen[str], str]:
        owner = ground[0].parent / name
        owner.mkdir()
        words = [sys.executable, "-S", "-c", hold, str(owner)]
        child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(HELPERS)})
        assert child.stdout is not None
        return child, child.stdout.readline().strip()

    living, stays = holder("a")
    dead, goes = holder("b")
    try:
        (Path(goes) / ".t" / "closed").mkdir(parents=True)
        (Path(goes) / ".t").chmod(0o500)
        dead.kill()
        dead.wait()
        assert [place.path for place in places.left(str(ground[0].parent / "b"))] == [goes]
        assert places.left(str(ground[0].parent / "a")) == places.left(str(ground[0].parent / "c")) == []
        stray = Path(stays).parent / "conftest.py"  # put there by what ran uncontained
        stray.write_text("")
        assert places.sweep(str(ground[0].parent / "c")) == 0
        with Place(str(ground[0].parent)):
            assert not Path(goes).exists()
            assert not stray.exists()
            assert Path(stays).is_dir()
    finally:
        living.kill()
        living.wait()


@pytest.mark.parametrize("who", ["trial", "all"])
def test_a_killed_job_leaves_no_place(session: Driver, who: str) -> None:
    """The guardian removes what a killed trial leaves; where it is killed too, the next command does."""
    path = session.root / "autoresearch.sh"
    session.open("e1")
    session.edit("e1", "1000", "700\nimport time, os\nopen(os.environ['TMPDIR'] + '/begun', 'w')\ntime.sleep(60)\n#")
    session("run", "e1")
    mine = str(session.project.state)

    def held() -> list[Path]:
        base = Path("/var/tmp") / NAME
        owners = (place for place in base.glob("*/.owner"))
        return [place.parent for place in owners if _text(place).startswith(mine)]

    assert eventually(lambda: any((place / "tmp" / "begun").exists() for place in held())), path
    jobs = [json.loads(path.read_text()) for path in session.project.jobs.glob("*/pid.json")]
    trial = [int(p.name) for p in Path("/proc").glob("[0-9]*") if _runs_below(p, mine)]
    for pid in trial + ([job["pid"] for job in jobs] if who == "all" else []):
        if alive(pid):
            os.kill(pid, 9)
    if who == "all":
        time.sleep(0.5)
        session("status")
    assert eventually(lambda: not held())


def test_doctor_lists_what_is_left_of_this_session_and_mends_it(session: Driver) -> None:
    base = Path(os.environ["HOME"]) / ".cache" / NAME
    base.mkdir(mode=0o700, parents=True)
    for name, owner in (("0123456789", session.project.jobs / "e1-ab-1" / "trial"), ("abcdef0123", "/elsewhere/jobs")):
        (base / name / "work").mkdir(parents=True)
        (base / name / ".owner").write_text(str(owner))
    _, data = session("doctor", "--no-run")
    assert [f["found"] for f in data["findings"] if f["what"] == "disk"] == ["1 trees of ended jobs were not removed"]
    code, data = session("doctor", "--repair")
    assert code == 0, data
    assert not (base / "0123456789").exists()


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _runs_below(process: Path, below: str) -> bool:
    try:
        words = (process / "cmdline").read_bytes()
        return b"autoresearch" in words and str((process / "cwd").readlink()).startswith(below)
    except OSError:
        return False


def test_a_tree_that_has_no_room_is_one_sentence_and_nobodys_fault(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "b", "echo METRIC time_s=1")
    (tree / "not-there").symlink_to("x")
    work = tmp_path / "t"
    work.mkdir()
    (work / "b.tar").write_bytes(b"no tar at all" * 100)
    ran = run_trial(work, spec("single"), None, None)
    assert ran.end["base_failed"]
    assert ran.end["error"].startswith("machine: tar: ")
    assert "Command" not in ran.end["error"]


def test_nothing_that_a_build_puts_beside_its_tree_is_there_for_the_next(tmp_path: Path) -> None:
    with TrialStage(str(tmp_path)) as stage:
        Path(stage.work).mkdir()
        tree = stage.put_away()
        Path(stage.root, "conftest.py").write_text("")
        Path(stage.root, "node_modules").mkdir()
        stage.place_copy(tree)
        assert sorted(path.name for path in Path(stage.root).iterdir()) == [
            ".owner",
            ".t",
            "home",
            "layers",
            "slash-tmp",
            "tmp",
            "work",
        ]
