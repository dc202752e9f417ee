"""Every console block that an agent reads is run, in order, in a toy project; what is not run has a checked reason."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from arxiv_server import DATA, FakeArxiv
from driver import REPO
from story import REFERENCES, Line, Story, lines

# Documents that go on in each other's session, in the order in which an agent reads them.
CHAINS = [
    ("SKILL.md",),
    ("instructions.md", "references/verdicts.md", "references/finish.md"),
    *((name,) for name in REFERENCES if name not in ("references/verdicts.md", "references/finish.md")),
]
# A reason for not running a block, and what makes it true.
REASONS: dict[str, Callable[[str, str], object]] = {
    "needs a profiler": lambda row, document: row.split()[0] in PROFILERS,
    "starts a real agent": lambda row, document: re.search(r"\b(claude|pi) -p\b|\bcodex exec\b", row),
    # tests/slurm plays such a session against a real SkyPilot.
    "needs a cluster": lambda row, document: document == "references/cluster.md",
}
PROFILERS = {"perf", "py-spy", "valgrind", "strace", "python3", "node", "nsys", "ncu"}


@pytest.fixture
def arxiv() -> Iterator[FakeArxiv]:
    fake = FakeArxiv()
    fake.feeds["1902.08318"] = (DATA / "search.atom").read_bytes().replace(b"2202.12139", b"1902.08318")
    yield fake
    fake.close()


@pytest.fixture
def story(tmp_path: Path, arxiv: FakeArxiv) -> Iterator[Story]:
    told = Story(tmp_path, {"AUTORESEARCH_ARXIV_URL": arxiv.url, "AUTORESEARCH_ARXIV_DELAY": "0"})
    yield told
    told.sh("autoresearch cancel --all")


def told_in(chain: tuple[str, ...]) -> list[Line]:
    return [line for name in chain for line in lines(name)]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("chain", [c for c in CHAINS if told_in(c)], ids=lambda chain: Path(chain[0]).stem)
def test_the_blocks_run_in_order(chain: tuple[str, ...], story: Story) -> None:
    ran = 0
    for line in told_in(chain):
        if not line.why_not:
            story.tell(line.text)
            ran += 1
    assert ran > 0 or all(line.why_not for line in told_in(chain))


def test_what_is_not_run_has_a_reason_that_is_true() -> None:
    skipped = [line for name in ("SKILL.md", "instructions.md", *REFERENCES) for line in lines(name) if line.why_not]
    assert skipped, "the profilers' block, at least"
    for line in skipped:
        assert line.document not in ("SKILL.md", "instructions.md"), "what everybody reads is run"
        holds = REASONS[line.why_not]
        for row in line.text.splitlines() if line.why_not == "needs a profiler" else [line.text]:
            assert holds(row, line.document), f"{line.document}: {line.why_not}: {row}"
        done = subprocess.run(["bash", "-n"], input=line.text, text=True, capture_output=True)
        assert done.returncode == 0, done.stderr


def test_no_block_escapes() -> None:
    """A fence of another shell, or one that is indented with tabs, would be shown and never run."""
    for name in ("SKILL.md", "instructions.md", *REFERENCES):
        text = (REPO / name).read_text(encoding="utf-8")
        fences = re.findall(r"^\s*```(\w*)$", text, re.MULTILINE)[::2]
        # The recipes of measuring.md are run by test_recipes.py.
        more = {"sh", "js"} if name == "references/measuring.md" else set()
        assert set(fences) <= {"console", "bash", "yaml", "python", "json"} | more, name
        blocks = sum(1 for _ in re.finditer(r"^ *```(?:console|bash)$", text, re.MULTILINE))
        from story import BLOCK

        assert blocks == sum(1 for _ in BLOCK.finditer(text)), name
