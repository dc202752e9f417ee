"""The version pairs of `real_pairs`, and both sides of one staged for the A/B: downloads, builds, harnesses."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
LAYOUT = HERE.parent / "templates" / "layout.md"
TRUTHS = ("better", "same", "worse")
REGISTRIES = ("pypi", "npm", "debian", "c")

PYTHON_HARNESS = """\
import sys, time
sys.path.insert(0, sys.argv[1])
{bench}
begun = time.perf_counter()
work()
print("METRIC time_s=%.9f" % (time.perf_counter() - begun))
"""
NODE_HARNESS = """\
const require_ = require("module").createRequire(process.argv[2] + "/main.js");
((require) => {{
{bench}
const begun = process.hrtime.bigint();
work();
console.log("METRIC time_s=" + (Number(process.hrtime.bigint() - begun) / 1e9).toFixed(9));
}})(require_);
"""


class Unavailable(Exception):
    """A pair that cannot be run here: no network, no node, no such version."""


@dataclass(frozen=True)
class Pair:
    """One comparison. `why` quotes where the truth is stated; `bench` defines work(), the timed part.

    registry "c": `bench` is the main program, `old` and `new` are the texts of a second source file, and each run
    is linked anew by the recipe in templates/layout.md. "debian": `bench` is the main program, `make` builds the source
    package's objects into obj/ and its headers into include/; linked anew for each run as well.
    """

    name: str
    registry: str
    package: str
    old: str
    new: str
    truth: str
    why: str
    bench: str
    reverse: bool = False
    quick: bool = False
    make: str = ""
    needs: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.truth not in TRUTHS:
            raise ValueError(f"{self.name}: truth is one of {', '.join(TRUTHS)}, not {self.truth!r}")
        if self.registry not in REGISTRIES:
            raise ValueError(f"{self.name}: registry is one of {', '.join(REGISTRIES)}, not {self.registry!r}")
        if self.truth == "same" and self.reverse:
            raise ValueError(f"{self.name}: the reverse of the same tells nothing new")
        if not self.why.strip():
            raise ValueError(f"{self.name}: say where the truth is stated")

    def reversed(self) -> Pair:
        """The same pair from new to old."""
        truth = {"better": "worse", "worse": "better"}[self.truth]
        return replace(
            self, name=self.name + "-reverse", old=self.new, new=self.old, truth=truth, why=f"reverse of {self.name}"
        )


def load_pairs(directory: Path = HERE / "pairs") -> list[Pair]:
    """All pairs of a directory's YAML files, each followed by its reverse. ValueError for a faulty one."""
    known = {f.name for f in fields(Pair)}
    found: list[Pair] = []
    for path in sorted(directory.glob("*.yaml")):
        for entry in yaml.safe_load(path.read_text(encoding="utf-8")):
            if not isinstance(entry, dict) or set(entry) - known:
                raise ValueError(f"{path.name}: unknown fields in {entry!r:.80}")
            pair = Pair(**entry)
            found.append(pair)
            if pair.reverse:
                found.append(pair.reversed())
    names = [pair.name for pair in found]
    if len(set(names)) != len(names):
        raise ValueError("two pairs of one name: " + ", ".join({n for n in names if names.count(n) > 1}))
    return found


def cache_dir() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "autoresearch" / "pairs"


def _call(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    except FileNotFoundError:
        raise Unavailable(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{' '.join(command[:4])} took more than five minutes") from None
    except subprocess.CalledProcessError as exc:
        lines = exc.stderr.strip().splitlines() or ["no message"]
        raise Unavailable(f"{' '.join(command[:4])}: {lines[-1][:160]}") from None


def fetch(registry: str, package: str, version: str, cache: Path) -> Path:
    """The directory of one unpacked version, downloaded once."""
    home = cache / registry / f"{package.replace('/', '+')}@{version}"
    if home.exists():
        return home
    scratch = home.with_name(f".{home.name}.{os.getpid()}")
    shutil.rmtree(scratch, ignore_errors=True)
    archives, unpacked = scratch / "archive", scratch / "unpacked"
    archives.mkdir(parents=True)
    try:
        if registry == "pypi":
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
            wheels = ["--no-deps", "--only-binary", ":all:", "--dest", str(archives)]
            _call([*pip, *wheels, f"{package}=={version}"])
            with zipfile.ZipFile(next(archives.iterdir())) as wheel:
                wheel.extractall(unpacked)
        elif registry == "debian":
            _debian_source(package, version, archives)
            with tarfile.open(next(archives.iterdir())) as tarball:
                tarball.extractall(scratch / "tarball", filter="data")
            next((scratch / "tarball").iterdir()).rename(unpacked)
        else:
            _call(["npm", "pack", "--silent", "--pack-destination", str(archives), f"{package}@{version}"])
            with tarfile.open(next(archives.iterdir())) as tarball:
                tarball.extractall(scratch / "tarball", filter="data")
            target = unpacked / "node_modules" / package
            target.parent.mkdir(parents=True)
            next((scratch / "tarball").iterdir()).rename(target)
        unpacked.rename(home)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return home


def _debian_source(package: str, version: str, to: Path) -> None:
    """The upstream tarball of a source package, from the archive that this machine's apt uses."""
    if shutil.which("apt-get") is None or shutil.which("curl") is None:
        raise Unavailable("apt-get or curl is not installed")
    told = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)"], capture_output=True, text=True, check=False
    )
    sites = [site for site in dict.fromkeys(told.stdout.split()) if site.rstrip("/").endswith("/debian")]
    pool = package[:4] if package.startswith("lib") else package[:1]
    for site in sites:
        for kind in ("xz", "gz", "bz2"):
            name = f"{package}_{version}.orig.tar.{kind}"
            target = to / name
            url = f"{site.rstrip('/')}/pool/main/{pool}/{package}/{name}"
            done = subprocess.run(["curl", "-fsSL", "-o", str(target), url], capture_output=True, check=False)
            if done.returncode == 0:
                return
            target.unlink(missing_ok=True)
    raise Unavailable(f"no archive of apt's has the source of {package} {version}")


def stage(pair: Pair, cache: Path) -> dict[str, str]:
    """Both sides in directories of equal path length; the options for `autoresearch ab`."""
    root = cache / "stage" / pair.name
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    if pair.registry == "c":
        return _stage_c(pair, root)
    if pair.registry == "debian":
        return _stage_debian(pair, root, cache)
    interpreter, script, harness = {
        "pypi": (sys.executable, "bench.py", PYTHON_HARNESS),
        "npm": ("node", "bench.js", NODE_HARNESS),
    }[pair.registry]
    if shutil.which(interpreter) is None:
        raise Unavailable(f"{interpreter} is not installed")
    (root / script).write_text(harness.format(bench=pair.bench), encoding="utf-8")
    options = {}
    for side, version in (("a", pair.old), ("b", pair.new)):
        for package, wanted in [(pair.package, version), *(need.split("==") for need in pair.needs)]:
            shutil.copytree(fetch(pair.registry, package, wanted, cache), root / side, dirs_exist_ok=True)
        options[side] = shlex.join([interpreter, str(root / script), str(root / side)])
    return options


def _stage_c(pair: Pair, root: Path) -> dict[str, str]:
    if shutil.which("cc") is None:
        raise Unavailable("no C compiler")
    options = {}
    for side, text in (("a", pair.old), ("b", pair.new)):
        tree = root / side
        tree.mkdir()
        (tree / "main.c").write_text(pair.bench, encoding="utf-8")
        (tree / "part.c").write_text(text, encoding="utf-8")
        (tree / "link.sh").write_text(recipe("c-link-order"), encoding="utf-8")
        _call(["bash", "-c", f"cd {shlex.quote(str(tree))} && cc -Os -c main.c part.c"])
        options[side] = shlex.quote(str(tree / "bench"))
        options[f"build-{side}"] = f"cd {shlex.quote(str(tree))} && bash link.sh bench main.o part.o"
    return options


def _stage_debian(pair: Pair, root: Path, cache: Path) -> dict[str, str]:
    if shutil.which("cc") is None or shutil.which("make") is None:
        raise Unavailable("no C compiler or no make")
    options = {}
    for side, version in (("a", pair.old), ("b", pair.new)):
        tree = root / side
        shutil.copytree(fetch("debian", pair.package, version, cache), tree)
        (tree / "main.c").write_text(pair.bench, encoding="utf-8")
        (tree / "link.sh").write_text(recipe("c-link-order"), encoding="utf-8")
        place = shlex.quote(str(tree))
        _call(["bash", "-c", f"set -e; cd {place}; mkdir obj include; {pair.make}\ncc -O2 -Iinclude -c main.c"])
        options[side] = shlex.quote(str(tree / "bench"))
        options[f"build-{side}"] = f"cd {place} && LDLIBS=-lpthread bash link.sh bench main.o obj/*.o"
    return options


def recipe(name: str, text: str | None = None) -> str:
    """A marked code block of templates/layout.md."""
    document = LAYOUT.read_text(encoding="utf-8") if text is None else text
    _, mark, rest = document.partition(f"<!-- recipe: {name} -->\n```")
    if not mark:
        raise KeyError(f"no recipe {name}")
    return rest.partition("\n")[2].partition("\n```")[0] + "\n"
