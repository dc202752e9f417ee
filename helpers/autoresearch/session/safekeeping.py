"""The ledger kept in git too, under a ref of the session's own, with its documents: what removes files loses neither.

Each command that has added lines commits them before it answers: one blob with the new lines, in a tree with the small
files of the session as they are then. A commit's parent holds the lines before; one whose lines begin at 0 holds all.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote, unquote

import msgspec

from autoresearch import notices
from autoresearch.config import CONFIG_NAME
from autoresearch.errors import AutoresearchError, IntegrityFault
from autoresearch.files import ensure_directory, scratch, write_atomic
from autoresearch.ledger.history import Session
from autoresearch.project import EVALUATOR_FILES, Project
from autoresearch.workspace.copies import place_aside
from autoresearch.workspace.git import GitError, commits, git, run_git
from autoresearch.workspace.objects import commit_tree, move_ref, places_of, prefix
from autoresearch.workspace.owner import elsewhere, namespace

# What the last save was, so that most commands need not ask git; the ref is the truth.
NOTE = "kept.json"
_SUBJECT = "autoresearch: the ledger of"
# Larger files, and more of them, are left to whoever commits the project.
LARGEST, MOST = 1 << 20, 200
REPAIR = "autoresearch doctor --repair"


@dataclass(frozen=True)
class Kept:
    """One save of the session `name`: bytes `offset` to `size` of the ledger, their hash, the lines of the whole.

    Only the note has the blobs of the other `files`.
    """

    name: str
    ledger: str
    offset: int
    size: int
    sha256: str
    lines: int
    evaluator: str = ""
    commit: str = ""
    files: dict[str, str] = field(default_factory=dict)


def ref_of(project: Project, name: str) -> str:
    """Where the ledger of session `name` is kept; sessions that share a place have different names."""
    return f"{namespace(project)}/ledger/{name}"


def keep(session: Session, *, anew: bool = False) -> None:
    """Bring what git has of the ledger up to date: all of it `anew`, or what was added since.

    Nothing is saved of a ledger that somebody has edited, or that is a copy of another session's. Where git refuses,
    that is told: the lines stand in the ledger, and the next command tries again.
    """
    project, ledger = session.project, session.project.ledger
    if session.header is None or session.header.evaluator is None or session.broken:
        return
    known = _noted(session)
    if not anew and known is not None and known.size == ledger.stat().st_size:
        return
    try:
        if elsewhere(project, session.owner) is not None:
            return
        try:
            _save(session, known, anew=anew)
        except GitError:  # the note is older than the ref: a command was killed between them
            _save(session, _last(project, ref_of(project, session.header.name)), anew=anew)
    except (AutoresearchError, OSError) as exc:
        notices.say(f"the ledger's copy in git was not renewed: {exc}")


def refuse_if_lost(session: Session) -> None:
    """Raise `IntegrityFault` where git keeps lines that the ledger lacks: to go on without them would cost them."""
    found = lost(session)
    if found:
        raise IntegrityFault(
            found, fix="They are put back by doctor --repair; what stands there now is put aside, not overwritten",
            next=REPAIR,
        )  # fmt: skip


def lost(session: Session) -> str:
    """Which lines git keeps that the ledger lacks, in words; empty where there are none."""
    known = _noted(session) or _asked(session)
    ledger = session.project.ledger
    if known is None or session.broken or (ledger.exists() and _goes_on(ledger, known)):
        return ""
    data = ledger.read_bytes() if ledger.exists() else b""
    whole = _whole(session.project, ref_of(session.project, known.name))
    if _plain(data).startswith(_plain(whole)):
        return ""  # line ends changed, say
    name, lines = ledger.name, whole.count(b"\n")
    if not data:
        return f"the ledger ({name}) is {'empty' if ledger.exists() else 'gone'}; git keeps its {lines} lines"
    if _plain(whole).startswith(_plain(data)):
        return f"the ledger ({name}) was cut to {data.count(bytes([10]))} lines; git keeps {lines}"
    return f"the ledger ({name}) lacks lines that git keeps of it ({lines} lines), and has others"


def put_back(session: Session) -> None:
    """Write the ledger as git keeps it; one that says something else is put aside first."""
    known = _noted(session) or _asked(session)
    if known is not None:
        _restore_ledger(session.project, ref_of(session.project, known.name))


def files_gone(session: Session) -> dict[str, str]:
    """Small files of the session that are not there and that git keeps, each with its blob."""
    known = _noted(session)
    if session.header is None or known is None or not known.commit:
        return {}
    mine = _own_files(session)
    if all((session.project.root / name).exists() for name in mine):
        return {}
    return _gone(session.project.root, known.files or _tree(session.project, known.commit), known.ledger)


def for_git(session: Session) -> list[str]:
    """Commands that commit what the session is measured by, and keep out of git's sight what it writes; those due."""
    project, frozen = session.project, session.header.evaluator if session.header else None
    asked = [CONFIG_NAME, project.task.name, *(frozen or {})]
    made = [project.ledger, project.document, project.ideas, project.improvements, project.chart]
    names = [*asked, *(path.relative_to(project.root).as_posix() for path in made)]
    listed = git(project.root, "ls-files", "-z", "--others", "--exclude-standard", "--", *names).split("\0")
    due = [name for name in asked if name in listed]
    ours = [name for name in names if name in listed and name not in asked]
    commands = []
    if due:
        commands.append(f"git add {shlex.join(due)} && git commit -m 'What autoresearch measures'")
    if ours:
        lines = shlex.join(f"/{prefix(project)}{name}" for name in ours)
        commands.append(f"printf '%s\\n' {lines} >> \"$(git rev-parse --git-path info/exclude)\"")
    return commands


def lost_session(start: Path) -> tuple[Path, str] | None:
    """The top of a session below `start`'s repository that has lost its files, and the ref that keeps them."""
    project = Project(start.resolve())
    try:
        top = places_of(project)[0].resolve()
        listed = git(top, "for-each-ref", "--sort=-committerdate", "--format=%(refname)", "refs/autoresearch")
    except AutoresearchError:
        return None
    refs = [ref for ref in listed.split("\n") if ref.split("/")[3:4] == ["ledger"]]
    for place in (project.root, *project.root.parents):
        mine = f"{namespace(Project(place))}/ledger/" if refs else ""
        found = next((ref for ref in refs if ref.startswith(mine)), None)
        if found is not None:
            return place, found
        if place == top:
            break
    return None


def recall(start: Path) -> list[str]:
    """Put back what git keeps of a session whose files are gone, where `start` is in it; their names."""
    found = lost_session(start)
    if found is None:
        return []
    project, ref = Project(found[0]), found[1]
    last = _last(project, ref)
    assert last is not None
    ensure_directory(project.state)
    gone = _gone(project.root, _tree(project, last.commit), last.ledger)
    for name, blob in gone.items():
        write_blob(project, name, blob)
    names = [*gone]
    if not (project.root / last.ledger).exists():
        _restore_ledger(project, ref)
        names.append(last.ledger)
    return names


def write_blob(project: Project, name: str, blob: str) -> None:
    """Put back one file, which is not there."""
    mode = 0o777 if name.endswith(".sh") else 0o666
    write_atomic(project.root / name, run_git(project.root, ("cat-file", "blob", blob)), mode=mode)


def _save(session: Session, known: Kept | None, *, anew: bool) -> None:
    project, ledger = session.project, session.project.ledger
    header = session.header
    assert header is not None
    data = ledger.read_bytes()
    offset = known.size if known is not None and not anew and _goes_on(ledger, known) else 0
    name = ledger.relative_to(project.root).as_posix()
    digest = sha256(json.dumps(header.evaluator, sort_keys=True).encode()).hexdigest()[:16]
    entries = {} if known is None else dict(known.files or _tree(project, known.commit))
    names = [n for n in _own_files(session) if _is_small(project.root / n)]
    if known is None or known.evaluator != digest:
        names += [n for n in list(header.evaluator or {})[:MOST] if n not in names and _is_small(project.root / n)]
    with scratch(project.state, "kept-") as where:
        piece = where / "piece"
        piece.write_bytes(data[offset:])
        asked = "\n".join([str(piece), *(str(project.root / n) for n in names)])
        blobs = git(project.root, "hash-object", "-w", "--no-filters", "--stdin-paths", stdin=asked.encode()).split()
    entries |= dict(zip([name, *names], blobs, strict=True))
    listed = "".join(f"100644 blob {blob}\t{quote(n, safe='')}\0" for n, blob in sorted(entries.items()))
    tree = git(project.root, "mktree", "-z", stdin=listed.encode())
    lines = data.count(b"\n")
    now = Kept(header.name, name, offset, len(data), sha256(data[offset:]).hexdigest(), lines, digest)
    about = {key: value for key, value in asdict(now).items() if key not in ("commit", "files")}
    text = f"{_SUBJECT} {header.name}, {lines} lines\n\n{json.dumps(about)}\n"
    before = known.commit if known is not None else ""
    commit = commit_tree(project, tree, before, text)
    move_ref(project, ref_of(project, header.name), commit, before)
    _note(project, replace(now, commit=commit, files=entries))


def _own_files(session: Session) -> list[str]:
    """The small files that a session is made of, but for its ledger and what can be made of it."""
    project = session.project
    own = [path.relative_to(project.root).as_posix() for path in (project.document, project.ideas, project.task)]
    frozen = (session.header.evaluator if session.header else None) or {}
    return [CONFIG_NAME, *own, *(name for name in EVALUATOR_FILES if name in frozen)]


def _is_small(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size <= LARGEST and "\n" not in str(path)


def _goes_on(ledger: Path, known: Kept) -> bool:
    """Whether the bytes of the last save stand where they stood. What was before them, their hashes speak for."""
    with ledger.open("rb") as file:
        file.seek(known.offset)
        return sha256(file.read(known.size - known.offset)).hexdigest() == known.sha256


def _plain(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n")


def _restore_ledger(project: Project, ref: str) -> None:
    last = _last(project, ref)
    if last is None:
        return
    path = project.root / last.ledger
    whole = _whole(project, ref)
    if path.exists() and not whole.startswith(path.read_bytes()):
        ensure_directory(project.state)
        aside = place_aside(project, path.name)
        aside.write_bytes(path.read_bytes())
        notices.say(f"put the ledger that stood there aside in {aside.relative_to(project.root)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, whole)
    _note(project, last)


def _whole(project: Project, ref: str) -> bytes:
    """The ledger as the saves of a ref have it; `IntegrityFault` where one is missing or damaged."""
    history = git(project.root, "rev-list", "--first-parent", ref).split("\n")
    parts: list[bytes] = []
    begin: int | None = None
    for commit, found in zip(history, commits(project.root, history), strict=True):
        kept = _read(found)
        if kept is None or (begin is not None and kept.size != begin):
            break
        blob = _tree(project, commit)[kept.ledger]
        part = run_git(project.root, ("cat-file", "blob", blob))
        if sha256(part).hexdigest() != kept.sha256:
            break
        parts.append(part)
        begin = kept.offset
        if begin == 0:
            return b"".join(reversed(parts))
    raise IntegrityFault(f"what git keeps of the ledger is damaged ({ref})", fix="Restore the ledger from a backup")


def _tree(project: Project, commit: str) -> dict[str, str]:
    """Name of each file that a save holds -> its blob."""
    listed = git(project.root, "ls-tree", "--full-tree", "-z", commit).split("\0")
    rows = (row.partition("\t") for row in listed if row)
    return {unquote(name): head.split(" ")[2] for head, _, name in rows}


def _gone(root: Path, entries: Mapping[str, str], ledger: str) -> dict[str, str]:
    inside = (name for name in entries if name != ledger and ".." not in Path(name).parts and name[:1] != "/")
    return {name: entries[name] for name in inside if not (root / name).exists()}


def _asked(session: Session) -> Kept | None:
    """The last save by the ref, where there is no note of it; None outside a repository."""
    try:
        found = next(
            (k for name in _names(session) if (k := _last(session.project, ref_of(session.project, name)))), None
        )
    except AutoresearchError:
        return None
    if found is not None:
        _note(session.project, found)
    return found


def _names(session: Session) -> list[str]:
    """Whose ledger it is; without one, whose it may have been."""
    if session.header is not None:
        return [session.header.name]
    return [session.config.name, *([session.config.after] if session.config.after else [])]


def _last(project: Project, ref: str) -> Kept | None:
    return _read(commits(project.root, [ref])[0])


def _read(found: tuple[str, str] | None) -> Kept | None:
    try:
        return None if found is None else msgspec.convert(
            {**json.loads(found[1].rstrip().rpartition("\n")[2]), "commit": found[0]}, Kept
        )  # fmt: skip
    except (ValueError, msgspec.ValidationError):
        return None


def _note(project: Project, kept: Kept) -> None:
    write_atomic(project.state / NOTE, json.dumps(asdict(kept)).encode())


def _noted(session: Session) -> Kept | None:
    try:
        known = msgspec.json.decode((session.project.state / NOTE).read_bytes(), type=Kept)
    except (OSError, ValueError, msgspec.DecodeError):
        return None
    return known if known.name in _names(session) else None
