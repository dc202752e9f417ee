"""Containment, with real processes: what a candidate cannot reach, see, keep or use up."""

from __future__ import annotations

import os
import socket
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoresearch.trial import namespaces, procs
from autoresearch.trial.contain import Box, Settings, Unavailable
from autoresearch.trial.limits import Guard, Limits
from autoresearch.trial.stage import TrialStage
from trial_helpers import make_tree, processes_with, run_trial, spec

PYTHON = sys.executable


class Inside:
    """A stage below a project's `.autoresearch`, as the local engine makes it, and a box around it."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.home = root / "home"
        self.project = self.home / "project"
        (self.project / ".git").mkdir(parents=True)
        state = self.project / ".autoresearch"
        for name in ("pin", "worktrees/other", "jobs/e1-ab-1/trial/t"):
            (state / name).mkdir(parents=True)
        (state / "pin" / "checks.sh").write_text("hidden check")
        (self.project / "autoresearch.jsonl").write_text("{}\n")
        (self.home / ".ssh").mkdir()
        (self.home / ".ssh" / "id_ed25519").write_text("key")
        (self.home / ".netrc").write_text("password")
        (self.home / ".cargo").mkdir()
        (self.home / ".cargo" / "config.toml").write_text("# registry")
        (self.home / "notes").write_text("readable")
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.home)}
        self.stage = TrialStage(str(state / "jobs" / "e1-ab-1" / "trial" / "t"))
        self.box = Box(Settings(**settings), self.stage, self.env)
        Path(self.stage.work).mkdir()

    def run(
        self, command: procs.Command, stage: str = "benchmark", limits: Limits | None = None, **options: Any
    ) -> procs.Finished:
        if limits is not None:
            options["guard"] = Guard(limits, [*self.stage.parts, self.stage.tmp, self.stage.slash_tmp])
        env = {**self.env, **{k: v for k, v in self.box.variables(stage).items() if v is not None}}
        with self.box.entry(stage, self.stage.work) as entry:
            return procs.run(command, env=env, cwd=self.stage.work, timeout=30, entry=entry, **options)


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inside]:
    made = Inside(tmp_path)
    if made.box.level == "none":
        pytest.skip(f"THIS MACHINE CANNOT CONTAIN, so nothing was tested: {made.box.missing}")
    yield made
    made.stage.close()


def test_nothing_outside_the_stage_can_be_written(inside: Inside) -> None:
    places = [inside.home, inside.project, "/etc", "/usr", "/var", "/", "/run", "/sys", inside.stage.root]
    for place in places:
        done = inside.run(f"touch '{place}/x'")
        assert not done.ok, place
        assert "Read-only file system" in done.output or "Permission denied" in done.output, done.output
    assert inside.run('touch here "$HOME/x" "$TMPDIR/x" /tmp/x /var/tmp/x /dev/shm/x && echo all').output == "all\n"
    assert Path(inside.stage.work, "here").exists()
    assert not Path("/tmp/x").exists()
    assert not Path("/dev/shm/x").exists()


def test_secrets_and_the_session_are_not_there(inside: Inside) -> None:
    hidden = [
        inside.home / ".ssh" / "id_ed25519", inside.project / "autoresearch.jsonl",
        inside.project / ".autoresearch" / "pin" / "checks.sh", inside.project / ".git",
    ]  # fmt: skip
    for path in hidden:
        assert path.exists()
        assert not inside.run(["test", "-e", str(path)]).ok, path
    assert "password" not in inside.run(["cat", str(inside.home / ".netrc")]).output
    assert "other" not in inside.run(["ls", "-R", str(inside.project / ".autoresearch")]).output
    # What is no secret stays readable: tools live in a home.
    assert inside.run(["cat", str(inside.home / "notes")]).output == "readable"


def test_home_is_private_and_tools_find_the_real_one(inside: Inside) -> None:
    assert inside.run("ls -A ~; echo $HOME").output == inside.stage.home + "\n"
    assert inside.run('cat "$CARGO_HOME/config.toml"').output == "# registry"
    inside.run('echo poison >> "$CARGO_HOME/config.toml"')
    assert (inside.home / ".cargo" / "config.toml").read_text() == "# registry"


def test_changes_to_caches_belong_to_one_side(inside: Inside) -> None:
    if not inside.box.describe()["layers"]:
        pytest.skip("NO LAYERS OVER CACHES HERE: this file system or kernel has no overlayfs for us")
    inside.run('echo mine > "$CARGO_HOME/mine"')
    assert not (inside.home / ".cargo" / "mine").exists()
    tree = inside.stage.put_away()
    inside.stage.place_copy(tree)
    assert inside.run('cat "$CARGO_HOME/mine"').output == "mine\n"
    inside.stage.clear()
    Path(inside.stage.work).mkdir()
    assert not inside.run('cat "$CARGO_HOME/mine"').ok


def test_network_is_loopback_only_but_where_allowed(inside: Inside) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        reach = [PYTHON, "-S", "-c", f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)"]
        assert not inside.run(reach, "benchmark").ok
        assert not inside.run(reach, "build").ok
        assert inside.run(reach, "setup").ok
    own = "import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname(), 5)"
    assert inside.run([PYTHON, "-S", "-c", own]).ok


def test_sockets_of_services_cannot_be_reached(inside: Inside) -> None:
    path = str(inside.home / "service.sock")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as abstract:
        server.bind(path)
        name = uuid.uuid4().hex
        abstract.bind("\0" + name)
        abstract.listen()
        code = f"import socket; socket.socket(socket.AF_UNIX).connect('\\0{name}')"
        assert not inside.run([PYTHON, "-S", "-c", code]).ok
    assert inside.run("ls -A /run").output == ""


def test_no_process_is_seen_and_none_survives(inside: Inside) -> None:
    token = uuid.uuid4().hex
    script = f"""
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(1000)  # {token}
    os._exit(0)
os.wait()
"""
    done = inside.run([PYTHON, "-S", "-c", script])
    assert done.ok, done.output
    assert processes_with(token) == []
    if inside.box.level == "full":
        assert not inside.run(f"kill -9 {os.getpid()}").ok
        seen = inside.run("ls /proc | grep -c '^[0-9]'").output
        assert int(seen) < 8


def test_exit_codes_signals_and_times_are_the_commands_own(inside: Inside) -> None:
    assert inside.run("exit 3").exit_code == 3
    assert inside.run("kill -9 $$").exit_code == 137
    assert inside.run("kill -9 1; echo alive").output == "alive\n"
    burn = [PYTHON, "-S", "-c", "import time\nwhile time.process_time() < 0.3: pass"]
    assert inside.run(burn).cpu_seconds >= 0.3
    cpu = max(os.sched_getaffinity(0))
    assert (
        inside.run([PYTHON, "-S", "-c", "import os; print(os.sched_getaffinity(0))"], cpus=[cpu]).output
        == f"{{{cpu}}}\n"
    )


def test_privileges_are_gone(inside: Inside) -> None:
    for command in ("mount -t tmpfs none /mnt", "mount -o remount,rw /", "umount /dev/shm", "mknod null c 1 3"):
        assert not inside.run(command).ok, command
    again = "unshare -Urm sh -c 'mount -o remount,rw,bind / || mount -o remount,bind,rw /usr; touch /usr/x'"
    assert not inside.run(again).ok
    assert not Path("/usr/x").exists()
    assert inside.run("grep NoNewPrivs /proc/self/status").output.split()[1] == "1"


def test_a_terminal_and_shared_memory_work(inside: Inside) -> None:
    code = "import pty, multiprocessing as m; pty.openpty(); m.Lock(); print('ok')"
    assert inside.run([PYTHON, "-S", "-c", code]).output == "ok\n"


def test_a_failure_to_enter_is_a_machine_error_with_its_reason(inside: Inside, monkeypatch: Any) -> None:
    inside.box._view = inside.box._view._replace(binds=(("/does/not/exist", "/tmp", False),))  # type: ignore[union-attr]
    with pytest.raises(OSError, match=r"containment: .*does/not/exist"):
        inside.run("true")
    assert inside.box.by == "namespaces"


def test_bubblewrap_gives_the_same(tmp_path: Path, monkeypatch: Any) -> None:
    from autoresearch.trial import contain

    attempt = contain.Box._try

    def refuse_namespaces(box: Box, by: str, view: Any) -> str:
        return "refused" if by == "namespaces" else attempt(box, by, view)

    monkeypatch.setattr(contain.Box, "_try", refuse_namespaces)
    inside = Inside(tmp_path)
    if inside.box.by != "bubblewrap":
        pytest.skip(f"BUBBLEWRAP WAS NOT TESTED: {inside.box.missing}")
    assert inside.box.level == "full"
    test_nothing_outside_the_stage_can_be_written(inside)
    test_secrets_and_the_session_are_not_there(inside)
    test_no_process_is_seen_and_none_survives(inside)
    test_network_is_loopback_only_but_where_allowed(inside)
    test_privileges_are_gone(inside)
    assert inside.run("exit 3").exit_code == 3
    assert inside.run("kill -9 $$").exit_code == 137


def test_both_sides_see_the_same(tmp_path: Path) -> None:
    # All but what is drawn for every run; cksum makes a number of it.
    look = """d=$({ pwd; ls -A /tmp ~; id; cat /proc/self/limits
env | grep -v -E 'LAYOUT_SEED=|PAD=|HASHSEED=|AUTORESEARCH_RUN=|PYTEST_ADDOPTS=' | sort; } | cksum | cut -d" " -f1)
"""
    a = make_tree(tmp_path / "a", look + "echo METRIC time_s=1; echo METRIC seen=$d")
    b = make_tree(tmp_path / "b", look + "echo METRIC seen=$d; echo METRIC time_s=2")
    ran = run_trial(tmp_path / "t", spec(test={"seed": 1, "max_runs": 8}), a, b)
    assert {sample["side"] for sample in ran.counted} == {"A", "B"}
    assert len({sample["metrics"]["seen"] for sample in ran.counted}) == 1


def test_the_record_names_the_level(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "b", "echo METRIC time_s=1")
    (auto,) = run_trial(tmp_path / "t", spec("single"), None, tree).of("environment")
    assert auto["contain"]["level"] in ("full", "partial", "none")
    assert auto["contain"]["network"] == ["setup"] or auto["contain"]["missing"]
    (off,) = run_trial(tmp_path / "u", spec("single", contain={"mode": "off"}), None, tree).of("environment")
    assert (off["contain"]["level"], off["contain"]["missing"]) == ("none", "switched off (contain.mode)")


def test_without_containment_home_is_still_private(tmp_path: Path) -> None:
    box = Inside(tmp_path, mode="off")
    assert box.run("echo $HOME; ls -A ~").output == box.stage.home + "\n"
    assert box.run('echo "$CARGO_HOME"').output == str(box.home / ".cargo") + "\n"


def test_required_containment_that_is_not_there_stops_the_trial(tmp_path: Path, monkeypatch: Any) -> None:
    from autoresearch.trial import contain

    monkeypatch.setattr(contain, "_variants", lambda whole: iter(()))
    monkeypatch.setattr(contain.shutil, "which", lambda name: None)
    monkeypatch.setattr(contain.sys, "platform", "other")
    with pytest.raises(Unavailable, match="required"):
        Inside(tmp_path, mode="require")


HOG = "import time\nkept = []\nwhile True:\n    kept.append(bytearray(b'x' * 2**24)); time.sleep(0.01)"
FILL = "for i in $(seq 1000); do head -c 4000000 /dev/zero > $TMPDIR/$i; done; echo full"


@pytest.fixture(params=["auto", "off"])
def either(tmp_path: Path, request: pytest.FixtureRequest) -> Inside:
    """Limits hold with and without a container."""
    return Inside(tmp_path, mode=request.param)


def test_memory_is_limited(either: Inside) -> None:
    done = either.run([PYTHON, "-S", "-c", HOG], limits=Limits(memory_mb=200))
    assert (done.ok, done.exceeded, done.failure()) == (False, "memory over 200 MB", "memory over 200 MB")
    split = f"import os\nfor _ in range(3): os.fork()\n{HOG}"
    assert either.run([PYTHON, "-S", "-c", split], limits=Limits(memory_mb=300)).exceeded
    assert either.run([PYTHON, "-S", "-c", "x = bytearray(b'x' * 2**26)"], limits=Limits(memory_mb=400)).ok


def test_a_fork_bomb_ends(either: Inside) -> None:
    token = uuid.uuid4().hex
    bomb = f"import os, time\nfor _ in range(400):\n    if os.fork() == 0: time.sleep(1000)  # {token}\ntime.sleep(9)"
    done = either.run([PYTHON, "-S", "-c", bomb], limits=Limits(processes=100))
    assert done.exceeded == "more than 100 processes"
    assert processes_with(token) == []


def test_disk_is_limited(either: Inside) -> None:
    done = either.run(FILL, limits=Limits(disk_mb=60))
    assert done.exceeded == "more than 60 MB on disk"
    one = either.run("head -c 90000000 /dev/zero > one", limits=Limits(disk_mb=60))
    assert not one.ok
    assert Path(either.stage.work, "one").stat().st_size <= 60 * 2**20


def test_output_is_limited_through_a_trial(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "b", "yes; echo METRIC time_s=1")
    ran = run_trial(tmp_path / "t", spec("single", contain={"output_mb": 1}), None, tree)
    assert ran.end["error"] == "benchmark printed more than the output limit"
    tree = make_tree(tmp_path / "c", f'python3 -S -c "{HOG}"')
    ran = run_trial(tmp_path / "u", spec("single", contain={"memory_mb": 200}), None, tree)
    assert ran.end["error"] == "benchmark memory over 200 MB"


@pytest.mark.timeout(30)
def test_a_kernel_that_refuses_a_user_namespace_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a chroot: root's helper, which would map the ids, must not be waited for for ever."""

    def refuse(*_: Any) -> None:
        raise OSError(1, "refused")

    monkeypatch.setattr(namespaces, "_call", refuse)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(OSError, match="refused"):
        namespaces._unshare(namespaces.MachineView((), (), (), (), (), (), 0), network=True)
