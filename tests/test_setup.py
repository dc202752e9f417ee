"""setup.sh as a user meets it: installed for real, from a directory, a tarball and a pipe, and taken back."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from autoresearch import __version__

ROOT = Path(__file__).resolve().parents[1]
TRAVELS = [
    "SKILL.md", "instructions.md", "experiment.yaml", "setup.sh", "pyproject.toml", "README.md", "LICENSE",
    "CHANGELOG.md", "helpers", "references", "templates", ".claude-plugin", "hooks", "package.json", "pi",
]  # fmt: skip
SKILL = Path(".agents/skills/autoresearch")
LINK = Path(".claude/skills/autoresearch")
JUNK = shutil.ignore_patterns("__pycache__", ".*_cache", "*.pyc")

Done = subprocess.CompletedProcess


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, so that no other test's edit or cache changes what is installed meanwhile."""
    place = tmp_path_factory.mktemp("source") / "auto research"  # a path with a space
    place.mkdir()
    for name in TRAVELS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place / name, ignore=JUNK)
        else:
            shutil.copy2(ROOT / name, place / name)
    (place / "tests").mkdir()
    shutil.copy2(ROOT / "tests/run.sh", place / "tests/run.sh")
    return place


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Package caches outside HOME: they are the package manager's, and shared by the tests."""
    place = tmp_path_factory.mktemp("caches")
    return {"PIP_CACHE_DIR": str(place / "pip"), "UV_CACHE_DIR": str(place / "uv")}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One account for the whole module, so that the command is installed once."""
    return tmp_path_factory.mktemp("home")


def environment(home: Path | None, **more: str) -> dict[str, str]:
    """The registry's settings pass, the account does not. No uv, which has a test of its own, and no rustc, which pip
    asks for its version: rustup would answer by writing into HOME.
    """
    passed = {k: v for k, v in os.environ.items() if re.match(r"(PIP|UV|SSL|REQUESTS|HTTPS?|NO)_|TMPDIR|LANG", k)}
    path = [p for p in os.environ["PATH"].split(":") if not ((Path(p) / "uv").exists() or (Path(p) / "rustc").exists())]
    path.insert(0, str(Path(sys.base_prefix) / "bin"))
    return passed | {"PATH": ":".join(path)} | ({"HOME": str(home)} if home else {}) | more


def run_setup(source: Path, *args: str, cwd: Path, env: dict[str, str]) -> Done[str]:
    command = ["bash", str(source / "setup.sh"), *args]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=280)


def git_project(place: Path) -> Path:
    place.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(place)], check=True)
    return place


def tree(root: Path) -> dict[str, str]:
    """Every file's hash and every link's target, by path."""
    found = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if name.startswith(".git/") or "__pycache__" in name:
            continue
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


# --- what needs no installation


def test_help_names_every_mode(tmp_path: Path) -> None:
    done = run_setup(ROOT, "--help", cwd=tmp_path, env=environment(tmp_path))
    assert done.returncode == 0
    for word in ("--demo", "--test", "--uninstall", "TARGET_REPO", "AUTORESEARCH_SOURCE"):
        assert word in done.stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--frobnicate"], "unknown option --frobnicate"),
        (["--uninstall", "now"], "unexpected argument now"),
        (["--test", "nonsense"], "no suite is called nonsense"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_2(tmp_path: Path, checkout: Path, args: list[str], said: str) -> None:
    done = run_setup(checkout, *args, cwd=tmp_path, env=environment(tmp_path))
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suite", ["slurm", "attacks", "faults", "clients"])
def test_a_suite_that_is_not_there_is_named_loudly(tmp_path: Path, checkout: Path, suite: str) -> None:
    done = run_setup(checkout, "--test", suite, cwd=tmp_path, env=environment(tmp_path))
    assert done.returncode == 2
    assert "NOT THERE YET" in done.stderr
    assert suite in done.stderr


def test_piped_without_a_source_says_so(tmp_path: Path) -> None:
    script = (ROOT / "setup.sh").read_text()
    done = subprocess.run(
        ["bash"], input=script, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "AUTORESEARCH_SOURCE is not set" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_download_does_nothing(tmp_path: Path) -> None:
    done = part("", cwd=tmp_path, env=environment(tmp_path))
    assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (0, "", [])


@pytest.mark.parametrize("missing", ["git", "python"])
def test_a_missing_tool_is_named_with_its_package(tmp_path: Path, checkout: Path, missing: str) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("bash", "dirname", "date", "rm", "mktemp", "git"):
        found = shutil.which(tool)
        if found and tool != missing:
            (tools / tool).symlink_to(found)
    env = environment(tmp_path, PATH=str(tools))
    done = run_setup(checkout, cwd=tmp_path, env=env)
    assert done.returncode == 3
    assert f"apt install {missing}" in done.stderr
    assert done.stderr.count("\n") == 1


def part(words: str, *, cwd: Path, env: dict[str, str]) -> Done[str]:
    """Some functions of the script, without its last line."""
    script = (ROOT / "setup.sh").read_text().rsplit("\nmain ", 1)[0]
    return subprocess.run(["bash"], input=f"{script}\n{words}\n", cwd=cwd, env=env, capture_output=True, text=True)


def odd_python(place: Path, name: str, *, venv: bool) -> None:
    """A Python of that name, which says that it is its own base."""
    lacks = "" if venv else "*ensurepip*) exit 1 ;; "
    place.mkdir(exist_ok=True)
    (place / name).write_text(
        f'#!/bin/sh\ncase "$*" in {lacks}*_base_executable*) echo "$0" ;; *) exec {sys.executable} "$@" ;; esac\n'
    )
    (place / name).chmod(0o755)


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        ({"python3.13": False, "python3.11": True}, "python3.11"),
        ({"python3.14": False, "python3.12": False, "python3": True}, "python3"),
        ({"python3.13": True, "python3.11": True}, "python3.13"),
    ],
)
def test_the_first_python_that_can_make_a_venv(tmp_path: Path, found: dict[str, bool], chosen: str) -> None:
    for name, venv in found.items():
        odd_python(tmp_path / "bin", name, venv=venv)
    (tmp_path / "bin" / "date").symlink_to(str(shutil.which("date")))
    (tmp_path / "bin" / "bash").symlink_to(str(shutil.which("bash")))
    done = part('find_python; echo "$PYTHON"', cwd=tmp_path, env={"PATH": str(tmp_path / "bin")})
    assert (done.returncode, Path(done.stdout.strip()).name) == (0, chosen), done


def test_the_package_of_the_python_that_is_there_is_advised(tmp_path: Path) -> None:
    odd_python(tmp_path / "bin", "python3", venv=False)
    for tool in ("date", "bash"):
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    done = part("find_python", cwd=tmp_path, env={"PATH": str(tmp_path / "bin")})
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert (done.returncode, f"apt install python{version}-venv" in done.stderr) == (3, True), done


@pytest.mark.parametrize("odd", ["of another owner", "with a broken configuration", "of a later format"])
def test_what_git_refuses_is_gits_own_sentence(tmp_path: Path, odd: str) -> None:
    place = git_project(tmp_path / "project") / "sub"
    place.mkdir()
    env = environment(tmp_path / "home")
    if odd == "of another owner":
        env["GIT_TEST_ASSUME_DIFFERENT_OWNER"] = "1"
    elif odd == "of a later format":
        subprocess.run(["git", "config", "core.repositoryformatversion", "99"], cwd=place, check=True)
    else:
        (tmp_path / "project/.git/config").write_text("[core\n")
    done = part("find_project; echo $PROJECT", cwd=place, env=env)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1), done
    assert "git refuses" in done.stderr
    assert "fatal:" in done.stderr
    assert "git init" not in done.stderr


@pytest.mark.parametrize("home", ["a file", "below a file", "on a system that has none", "data elsewhere"])
def test_a_home_that_cannot_be_written_is_one_sentence(tmp_path: Path, checkout: Path, home: str) -> None:
    (tmp_path / "file").write_text("")
    places = {"a file": "file", "below a file": "file/home", "data elsewhere": "home"}
    env = environment(tmp_path / places[home] if home in places else Path("/proc/nobody"))
    if home == "data elsewhere":
        env["XDG_DATA_HOME"] = str(tmp_path / "file")
    project = git_project(tmp_path / "project")
    done = run_setup(checkout, cwd=project, env=env)
    assert (done.returncode, "cannot write to" in done.stderr, done.stderr.count("\n")) == (3, True, 1), done
    assert not (project / ".agents").exists()


def test_the_command_is_out_of_reach_of_the_callers_python(tmp_path: Path) -> None:
    """As `setup.sh` makes it: the interpreter that it names looks at no variable."""
    done = part(f'BIN={tmp_path}; launcher "{sys.executable}"', cwd=tmp_path, env=environment(tmp_path))
    assert done.returncode == 0, done
    for name in ("PYTHONHOME", "PYTHONPATH", "PYTHONHASHSEED"):
        (tmp_path / "random.py").write_text("raise RuntimeError\n")
        env = environment(tmp_path, **{name: str(tmp_path)})
        done = subprocess.run([tmp_path / "autoresearch", "--version"], env=env, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), (name, done)


def test_a_source_that_is_none_is_refused(tmp_path: Path, checkout: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    env = environment(tmp_path, AUTORESEARCH_SOURCE=str(tmp_path))
    done = run_setup(checkout, cwd=tmp_path, env=env)
    assert done.returncode == 2
    assert "does not hold autoresearch" in done.stderr


# --- real installations


@pytest.fixture(scope="module")
def installed(
    checkout: Path, home: Path, caches: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Done[str]:
    """The first installation into the module's account."""
    place = git_project(tmp_path_factory.mktemp("first") / "p")
    done = run_setup(checkout, cwd=place, env=environment(home, **caches))
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_the_command_is_installed_and_finds_its_templates(installed: Done[str], home: Path, tmp_path: Path) -> None:
    command = home / ".local/bin/autoresearch"
    env = environment(home)
    said = subprocess.run([command, "--version"], env=env, capture_output=True, text=True, check=True).stdout
    assert __version__ in said
    place = git_project(tmp_path / "p")
    args = [str(command), "init", "--name", "n", "--goal", "g", "--metric", "time_s", "--scope", "src/**"]
    subprocess.run(args, cwd=place, env=env, check=True, capture_output=True)
    assert (place / "autoresearch.yaml").is_file()
    assert f"lacks {home}/.local/bin" in installed.stdout
    assert "Read .agents/skills/autoresearch/SKILL.md" in installed.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
def test_the_project_gets_the_skill_and_a_second_run_changes_nothing(
    checkout: Path, home: Path, tmp_path: Path
) -> None:
    place = git_project(tmp_path / "p")
    inside = place / "deep" / "down"
    inside.mkdir(parents=True)
    done = run_setup(checkout, cwd=inside, env=environment(home))
    assert done.returncode == 0, done.stderr
    for name in TRAVELS:
        assert (place / SKILL / name).exists(), name
    assert not (place / SKILL / "tests").exists()
    assert (place / LINK).readlink() == Path("../..") / SKILL
    assert (place / LINK / "SKILL.md").is_file()
    for name in ("experiment.yaml", "instructions.md"):
        assert (place / name).read_bytes() == (checkout / name).read_bytes()
    before = tree(place)
    again = run_setup(checkout, cwd=place, env=environment(home))
    assert again.returncode == 0
    assert "is installed already" in again.stdout
    assert "is up to date" in again.stdout
    assert tree(place) == before
    from_the_copy = run_setup(place / SKILL, cwd=place, env=environment(home))
    assert from_the_copy.returncode == 0, from_the_copy.stderr
    assert tree(place) == before


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
def test_a_users_file_is_kept_as_a_backup_and_named(checkout: Path, home: Path, tmp_path: Path) -> None:
    place = git_project(tmp_path / "p")
    (place / "instructions.md").write_text("mine\n")
    (place / SKILL).mkdir(parents=True)
    (place / SKILL / "SKILL.md").write_text("my own skill\n")
    done = run_setup(checkout, cwd=place, env=environment(home))
    assert done.returncode == 0
    saved = [*place.glob("instructions.md.bak-*"), *(place / SKILL).glob("SKILL.md.bak-*")]
    assert [p.read_text() for p in saved] == ["mine\n", "my own skill\n"]
    for name in saved:
        assert name.name in done.stdout
    run_setup(checkout, cwd=place, env=environment(home))
    assert len([*place.rglob("*.bak-*")]) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
def test_a_new_version_replaces_its_own_files_without_backups(checkout: Path, home: Path, tmp_path: Path) -> None:
    newer = tmp_path / "newer"
    shutil.copytree(checkout, newer)
    with (newer / "setup.sh").open("a") as script:
        script.write("# newer\n")
    (newer / "CHANGELOG.md").unlink()
    place = git_project(tmp_path / "p")
    copy = place / SKILL
    assert run_setup(checkout, cwd=place, env=environment(home)).returncode == 0
    done = run_setup(newer, cwd=place, env=environment(home))
    assert done.returncode == 0, done.stderr
    assert "is installed already" in done.stdout
    assert (copy / "setup.sh").read_bytes() == (newer / "setup.sh").read_bytes()
    assert not (copy / "CHANGELOG.md").exists()
    assert not [*place.rglob("*.bak-*")]

    # What the user edits in the copy is the user's from then on, also after a run from the copy itself.
    edited = (copy / "setup.sh").read_text() + "# mine\n"
    (copy / "setup.sh").write_text(edited)
    for source in (copy, checkout):
        assert run_setup(source, cwd=place, env=environment(home)).returncode == 0
    assert [p.read_text() for p in copy.glob("setup.sh.bak-*")] == [edited]


@contextlib.contextmanager
def served(directory: Path) -> Iterator[str]:
    """An HTTP server on loopback."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """The test's output stays readable."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(directory)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed: the pipe cannot be tested")
def test_curl_into_bash_with_a_tarball(checkout: Path, home: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    shutil.copy2(checkout / "setup.sh", site)
    with tarfile.open(site / "autoresearch.tar.gz", "w:gz") as archive:
        archive.add(checkout, "autoresearch-0.1.0")
    place = git_project(tmp_path / "p")
    with served(site) as url:
        env = environment(home, AUTORESEARCH_SOURCE=f"{url}/autoresearch.tar.gz", TMPDIR=str(tmp_path))
        line = f"set -o pipefail; curl -fsSL {url}/setup.sh | bash"
        done = subprocess.run(["bash", "-c", line], cwd=place, env=env, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (place / LINK / "SKILL.md").is_file()
    assert not [*tmp_path.glob("autoresearch-setup.*")], "the scratch directory stayed"


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
def test_target_repo_is_cloned_once(checkout: Path, home: Path, tmp_path: Path) -> None:
    origin = git_project(tmp_path / "origin")
    git = ["git", "-C", str(origin), "-c", "user.name=t", "-c", "user.email=t@localhost"]
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "start"], check=True)
    here = tmp_path / "here"
    here.mkdir()
    env = environment(home, TARGET_REPO=str(origin))
    for said in ("cloned into ./origin", "./origin is here already"):
        done = run_setup(checkout, cwd=here, env=env)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
    assert (here / "origin" / SKILL / "SKILL.md").is_file()


def find_uv() -> str | None:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else shutil.which("uv")


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_uninstall_leaves_nothing_but_the_users_files(
    checkout: Path, caches: dict[str, str], tmp_path: Path, tool: str
) -> None:
    account = tmp_path / "home"
    account.mkdir()
    env = environment(account, **caches)
    if tool == "uv":
        uv = find_uv()
        if uv is None:
            pytest.skip("uv is not installed: installing with it cannot be tested")
        (tmp_path / "uv-bin").mkdir()
        (tmp_path / "uv-bin/uv").symlink_to(uv)
        env["PATH"] = f"{tmp_path / 'uv-bin'}:{env['PATH']}"
    place = git_project(tmp_path / "p")
    (place / "autoresearch.jsonl").write_text("{}\n")
    done = run_setup(checkout, cwd=place, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (account / ".local/share/autoresearch/receipt").read_text().startswith("uv" if tool == "uv" else "venv")
    command = account / ".local/bin/autoresearch"
    subprocess.run([command, "--version"], env=env, check=True, capture_output=True)
    (place / "experiment.yaml").write_text("edited: by hand\n")

    other = git_project(tmp_path / "other one")
    assert run_setup(checkout, cwd=other, env=env).returncode == 0
    done = run_setup(other / SKILL, "--uninstall", cwd=other, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"command: stays, as other projects use it: {place}" in done.stdout
    assert not (other / ".agents").exists()
    subprocess.run([command, "--version"], env=env, check=True, capture_output=True)

    done = run_setup(place / SKILL, "--uninstall", cwd=place, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(tree(place)) == {"autoresearch.jsonl", "experiment.yaml"}
    assert "kept experiment.yaml" in done.stdout
    assert not (place / ".agents").exists()
    assert not (place / ".claude").exists()
    assert tree(account) == {}
    assert "removed" in done.stdout
    again = run_setup(checkout, "--uninstall", cwd=place, env=env)
    assert again.returncode == 0
    assert "none that this script installed" in again.stdout


@pytest.mark.slow
@pytest.mark.parametrize("with_home", [True, False])
def test_the_demo_starts_in_a_private_place(
    checkout: Path, caches: dict[str, str], tmp_path: Path, with_home: bool
) -> None:
    account = tmp_path / "home"
    account.mkdir()
    work = tmp_path / "work"
    work.mkdir()
    env = environment(account if with_home else None, **caches)
    done = run_setup(checkout, "--demo", "--help", cwd=work, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "--dir" in done.stdout
    assert list(work.iterdir()) == []
    assert [p.name for p in account.iterdir()] == ([".cache"] if with_home else [])
    if with_home:
        assert "installing" not in run_setup(checkout, "--demo", "--help", cwd=work, env=env).stdout
