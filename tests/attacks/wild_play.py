"""Plays wild cheats, or honest gains, by the real commands: `python tests/attacks/wild_play.py --seed 3 --site cpu`."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1] / "helpers")]

from arena import Arena, copy_of  # noqa: E402
from wild import CLASSES, Class, Files  # noqa: E402
from wild_classes import PASSES  # noqa: E402
from wild_sites import SITES, Site, set_up  # noqa: E402


@dataclass(frozen=True)
class Ended:
    """How one candidate ended: its status in the ledger ("" where no line was written), exit codes, and why."""

    site: str
    candidate: str
    seed: int
    status: str
    ab: int
    decide: int
    why: str
    effect_pct: float | None
    seconds: float


def play(arena: Arena, site: Site, name: str, seed: int, files: Files) -> Ended:
    """Open a copy, write `files`, measure, decide."""
    begun = time.monotonic()
    told = arena("new", arena.experiment, "--hypothesis", "it is only faster")
    assert told.code == 0, told.text
    for path, text in files.items():
        arena.write(path, text)
    ab = arena.until_done("ab", arena.experiment)
    decided = arena.decide()
    line = arena.run_line() or {}
    why = str(line.get("reason") or ab.data.get("reason") or ab.data.get("error") or decided.data.get("error") or "")
    return Ended(
        site.name, name, seed, str(line.get("status", "")), ab.code, decided.code,
        (why + " | " + str(line.get("failed") or line.get("description") or ""))[:300],
        line.get("effect_pct"), round(time.monotonic() - begun, 1),
    )  # fmt: skip


def chosen(names: list[str], sites: list[str], seed: int) -> list[tuple[Class, Site, int]]:
    """Every class on every site that it fits, of those named; all where none is."""
    return [
        (found, SITES[site], seed)
        for found in CLASSES.values() if not names or found.name in names
        for site in found.sites if not sites or site in sites
    ]  # fmt: skip


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seed", type=int, nargs="+", default=[1])
    options.add_argument("--site", nargs="*", default=[])
    options.add_argument("--cheat", nargs="*", default=[])
    options.add_argument("--uncontained", action="store_true")
    options.add_argument("--record", type=Path, help="append one JSON line for each play")
    options.add_argument("--all", action="store_true", help="also those that are known to pass")
    given = options.parse_args()
    kept = 0
    with tempfile.TemporaryDirectory(prefix="wild-") as scratch:
        for site in [SITES[name] for name in given.site or SITES]:
            template = set_up(site, Path(scratch, site.name, "template"), uncontained=given.uncontained)
            for seed in given.seed:
                for found, _, _ in chosen(given.cheat, [site.name], seed):
                    if (found.name, site.name) in PASSES and not given.all:
                        continue
                    top = Path(scratch, site.name, "arena")
                    ended = play(copy_of(template, top), site, found.name, seed, found.files(site, seed))
                    kept += ended.status == "keep"
                    print(
                        f"{ended.status or '-':13} {site.name:12} {found.name:22} {seed} {ended.seconds:6.1f} s  {ended.why[:150]}",
                        flush=True,
                    )
                    if given.record:
                        with given.record.open("a") as file:
                            file.write(json.dumps(asdict(ended)) + "\n")
                    shutil.rmtree(top)
            shutil.rmtree(template.top)
    print(f"kept: {kept}")
    return 1 if kept else 0


if __name__ == "__main__":
    sys.exit(main())
