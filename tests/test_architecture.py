"""The house keeps to its plan: docs/architecture.md names every room and its floor, and imports run down only.

The checks are functions of a package directory and a plan, so that small houses show that each of them can fail.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from driver import REPO

PACKAGE = REPO / "helpers/autoresearch"
DOCUMENT = (REPO / "docs/architecture.md").read_text()
MOST_FLAT, MOST_IN_A_ROOM, MOST_OF_ALL_LINES = 13, 24, 1 / 5
TEXTS = {".py", ".md", ".sh", ".toml", ".yaml", ".json", ".ts", ".mjs"}
# One file a command, one a stage of the trial, one a part of an engine: as many as there are.
AS_MANY_AS_THERE_ARE = {"cli", "trial", "engines"}


class Arrow(NamedTuple):
    """`source` imports `names` from `target`; both as paths below the package."""

    source: str
    target: str
    names: str

    def __str__(self) -> str:
        return f"{self.source} -> {self.target} ({self.names})"


class House:
    """A package: its files parsed once, and who imports whom, wherever in the file that stands."""

    def __init__(self, package: Path) -> None:
        self.package = package
        self.texts = {path.relative_to(package).as_posix(): path.read_text() for path in sorted(package.rglob("*.py"))}
        self.trees = {name: ast.parse(text) for name, text in self.texts.items()}
        asked = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.Call, ast.Subscript)
        self.nodes = {
            name: [node for node in ast.walk(tree) if isinstance(node, asked)] for name, tree in self.trees.items()
        }
        self.arrows = [arrow for name in self.nodes for arrow in self._arrows(name)]

    def _arrows(self, name: str) -> Iterator[Arrow]:
        here = [self.package.name, *Path(name).parent.parts]
        for node in self.nodes[name]:
            if isinstance(node, ast.Import):
                wanted = [(alias.name.split("."), alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = here[: len(here) + 1 - node.level] if node.level else []
                module = [*base, *(node.module.split(".") if node.module else [])]
                wanted = [([*module, alias.name], alias.name) for alias in node.names]
            else:
                continue
            for parts, said in wanted:
                target = self._file(parts[1:]) if parts[0] == self.package.name else None
                if target is not None and target != name:
                    yield Arrow(name, target, said)

    def _file(self, parts: list[str]) -> str | None:
        """The file that a dotted name, without the package's, means; the last part may be a name in that file."""
        return self.exactly(parts) or self.exactly(parts[:-1])

    def exactly(self, parts: list[str]) -> str | None:
        stem = "/".join(parts)
        return next((file for file in (f"{stem}.py", f"{stem}/__init__.py".lstrip("/")) if file in self.texts), None)


def room(file: str) -> str:
    """The folder at the top, with its slash, or the single file."""
    return file if "/" not in file else file.split("/")[0] + "/"


def plan_of(document: str) -> dict[str, int]:
    """The floors, from the rows `| floor | room | …`."""
    rows = re.findall(r"^\| (\d+) \| `([a-z_]+(?:/|\.py))` \|", document, re.MULTILINE)
    return {name: int(floor) for floor, name in rows}


def circles(arrows: list[Arrow]) -> list[str]:
    """One circle of each knot of files that import each other."""
    found = []
    left = {(arrow.source, arrow.target) for arrow in arrows}
    while True:
        # An arrow from a file that nobody imports, or to one that imports nothing, is in no circle.
        while True:
            sources, targets = {a for a, _ in left}, {b for _, b in left}
            kept = {(a, b) for a, b in left if a in targets and b in sources}
            if kept == left:
                break
            left = kept
        if not left:
            return found
        after = dict(sorted(left, reverse=True))
        way = [min(after)]
        while after[way[-1]] not in way:
            way.append(after[way[-1]])
        way = way[way.index(after[way[-1]]) :]
        found.append(" -> ".join([*way, way[0]]))
        left = {(a, b) for a, b in left if a not in way}


def upward(arrows: list[Arrow], plan: Mapping[str, int]) -> list[str]:
    """Arrows to a higher floor, or to another room of the same one."""
    return [
        str(arrow)
        for arrow in arrows
        if room(arrow.source) != room(arrow.target)
        and plan.get(room(arrow.target), 0) >= plan.get(room(arrow.source), 99)
    ]


def unplanned(house: House, document: str) -> list[str]:
    """Rooms, single files and inner folders that the document does not name, and those it names that are not there."""
    there, planned = {room(file) for file in house.texts}, plan_of(document)
    folders = {f"{Path(file).parent.as_posix()}/" for file in house.texts if file.count("/") > 1}
    return [
        *(f"{name} is not in the document's table" for name in sorted(there - planned.keys())),
        *(f"{name} is in the document's table only" for name in sorted(planned.keys() - there)),
        *(f"{name} is not in the document" for name in sorted(folders) if f"`{name}`" not in document),
    ]


def crowded(house: House) -> list[str]:
    """What has too many files, or too large a share of the lines."""
    files = Counter(room(file) for file in house.texts)
    lines: Counter[str] = Counter()
    for file, text in house.texts.items():
        lines[room(file)] += text.count("\n")
    flat = sum("/" not in file for file in house.texts)
    limit = MOST_OF_ALL_LINES * lines.total()
    return [
        *([f"{flat} single files, and {MOST_FLAT} is the most"] if flat > MOST_FLAT else []),
        *(
            f"{name} has {count} files, and {MOST_IN_A_ROOM} is the most"
            for name, count in files.items()
            if count > MOST_IN_A_ROOM and name.rstrip("/") not in AS_MANY_AS_THERE_ARE
        ),
        *(
            f"{name} has {count} of {lines.total()} lines, more than a fifth"
            for name, count in lines.items()
            if count > limit
        ),
    ]


def stray_names(document: str, root: Path, package: Path) -> list[str]:
    """Files and folders that a document names in code quotes, and that are not there."""
    named = re.findall(r"`([A-Za-z_.][\w.-]*(?:/[\w.-]+)*(?:/|\.(?:py|md|sh|toml|ts|lock)))`", document)
    places = (root, package, *(path for path in package.rglob("*") if path.is_dir()))
    return [name for name in named if not any((place / name).exists() for place in places)]


def lost(text: str, house: House) -> list[str]:
    """Modules of the package, and names in them, that a text uses or quotes, and that are not there."""
    pattern = r"\bautoresearch\.([\w.]*\w)(?: import (?:\(([\w, \n]+)\)|([\w, ]+)))?"
    used = [
        [*found[1].split("."), *name.split()[:1]]
        for found in re.finditer(pattern, text)
        for name in (found[2] or found[3] or "").rstrip(", \n").split(",")
    ]
    rooms = {name.removesuffix(".py").rstrip("/") for name in map(room, house.texts)}
    gone = []
    for parts in used:
        if parts[0] not in rooms:
            continue
        length = next(n for n in range(len(parts), 0, -1) if house.exactly(parts[:n]))
        file = str(house.exactly(parts[:length]))
        if parts[length:] and not re.search(rf"\b{parts[length]}\b", house.texts[file]):
            gone.append(".".join(["autoresearch", *parts]))
    return gone


def twice(house: House) -> list[str]:
    """Class names that stand for two things."""
    where: dict[str, list[str]] = {}
    for file, nodes in house.nodes.items():
        for node in nodes:
            if isinstance(node, ast.ClassDef):
                where.setdefault(node.name, []).append(file)
    return [f"{name}: {', '.join(files)}" for name, files in where.items() if len(files) > 1]


# What reads records that are none of our ledger's: of a trial, of SkyPilot, of other loops, of anyone's log or results.
OTHER_RECORDS = ("ledger/", "peers/", "engines/", "trial/", "cli/noise.py", "cli/ab.py")
# Names that fields of a ledger's lines share with what else is read: records of a trial, hooks, templates.
OTHER_FIELDS = {"type", "reason_text", "modes", "source", "machine", "settings", "runs"}


def untyped(house: House) -> list[str]:
    """Reads of a ledger's record by a field's name, where its type could be asked."""
    fields = fields_of(house.trees["ledger/lines.py"]) - OTHER_FIELDS
    # Keywords of `record(...)` are what a trial prints.
    fields -= {
        word.arg
        for file, nodes in house.nodes.items()
        for node in nodes
        if file.startswith("trial/")
        and isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "record"
        for word in node.keywords
        if word.arg
    }
    found = []
    for file, nodes in house.nodes.items():
        for node in [] if file.startswith(OTHER_RECORDS) else nodes:
            match node:
                case ast.Call(func=ast.Attribute(attr="get", value=of), args=[ast.Constant(value=str(key)), *_]):
                    bad = key in fields or (isinstance(of, ast.Attribute) and of.attr == "raw")
                case ast.Subscript(value=ast.Attribute(attr="raw"), ctx=ast.Load()):
                    bad = True
                case _:
                    continue
            if bad:
                found.append(f"{file}:{node.lineno}: {ast.unparse(node)}")
    return found


def fields_of(tree: ast.Module) -> set[str]:
    """The fields of its classes, by the names that they have in the ledger."""
    found = set()
    for made in tree.body:
        for line in made.body if isinstance(made, ast.ClassDef) else []:
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                words = line.value.keywords if isinstance(line.value, ast.Call) else []
                named = [
                    word.value.value for word in words if word.arg == "name" and isinstance(word.value, ast.Constant)
                ]
                found.add(str([line.target.id, *named][-1]))
    return found


@pytest.fixture(scope="module")
def house() -> House:
    return House(PACKAGE)


def test_no_two_files_import_each_other(house: House) -> None:
    assert len(house.arrows) > 500
    assert circles(house.arrows) == []


def test_imports_run_down_the_floors(house: House) -> None:
    assert upward(house.arrows, plan_of(DOCUMENT)) == []


def test_the_document_names_every_room_and_no_other(house: House) -> None:
    assert unplanned(house, DOCUMENT) == []


def test_no_room_is_crowded(house: House) -> None:
    assert crowded(house) == []


def test_no_class_name_means_two_things(house: House) -> None:
    assert twice(house) == []


def test_the_ledgers_fields_are_read_by_their_types(house: House) -> None:
    assert {"verdict", "commit_full", "class"} <= fields_of(house.trees["ledger/lines.py"])
    assert untyped(house) == []


@pytest.mark.parametrize("name", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_every_file_that_is_named_is_there(name: str) -> None:
    text = (REPO / name).read_text()
    assert len(re.findall(r"`[^`]+`", text)) > 20
    own = {"IMPROVEMENTS.md", "autoresearch.md", "autoresearch.ideas.md", "cli/NAME.py"}  # a project's, a pattern
    assert set(stray_names(text, REPO, PACKAGE)) <= own


def test_what_else_names_the_packages_modules_names_those_that_are_there(house: House) -> None:
    """Programs as text, patches by name, the suites and benchmarks that are only run by name, documents."""
    places = [REPO / name for name in ("tests", "benchmarks", "templates", "docs", "references", "pi", "hooks", ".ci")]
    files = [path for place in places for path in place.rglob("*.*") if path.suffix in TEXTS]
    files += [path for path in REPO.iterdir() if path.suffix in TEXTS and path.name != "CHANGELOG.md"]
    files.remove(Path(__file__))
    assert len(files) > 200
    found = {path.relative_to(REPO).as_posix(): lost(path.read_text(), house) for path in files}
    assert {name: names for name, names in found.items() if names} == {}


def test_contributing_names_every_suite() -> None:
    named = re.findall(r"^\| `(\w+)` \|", (REPO / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    usage = re.search(r"SUITE: (.*)\.$", (REPO / "setup.sh").read_text(), re.MULTILINE)
    assert usage is not None
    assert sorted(named) == sorted(re.findall(r"\b(?!or\b)\w+", usage[1]))


def build(root: Path, files: Mapping[str, str]) -> House:
    """A small package `autoresearch`."""
    for name, text in files.items():
        path = root / "autoresearch" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return House(root / "autoresearch")


SMALL = {
    "__init__.py": "",
    "cli/__init__.py": "",
    "cli/run.py": "from autoresearch.core import act\n",
    "core/__init__.py": "",
    "core/act.py": "import json\n\nfrom autoresearch import paths\n",
    "core/left.py": "",
    "core/inner/__init__.py": "",
    "other/__init__.py": "",
    "other/thing.py": "THING = 1\n",
    "paths.py": "",
}
SMALL_PLAN = """
| floor | room | job |
|--:|---|---|
| 3 | `cli/` | words |
| 2 | `core/` | acts, and `core/inner/` |
| 2 | `other/` | things |
| 1 | `paths.py` | places |
| 0 | `__init__.py` | nothing |
"""


def test_a_small_house_that_keeps_to_its_plan(tmp_path: Path) -> None:
    house = build(tmp_path, SMALL)
    assert [str(arrow) for arrow in house.arrows] == [
        "cli/run.py -> core/act.py (act)", "core/act.py -> paths.py (paths)",
    ]  # fmt: skip
    assert not [*circles(house.arrows), *upward(house.arrows, plan_of(SMALL_PLAN)), *unplanned(house, SMALL_PLAN)]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("from autoresearch.core.left import x", "from autoresearch.core.act import y"),
        ("from autoresearch.core import left", "def f():\n    from autoresearch.core import act\n"),
        ("import autoresearch.core.left", "if TYPE_CHECKING:\n    from autoresearch.core import act\n"),
        ("from . import left", "from .act import y"),
        ("from ..core import left", "async def f():\n    import autoresearch.core.act as a\n"),
    ],
)
def test_a_circle_is_found_wherever_the_imports_stand(tmp_path: Path, one: str, two: str) -> None:
    house = build(tmp_path, SMALL | {"core/act.py": one, "core/left.py": two})
    assert circles(house.arrows) == ["core/act.py -> core/left.py -> core/act.py"]


def test_a_longer_circle_and_one_through_a_rooms_own_file_are_found(tmp_path: Path) -> None:
    house = build(tmp_path, SMALL | {
        "core/act.py": "from autoresearch.core import left\nfrom autoresearch import paths",
        "core/left.py": "from autoresearch.other.thing import THING",
        "other/thing.py": "from autoresearch.core.act import x",
        "cli/__init__.py": "from autoresearch.cli.run import f",
        "cli/run.py": "from autoresearch.cli import g",
    })  # fmt: skip
    assert circles(house.arrows) == [
        "cli/__init__.py -> cli/run.py -> cli/__init__.py",
        "core/act.py -> core/left.py -> other/thing.py -> core/act.py",
    ]


@pytest.mark.parametrize(
    ("file", "text", "arrow"),
    [
        ("core/act.py", "def f():\n    from autoresearch.cli.run import g", "core/act.py -> cli/run.py (g)"),
        ("core/act.py", "from autoresearch.other.thing import THING", "core/act.py -> other/thing.py (THING)"),
        ("paths.py", "import autoresearch.core.act", "paths.py -> core/act.py (autoresearch.core.act)"),
        ("__init__.py", "from autoresearch import paths", "__init__.py -> paths.py (paths)"),
    ],
)
def test_an_arrow_that_does_not_run_down_is_named(tmp_path: Path, file: str, text: str, arrow: str) -> None:
    house = build(tmp_path, SMALL | {file: text})
    assert upward(house.arrows, plan_of(SMALL_PLAN)) == [arrow]


def test_rooms_and_document_have_to_agree(tmp_path: Path) -> None:
    house = build(tmp_path, SMALL | {"attic/__init__.py": "", "shed.py": ""})
    plan = SMALL_PLAN.replace("`core/inner/`", "more") + "| 1 | `cellar/` | wine |\n"
    assert unplanned(house, plan) == [
        "attic/ is not in the document's table",
        "shed.py is not in the document's table",
        "cellar/ is in the document's table only",
        "core/inner/ is not in the document",
    ]


def test_crowds_are_found(tmp_path: Path) -> None:
    many = {f"core/f{n}.py": "\n" * 30 for n in range(25)} | {f"g{n}.py": "\n" * 300 for n in range(12)}
    house = build(tmp_path, SMALL | many | {f"cli/c{n}.py": "\n" for n in range(30)})
    assert crowded(house) == ["14 single files, and 13 is the most", "core/ has 29 files, and 24 is the most"]
    house = build(tmp_path, {"core/act.py": "\n" * 9000})
    assert crowded(house)[-1].startswith("core/ has 97")


def test_a_name_without_a_file_is_found(tmp_path: Path) -> None:
    house = build(tmp_path, SMALL)
    text = "see `core/act.py`, `act.py`, `core/`, `core/gone.py`, `gone.md` and `left` `core/lost/`"
    assert stray_names(text, tmp_path, house.package) == ["core/gone.py", "gone.md", "core/lost/"]


def test_a_lost_module_is_found_also_in_a_program_as_text(tmp_path: Path) -> None:
    house = build(tmp_path, SMALL)
    text = """
    from autoresearch.core import act, left, gone
    "import autoresearch.other.thing; from autoresearch.other.thing import THING, NOTHING as n; autoresearch.sh"
    patch("autoresearch.other.thing.THING.part", "autoresearch.core.lost.f")
    from autoresearch.core.act import (
        json,
        yaml,
    )
    """
    assert lost(text, house) == [
        "autoresearch.core.gone", "autoresearch.other.thing.NOTHING", "autoresearch.core.lost.f",
        "autoresearch.core.act.yaml",
    ]  # fmt: skip


def test_a_name_with_two_meanings_and_an_untyped_read_are_found(tmp_path: Path) -> None:
    house = build(tmp_path, {
        "ledger/lines.py": "class Line:\n verdict: str = ''\n grade: str = field(name='class')\n seconds: int = 0",
        "ledger/store.py": "class Line:\n def f(self):\n  return self.raw.get('verdict')",
        "trial/emit.py": "out.record('end', seconds=1)",
        "session/act.py": "record.get('verdict') or {}\nr.get('seconds')\nf().get('class', '')\nx['verdict']",
        "report/view.py": "class View:\n class Line: ...\nb.raw['any']\nd.line.raw.get('other')\nb.raw",
        "peers/theirs.py": "record.get('verdict')",
    })  # fmt: skip
    assert twice(house) == ["Line: ledger/lines.py, ledger/store.py, report/view.py"]
    assert sorted(untyped(house)) == [
        "report/view.py:3: b.raw['any']", "report/view.py:4: d.line.raw.get('other')",
        "session/act.py:1: record.get('verdict')", "session/act.py:3: f().get('class', '')",
    ]  # fmt: skip
