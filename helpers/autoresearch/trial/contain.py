"""Contained execution: how far what a candidate runs is kept from the rest of the machine.

What holds at each level (docs/containment.md has the whole table):

- always: an environment by allow-list, a HOME and TMPDIR of its own, limits on memory, processes, disk and output,
  and everything it started is ended with it.
- "full" (Linux namespaces, ours or bubblewrap's): besides, no network but where allowed (loopback works), all files
  read-only but the tree, HOME and /tmp, the session's own files, other projects' worktrees and secrets not there,
  no other process in sight, and none survives.
- "partial": as full, but /proc shows the processes of the machine (a container that forbids another /proc).
- "none": the first line only. `missing` says why.

Both sides of an A/B go through the same Box with the same paths, so neither can tell which it is.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from typing import Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from autoresearch.trial import bubblewrap, homes, namespaces, procs
from autoresearch.trial.namespaces import Bind, MachineView
from autoresearch.trial.places import remove
from autoresearch.trial.stage import TrialStage

MODES = ("auto", "require", "off")
STAGES = ("setup", "build", "benchmark", "checks")
LEVELS = ("full", "partial", "none")
_TRY_SECONDS = 20.0
_SHM_BYTES = 2**30
# Private ones take their place; of /run only what name look-ups, NixOS and GPUs need is shown again.
_RUNTIME = (
    "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager/resolv.conf", "/run/current-system",
    "/run/booted-system", "/run/opengl-driver", "/run/nvidia-persistenced", "/run/host-services",
)  # fmt: skip
_GPUS = ("nvidia", "dri", "kfd", "nvhost", "nvmap", "dxg", "accel", "davinci", "hisi_hdc", "mali")
_SESSION_FILES = ("autoresearch.", "IMPROVEMENTS.md", ".auto", ".autoresearch", ".git", "papers")
_TOOL_PATHS = ("VIRTUAL_ENV", "CONDA_PREFIX", "JAVA_HOME", "GOROOT", "NVM_DIR", "CARGO_HOME", "RUSTUP_HOME")


class Settings(NamedTuple):
    """What the spec asks for. `network` names the stages that may use it; paths in `show` stay visible."""

    mode: str = "auto"
    network: Tuple[str, ...] = ("setup",)
    show: Tuple[str, ...] = ()


class Unavailable(Exception):
    """Containment is required, and this machine cannot give it."""


class Box:
    """The level that this machine gives, found by trying once, and the way into it.

    `level` is one of LEVELS, `by` "namespaces", "bubblewrap" or "", `missing` why it is not more, in words.
    """

    def __init__(self, settings: Settings, stage: TrialStage, env: Mapping[str, str]) -> None:
        self.settings = settings
        self.level, self.by, self.missing = "none", "", ""
        self._stage = stage
        self._caller = dict(env)
        self._view: Optional[MachineView] = None
        self._bwrap = ""
        if settings.mode == "off":
            self.missing = "switched off (contain.mode)"
            return
        self._find()
        if settings.mode == "require" and self.level == "none":
            raise Unavailable("containment is required, but not possible here: " + self.missing)

    def describe(self) -> Dict[str, object]:
        """For the environment record."""
        return {
            "level": self.level, "by": self.by, "missing": self.missing,
            "network": list(self.settings.network) if self.level != "none" else list(STAGES),
            "layers": bool(self._view and self._view.overlays),
        }  # fmt: skip

    def variables(self, stage: str) -> Dict[str, Optional[str]]:
        """What the environment of a command gets besides the allow-list; None removes a name."""
        layers = bool(self._view and self._view.overlays)
        found: Dict[str, Optional[str]] = {}
        for name in homes.unusable_variables(self._caller, layers=layers, read_only=self.level != "none"):
            found[name] = None
        found.update(homes.tool_variables(self._caller, layers=layers))
        if stage in self.settings.network:
            found.update(homes.pip_config(self._caller))
        found["HOME"] = self._stage.home
        found["TMPDIR"] = self._stage.tmp
        # Uncontained, a git of the program's would go up to the user's own checkout, and act on it. From a directory
        # that is one of these itself, only those above it hold.
        root = self._stage.root
        found["GIT_CEILING_DIRECTORIES"] = os.pathsep.join([root, *_ancestors(root)])
        return found

    @contextlib.contextmanager
    def entry(self, stage: str, cwd: str) -> Iterator[procs.BoxEntry]:
        """How `procs.run` starts one command of a stage inside."""
        network = stage in self.settings.network
        if self._view is None:
            yield procs.OUTSIDE
            return
        for _, upper, work in self._view.overlays:
            os.makedirs(upper, exist_ok=True)
            remove(work)  # an earlier mount's
            os.mkdir(work, 0o700)
        if self.by == "bubblewrap":
            prefix = bubblewrap.arguments(self._bwrap, self._view, network, cwd)
            yield procs.BoxEntry(prefix, None, None)
            return
        view = self._view
        read, write = os.pipe()
        try:
            os.set_blocking(read, False)
            yield procs.BoxEntry([], lambda pin: namespaces.enter(view, network, cwd, write, pin), lambda: _drain(read))
        finally:
            os.close(read)
            os.close(write)

    # --- finding the level

    def _find(self) -> None:
        if not sys.platform.startswith("linux"):
            self.missing = "namespaces are Linux only"
            return
        said = []
        whole = make_view(self._stage, self._caller, self.settings)
        for view in _variants(whole):
            problem = self._try("namespaces", view)
            if not problem:
                return
            said.append(problem)
        program = shutil.which("bwrap")
        if program:
            self._bwrap = program
            for proc in (True, False):
                problem = self._try("bubblewrap", whole._replace(overlays=(), proc=proc))
                if not problem:
                    return
                said.append("bwrap " + problem)
        self.missing = "no user namespaces (%s)%s" % (
            said[0], "; bwrap failed too (%s)" % said[-1] if program else "; bwrap is not installed",
        )  # fmt: skip

    def _try(self, by: str, view: MachineView) -> str:
        """Run `true` inside; empty when it worked, and this box is then that way."""
        self._view, self.by = view, by
        self.level = "full" if view.proc else "partial"
        os.makedirs(self._stage.work, exist_ok=True)
        problem = ""
        try:
            with self.entry("build", self._stage.work) as entry:
                done = procs.run(
                    "true", env={"PATH": os.environ.get("PATH", os.defpath)}, cwd=self._stage.work,
                    timeout=_TRY_SECONDS, entry=entry,
                )  # fmt: skip
            if not done.ok:
                problem = "%s %s" % (done.failure(), done.output.strip()[-200:])
        except (OSError, subprocess.SubprocessError) as exc:
            problem = str(exc)[:200]
        finally:
            self._stage.clear()
        if problem:
            self._view, self.by, self.level = None, "", "none"
        elif not view.proc:
            self.missing = "this container allows no /proc of its own: the machine's processes stay in sight"
        return problem


def _variants(whole: MachineView) -> Iterator[MachineView]:
    """Ways to try, best first: a layer over caches may not work, root may have no user namespaces, /proc be masked."""
    for proc in (True, False):
        for user in (True, False) if os.geteuid() == 0 else (True,):
            if whole.overlays:
                yield whole._replace(proc=proc, user=user)
            yield whole._replace(proc=proc, user=user, overlays=())


def _drain(fd: int) -> str:
    try:
        return os.read(fd, 4096).decode("utf-8", "replace")
    except BlockingIOError:
        return ""


# --- the view


def make_view(stage: TrialStage, env: Mapping[str, str], settings: Settings) -> MachineView:
    """What a command sees of this machine."""
    home = homes.real_home(env)
    secrets = homes.secrets(env)
    asked = tuple(os.path.realpath(_expand(path, home)) for path in settings.show)
    secrets = tuple(path for path in secrets if not _inside(path, asked))
    around = os.path.dirname(stage.root)  # other trials' places
    hidden = _outermost(
        [*session_places(stage.job, home), stage.job, around, *(p for p in secrets if os.path.isdir(p)), *_run_places()]
    )
    private = tuple(sorted({os.path.realpath(p) for p in ("/tmp", "/var/tmp") if os.path.isdir(p)}))
    first: List[Bind] = [(stage.slash_tmp, path, True) for path in private]
    if home and _inside(home, private):
        first.append((home, home, False))

    def gone(path: str) -> bool:
        return _inside(path, hidden) or (_inside(path, private) and not (home and _inside(path, (home,))))

    files = [p for p in secrets if not os.path.isdir(p)] + _session_files(hidden, stage.job, home)
    shown = [*_tool_paths(env, (*hidden, *private)), *asked, *(p for p in _RUNTIME if os.path.exists(p))]
    barred = around, stage.job, *(p for p in _ancestors(stage.job) if os.path.basename(p) == ".autoresearch")
    binds: List[Bind] = [
        (path, path, False)
        for path in sorted(set(shown))
        if gone(path) and not _inside(path, barred) and os.path.exists(path)
    ]
    binds += [(path, path, True) for path in (stage.work, stage.tmp, stage.home)]
    overlays = []
    for number, path in enumerate(homes.caches(env)):
        if not gone(path):
            at = os.path.join(stage.layers, str(number))
            overlays.append((path, os.path.join(at, "up"), os.path.join(at, "work")))
    return MachineView(
        first=tuple(first),
        hidden=hidden,
        binds=tuple(binds),
        masked=tuple(files),
        overlays=tuple(overlays),
        devices=_gpus(),
        shm_bytes=_SHM_BYTES,
    )


def session_places(root: str, home: str) -> List[str]:
    """Directories with the session's state: the repository around a job below `.autoresearch`, or other jobs'.

    A repository that is the home itself, or above it, cannot be hidden as a whole: see `_session_files`.
    """
    found = []
    if os.environ.get("AUTORESEARCH_HOME"):
        found.append(os.path.realpath(os.environ["AUTORESEARCH_HOME"]))
    for path in _ancestors(root):
        if os.path.basename(path) == ".autoresearch":
            project = os.path.dirname(path)
            found += [p for p in (project, *_repository(project)) if not (home + "/").startswith(p + "/")]
            found.append(path)
    return [path for path in found if path != "/"]


def _repository(project: str) -> List[str]:
    """The top of the project's git repository, and its common directory when this is a linked worktree."""
    for path in (project, *_ancestors(project)):
        marker = os.path.join(path, ".git")
        if os.path.isdir(marker):
            return [path]
        if os.path.isfile(marker):
            with open(marker, encoding="utf-8", errors="replace") as file:
                pointed = file.read().partition("gitdir:")[2].strip()
            common = os.path.realpath(os.path.join(path, pointed, "..", ".."))
            return [path, common] if os.path.basename(common) == ".git" else [path]
    return []


def _session_files(hidden: Sequence[str], root: str, home: str) -> List[str]:
    """Files of a session whose project directory could not be hidden as a whole."""
    found = []
    for path in _ancestors(root):
        project = os.path.dirname(path)
        if os.path.basename(path) == ".autoresearch" and not _inside(project, hidden):
            names = [name for name in os.listdir(project) if name.startswith(_SESSION_FILES)]
            found += [os.path.join(project, n) for n in names if os.path.isfile(os.path.join(project, n))]
    return found


def _tool_paths(env: Mapping[str, str], hidden: Sequence[str]) -> List[str]:
    """What tools need of the hidden places: where PATH and the tool variables point, and node's modules."""
    found = []
    for entry in env.get("PATH", "").split(os.pathsep):
        if os.path.isabs(entry) and os.path.isdir(entry):
            found += _prefix(os.path.realpath(entry), hidden)
    for name in _TOOL_PATHS:
        path = os.path.realpath(env.get(name) or "/")
        if path not in ("/", *hidden) and os.path.isdir(path):
            found += [path, *_base_of_venv(path)]
    found += [os.path.join(place, "node_modules") for place in hidden]
    return found


def _prefix(entry: str, hidden: Sequence[str]) -> List[str]:
    """The installation that a directory on PATH belongs to."""
    parent = os.path.dirname(entry)
    whole = os.path.basename(entry) in ("bin", "sbin", "shims", "Scripts")
    if not whole or any(_inside(place, (parent,)) for place in hidden):
        return [entry]
    return [parent, *_base_of_venv(parent)]


def _base_of_venv(prefix: str) -> List[str]:
    try:
        with open(os.path.join(prefix, "pyvenv.cfg"), encoding="utf-8", errors="replace") as file:
            for line in file:
                key, _, value = line.partition("=")
                if key.strip() == "home" and os.path.basename(value.strip()) == "bin":
                    return [os.path.realpath(os.path.dirname(value.strip()))]
    except OSError:
        return []
    return []


def _run_places() -> List[str]:
    """Sockets of services (Docker's, the session bus) can be used through a read-only mount: they are hidden."""
    return [os.path.realpath(path) for path in ("/run",) if os.path.isdir(path)]


def _gpus() -> Tuple[str, ...]:
    try:
        names = os.listdir("/dev")
    except OSError:
        return ()
    return tuple(sorted(os.path.join("/dev", name) for name in names if name.startswith(_GPUS)))


def _expand(path: str, home: str) -> str:
    return os.path.join(home, path[2:]) if path.startswith("~/") and home else path


def _ancestors(path: str) -> List[str]:
    found = []
    while os.path.dirname(path) != path:
        path = os.path.dirname(path)
        found.append(path)
    return found


def _inside(path: str, places: Sequence[str]) -> bool:
    """Whether `path` is one of `places` or below one."""
    return any(path == place or path.startswith(place.rstrip("/") + "/") for place in places)


def _outermost(paths: Sequence[str]) -> Tuple[str, ...]:
    real = sorted({os.path.realpath(path) for path in paths})
    return tuple(p for p in real if not _inside(os.path.dirname(p), [o for o in real if o != p]))
