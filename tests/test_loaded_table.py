"""README's table of loads is what the benchmark's output on record says."""

from __future__ import annotations

import re
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
ROWS = {
    "quiet": "nothing",
    "busy": "a busy loop on its core",
    "bursts": "bursts of 5 to 200 ms",
    "two-speed": "two speeds, played",
}


def cell(line: str, *, span: bool = False) -> str:
    """`kept / kept / kept % (runs)` of a rule's line of the output."""
    kept, runs = re.findall(r"([\d.]+) %", line), [round(float(n)) for n in re.findall(r"% +([\d.]+)", line)]
    told = " / ".join(str(runs_) for runs_ in runs) if span else str(runs[0])
    return f"{' / '.join(f'{float(k):.0f}' for k in kept)} % ({told})"


def rows(text: str) -> list[str]:
    """The table's rows from the whole output of benchmarks/loaded.py."""
    found = []
    for part in re.split(r"\n(?=[\w-]+: \d+ runs)", text)[1:]:
        lines = part.splitlines()
        readings = {line.split("  sd")[0].strip(): n for n, line in enumerate(lines) if "sd of a run" in line}
        wall, paired = readings["wall time"], readings["paired"]
        sds = [re.findall(r"sd of a run +([\d.]+)", lines[at])[0] for at in (wall, paired)]
        ours, median, _, mann = lines[wall + 1 : wall + 5]
        cells = [
            ROWS[part.split(":")[0]], f"{sds[0]}, {sds[1]} %", cell(median), cell(mann), cell(ours, span=True),
            f"**{cell(lines[paired + 1], span=True)}**",
        ]  # fmt: skip
        found.append(f"| {' | '.join(cells)} |")
    return found


def test_readme_says_what_was_measured_beside_other_work() -> None:
    expected = rows((REPO / "benchmarks/results/loaded.txt").read_text())
    assert len(expected) == len(ROWS)
    readme = (REPO / "README.md").read_text().splitlines()
    assert [row for row in expected if row not in readme] == []
