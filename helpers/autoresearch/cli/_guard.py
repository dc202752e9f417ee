"""What the guard decides on an event of an agent's client: which files a tool call would write, how long to keep
looping, what of an output to show.

Pure: a tool call and counts in, words out. It spares an honest agent a detour; it is not what makes a number
trustworthy. A command that hides its target passes here and fails at the frozen evaluator's hashes.
"""

from __future__ import annotations

import itertools
import posixpath
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

_HEREDOC = re.compile(r"<<-?[ \t]*(['\"]?)(\w+)\1([^\n]*)\n.*?(?:\n[ \t]*\2[ \t]*(?=\n|$)|$)", re.DOTALL)
_PATCHED = re.compile(r"^\*\*\* (?:(?:Add|Update|Delete) File|Move to): (.+)$", re.MULTILINE)
_TOKEN = re.compile(
    r"(?P<comment>(?<![^\s;&|(])\#[^\n]*)|(?P<redirect>&>>?|\d*(?:>>|>\||>&|<<<|<&|<>|<|>))|(?P<end>[;&|()\n`]+)"
    r"""|(?P<word>(?:[^\s;&|()<>`'"\\]|\\.|'[^']*'|"(?:\\.|[^"\\])*")+)""",
    re.DOTALL,
)
_QUOTED = re.compile(r"""'([^']*)'|"((?:\\.|[^"\\])*)"|\\(.)""", re.DOTALL)
_WRAPPERS = {
    "sudo", "env", "command", "exec", "time", "nohup", "nice", "xargs", "then", "do", "else", "!", "{",
}  # fmt: skip
_WRITES_ALL = {"tee", "sponge", "rm", "unlink", "shred", "truncate", "mv", "chmod"}
_WRITES_LAST = {"cp", "install", "ln", "rsync", "mv"}
_IN_PLACE = re.compile(r"-[A-Za-z]*i|--in-place")
_PREFIXES = ("autoresearch:", "METRIC ", "EXPERIMENT_", "CHECKS_")


def written(tool: str, arguments: Mapping[str, Any]) -> list[str]:
    """Paths that a tool call would write, remove or replace, as the call names them."""
    if tool in ("Edit", "MultiEdit", "Write", "NotebookEdit"):
        names = (arguments.get(key) for key in ("file_path", "notebook_path", "path"))
        return [name for name in names if isinstance(name, str) and name]
    command = arguments.get("command")
    if isinstance(command, list):  # an argument vector
        words = [str(word) for word in command]
        command = words[-1] if words[1:2] and words[1].startswith("-") else shlex.join(words)
    if not isinstance(command, str):
        return []
    if tool == "apply_patch":
        return [path.strip() for path in _PATCHED.findall(command)]
    if tool == "Bash":
        patched = _PATCHED.findall(command) if "*** Begin Patch" in command else []
        return [*(path.strip() for path in patched), *shell_targets(command)]
    return []


def shell_targets(command: str, depth: int = 0) -> list[str]:
    """Targets of redirections and of the usual writing commands, following `cd` and `bash -c`. Best effort."""
    place, found = "", []
    for plain, targets in _simple_commands(_HEREDOC.sub(r"\3\n", command)):
        while plain and (plain[0] in _WRAPPERS or re.match(r"\w+=", plain[0])):
            plain = plain[1:]
        name = posixpath.basename(plain[0]) if plain else ""
        if name == "cd" and len(plain) > 1:
            place = posixpath.join(place, plain[1])
        if name in ("bash", "sh", "zsh", "dash") and depth < 3:
            script = next((w for o, w in itertools.pairwise(plain) if re.fullmatch(r"-\w*c", o)), None)
            targets += shell_targets(script, depth + 1) if script else []
        found += [posixpath.join(place, t) for t in [*targets, *_operands_written(name, plain[1:])]]
    return found


def _simple_commands(command: str) -> Iterable[tuple[list[str], list[str]]]:
    """Each simple command's words without its redirections, and the files that it redirects into."""
    words: list[str] = []
    targets: list[str] = []
    into = ""
    for token in _TOKEN.finditer(command.replace("\\\n", " ")):
        if token["end"]:
            yield words, targets
            words, targets, into = [], [], ""
        elif token["redirect"]:
            into = token["redirect"]
        elif token["word"]:
            word = _QUOTED.sub(lambda m: m[1] or m[2] or m[3] or "", token["word"])
            if ">" in into and not (into.endswith("&") and re.fullmatch(r"\d+|-", word)):
                targets.append(word)
            elif not into:
                words.append(word)
            into = ""
    yield words, targets


def _operands_written(name: str, words: list[str]) -> list[str]:
    operands = [word for word in words if not word.startswith("-")]
    targets: list[str] = []
    if name in _WRITES_ALL or (name in ("sed", "perl", "gawk") and any(_IN_PLACE.match(w) for w in words)):
        targets += operands
    if name in _WRITES_LAST and len(operands) > 1:
        # The last one may be a directory, and then the source's name counts.
        last = operands[-1]
        targets += [last, *(posixpath.join(last, posixpath.basename(o)) for o in operands[:-1])]
    if name == "dd":
        targets += [word[3:] for word in words if word.startswith("of=")]
    return targets


JOBS = ".autoresearch/jobs"


@dataclass(frozen=True)
class Guarded:
    """What may not be written: files by their path from the project's top, and directories with all they hold."""

    files: frozenset[str]
    directories: tuple[str, ...] = (".autoresearch/pin", JOBS)
    prefix: str = ""  # the project's directory inside its git repository, such as "sub/", for worktrees

    def hit(self, path: str) -> str | None:
        """The guarded name that a path from the project's top (normalised) would change, else None."""
        parts = path.split("/")
        if parts[:2] == [".autoresearch", "worktrees"]:
            inside = "/".join(parts[3:])
            ours = inside.startswith(self.prefix) and inside[len(self.prefix) :] in self.files
            return inside if ours else None
        if path in self.files:
            return path
        for place in self.directories:
            if path == place or path.startswith(place + "/") or place.startswith(path + "/"):
                return place
        return None


def refusal(name: str) -> str:
    """What the agent reads instead of its edit."""
    if name.endswith(".jsonl"):
        return (
            f"autoresearch: {name} is the ledger; only the command writes it. A result comes from "
            "`autoresearch decide`, a remark goes into autoresearch.md. Next: autoresearch status"
        )
    if name == JOBS:
        return f"autoresearch: {name} holds what was measured; only the command writes it. Next: autoresearch status"
    return (
        f"autoresearch: {name} belongs to the evaluator, which is frozen since the baseline; a candidate that changes "
        "it is refused (exit 5). Change the program inside scope instead. If the benchmark or a check is wrong, tell "
        "the user: they can mend it with AUTORESEARCH_HOOKS=off and measure a new segment "
        "(autoresearch baseline --new-segment). Next: autoresearch status"
    )


@dataclass(frozen=True)
class Loop:
    """How often an agent was sent back to work, after `runs` decided experiments and with `ledger` bytes on record.

    `waiting` holds clients' sessions that began here and have called no `autoresearch` yet: an agent that was asked for
    something else is left alone.
    """

    runs: int = -1
    ledger: int = -1
    blocks: int = 0
    idle: int = 0
    waiting: tuple[str, ...] = ()

    @classmethod
    def read(cls, data: object) -> Loop:
        """From JSON; anything unexpected counts as nothing."""
        if not isinstance(data, dict):
            return cls()
        numbers = {k: data[k] for k in ("runs", "ledger", "blocks", "idle") if type(data.get(k)) is int}
        waiting = data.get("waiting")
        names = tuple(str(n) for n in waiting) if isinstance(waiting, list) else ()
        return cls(**numbers, waiting=names)

    def began(self, agent: str) -> Loop:
        """A client's session began; the newest twenty are remembered."""
        return replace(self, waiting=(*(n for n in self.waiting if n != agent), agent)[-20:])

    def engaged(self, agent: str) -> Loop:
        """The agent works on this session."""
        return replace(self, waiting=tuple(n for n in self.waiting if n != agent))


IDLE_BLOCKS = 2


def send_back(loop: Loop, agent: str, runs: int, ledger: int, *, again: bool, limit: int) -> tuple[bool, Loop]:
    """Whether an agent that stops is sent back to work, and the counts after it.

    At most `limit` times without a new decision, so that the stop rules or this end every loop; and at most
    `IDLE_BLOCKS` times when it stops `again`, right after it was sent back, with nothing new in the ledger.
    """
    if agent and agent in loop.waiting:
        return False, loop
    blocks = loop.blocks if runs == loop.runs else 0
    idle = loop.idle if again and ledger == loop.ledger else 0
    if blocks >= limit or idle >= IDLE_BLOCKS:
        return False, loop
    return True, replace(loop, runs=runs, ledger=ledger, blocks=blocks + 1, idle=idle + 1)


def calls_us(command: object) -> bool:
    """Whether a shell command calls `autoresearch`."""
    return isinstance(command, str) and re.search(r"(^|[\s;&|(/])autoresearch\s+[a-z]", command) is not None


def shorten(text: str, most: int = 12000, part: int = 2000) -> str | None:
    """A long output with its results first, then its start and its end; None when it is short enough."""
    if len(text) <= most:
        return None
    verdicts = [line[:300] for line in text.splitlines() if line.startswith(_PREFIXES)][-20:]
    cut = f"[autoresearch: {len(text) - 2 * part} characters cut]"
    return "\n".join([*verdicts, text[:part], cut, text[-part:]])
