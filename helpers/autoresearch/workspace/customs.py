"""What belongs to a project's checks by the customs of its languages: tests, and what they compare with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import PurePosixPath

TEST_DIRECTORIES = {
    "test", "tests", "__tests__", "spec", "specs", "testing", "t", "testdata", "fixtures", "__fixtures__",
    "__snapshots__", "golden", "goldens",
}  # fmt: skip
_NAMES = re.compile(
    r"test_.*\.(py|c|cc|cpp|cxx|rb|jl|lua)$|tests?\.(py|js|mjs|c|cc|cpp|cxx|rb|sh|pl|rs)$|.*\.(snap|golden|t)$"
    r"|.*_(tests?\.(py|go|c|cc|cpp|cxx|rb|rs|exs|dart)|spec\.rb)$|.*\.(test|spec)\.[a-z]+$"
)


def is_check(path: str) -> bool:
    """Whether a path (from the project's directory, with slashes) is a test's or a fixture's by its place or name."""
    parts = PurePosixPath(path.lower()).parts
    return bool(TEST_DIRECTORIES.intersection(parts[:-1])) or bool(parts and _NAMES.match(parts[-1]))


def says_checks(pattern: str) -> bool:
    """Whether a line of scope speaks of tests itself, such as `tests/**` or `src/**/*_test.go`."""
    return is_check(re.sub(r"[*?]+", "x", pattern.strip("/")) + ("/x" if pattern.endswith("/") else ""))


def pattern_of(path: str) -> str:
    """The glob for this test and its like: its directory of tests, or the custom of its name."""
    parts = PurePosixPath(path).parts
    at = next((i for i, part in enumerate(parts[:-1]) if part.lower() in TEST_DIRECTORIES), None)
    if at is not None:
        return "/".join(parts[: at + 1]) + "/**"
    name = parts[-1]
    shape = re.search(r"(?i)(?:_tests?|_spec|\.(?:test|spec))\.[a-z]+$|\.(?:snap|golden|t)$", name)
    if shape:
        return f"**/*{shape[0]}"
    return f"**/test_*{PurePosixPath(name).suffix}" if name.lower().startswith("test_") else path


def off_limits_line(before: Iterable[str], files: Iterable[str]) -> str:
    """The line of autoresearch.yaml that takes `files` out of scope, with what it says already."""
    more = [pattern_of(file) if is_check(file) else file for file in files]
    return f"off_limits: {json.dumps(list(dict.fromkeys([*before, *more])))}"
