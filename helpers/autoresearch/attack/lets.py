"""Which line of an evaluator lets a cheat through, the check that would stop it, and a draft of that check."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from autoresearch.attack.edits import CHEATS, Mutant
from autoresearch.resources import shipped
from autoresearch.safetext import one_line
from autoresearch.workspace.evaluator import BENCHMARK, CHECKS

REMEDIES = {
    "output": "compare what the program answers with the base's: autoresearch.diff.sh",
    "signed": "sign the result, and pass no output of the program on: metric in templates/autoresearch.sh",
    "clock": "take the time in a process that imports nothing of the program's: templates/paired.py",
    "stage": "judge the answers of the timed runs themselves, after the clock",
    "size": "check inputs as large as the timed ones: a large seed in autoresearch.diff.sh",
    "plain": "turn answers into plain data (exact types) before they are compared, or compare printed text",
    "inputs": "draw other inputs in every run, from AUTORESEARCH_LAYOUT_SEED",
    "all": "judge every answer of a timed run, not the first one",
}
_COMPARES = re.compile(
    r"\b(?:cmp|diff|sha\d*sum|assert\w*|expect\w*|compare\w*|grep|test|raise|exit [1-9])\b|==|!=|\[\[? |sys\.exit"
)
_TESTS = re.compile(r"\b(?:pytest|unittest|tox|nox|ctest|make|cargo|go test|node|npm|npx|jest|vitest|mvn|gradle\w*)\b")
_QUIET = re.compile(
    r"^(?:#|set |cd |export |source |\. |mkdir |trap |shopt |\w+=|fi$|done$|}$|else$|then$|if |for |while |case )"
)


def through(mutant: Mutant, scripts: Mapping[str, str]) -> tuple[str, str]:
    """(the line that lets it, the check that would stop it), each in a few words."""
    key = CHEATS[mutant.cheat][1]
    if key in ("signed", "clock", "inputs"):
        name, line = _last(scripts, BENCHMARK)
        why = {
            "signed": "takes the METRIC line of the program",
            "clock": "takes the time where the program runs",
            "inputs": "asks the same again in one run",
        }[key]
        return f"{name}:{line} {why}", REMEDIES[key]
    if CHECKS not in scripts:
        return f"there is no {CHECKS}", REMEDIES[key]
    name, line = _last(scripts, CHECKS)
    said = scripts[name].split("\n")[line - 1] if line else ""
    if not _COMPARES.search(scripts[CHECKS]) and not _TESTS.search(said):
        return f"{name}:{line} only asks for exit 0", REMEDIES[key]
    if _TESTS.search(said):
        return f"{name}:{line} runs tests that pass without it", REMEDIES[key]
    return f"{name}:{line} compares nothing that shows it", REMEDIES[key]


def _last(scripts: Mapping[str, str], name: str) -> tuple[str, int]:
    """The last line of a script that runs something, from 1."""
    lines = list(commands(scripts.get(name, "")))
    return name, lines[-1][0] if lines else 1


def commands(script: str) -> Iterator[tuple[int, str]]:
    """(number, text) of the lines that run something."""
    for number, line in enumerate(script.split("\n"), 1):
        said = line.strip()
        if said and not _QUIET.match(said):
            yield number, said


def draft(mutant: Mutant, scripts: Mapping[str, str]) -> str:
    """`autoresearch.diff.sh` for this project: the template's head, and a call of what the cheat replaced."""
    template = _shipped("autoresearch.diff.sh")
    head = template[: template.index("# Example:")]
    place = one_line(mutant.place, 120)
    head = head.replace("# Generated inputs:", f"# Drafted by doctor --attack, for {place}. Generated inputs:", 1)
    started, (folder, module) = _started(mutant, scripts), _module(mutant.path)
    called = f'["{mutant.where}"]' if mutant.where else "[name for name, it in vars(m).items() if callable(it)][:8]"
    values = {"FOLDER": folder, "MODULE": module, "NAMES": called, "PATH": mutant.path, "NAME": mutant.where}
    kind = {".py": "python", ".js": "node", ".mjs": "node", ".cjs": "node"}.get(PurePosixPath(mutant.path).suffix)
    if started or kind is None or not re.fullmatch(r"[\w./-]+", mutant.path):
        kind, values = "command", {"COMMAND": started or "./ADAPT-the-program"}
    return head + re.sub(r"\b[A-Z]{4,}\b", lambda m: values.get(m[0], m[0]), _shipped(f"drafts/{kind}.sh"))


def _shipped(name: str) -> str:
    return shipped(f"templates/{name}").read_text(encoding="utf-8")


def _started(mutant: Mutant, scripts: Mapping[str, str]) -> str:
    """How the evaluator starts the file as a program, quoted; empty where it does not."""
    name = re.escape(mutant.path)
    for script in (CHECKS, BENCHMARK):
        for _, line in commands(scripts.get(script, "")):
            found = re.search(rf"(?:\b(?:python3?|node|bash|sh|ruby|perl)(?:\s+-\S+)*\s+)?(?:\./)?{name}\b", line)
            if found and "import" not in line:
                return found[0]
    return ""


def _module(path: str) -> tuple[str, str]:
    """(the folder to import from, the dotted name) of a Python file."""
    parts = PurePosixPath(path).with_suffix("").parts
    at = 1 if parts[0] in ("src", "lib") and parts[1:] else 0
    named = ".".join(parts[at:]).removesuffix(".__init__")
    return "/".join(parts[:at]) or ".", named
