"""Output is data: no control sequence, no credential, and nothing else is lost."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autoresearch.ledger.store import append, records
from autoresearch.report.escape import markdown
from autoresearch.safetext import REDACTED, clean, one_line, redact, tail
from autoresearch.trial.environment import allowed

# Built here, so that no scanner of this repository takes an example for a leak.
A40, MIXED = "a1B2" * 10, "Zx9_" * 12
SECRETS = [
    "AKIA" + "ABCDEFGH12345678",
    "ghp_" + A40,
    "github_pat_" + MIXED,
    "glpat-" + "x1Y2z3" * 4,
    "xoxb-" + "1234567890-abcdef",
    "sk-ant-" + MIXED,
    "sk-" + A40,
    "sk_live_" + A40,
    "AIza" + "Sy0" * 12,
    "npm_" + A40,
    "pypi-" + MIXED,
    "hf_" + A40,
    "eyJ" + "hbGciOiJI" * 3 + ".eyJ" + "zdWIiOiIx" * 3 + "." + "SflKxwRJ" * 4,
    "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA " + "PRIVATE KEY-----",
    "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nb3BlbnNzaC1rZXk cut short",
]
NAMED = [
    ("password={}", "hunter2!"),
    ("DB_PASSWORD: {}", "correct-horse"),
    ("{{'api_key': '{}'}}", "0123abcd"),
    ("AWS_SECRET_ACCESS_KEY={}", "wJalrXUtnFEMI/K7MDENG"),
    ("Authorization: Bearer {}", "abc.def-123"),
    ("https://me:{}@example.org/x.git", "p4ssw0rd"),
    ("session_token={}", "8f14e45fceea167a5a36"),
    ("client_secret = '{}'", "s3cr3t-value"),
]
METRIC_VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr), st.integers().map(str), st.integers(0).map(hex)
)


@pytest.mark.parametrize("secret", SECRETS)
@given(before=st.sampled_from(["", "key ", "\x1b[31m", "key:", '"']), after=st.sampled_from(["", "\nnext", '"', " ."]))
def test_known_shapes_are_taken_out(secret: str, before: str, after: str) -> None:
    text = f"{before}{secret}{after}"
    for shown in (redact(clean(text)), one_line(text, 4000), tail(text, 50, 4000)):
        assert REDACTED in shown
        assert secret not in shown
        assert max((len(word) for word in re.findall(r"\w+", shown.replace(REDACTED, ""))), default=0) < 12


@pytest.mark.parametrize(("text", "secret"), NAMED)
def test_named_secrets_are_taken_out(text: str, secret: str) -> None:
    shown = one_line(text.format(secret))
    assert secret not in shown
    assert shown == " ".join(text.format(REDACTED).split())


@pytest.mark.parametrize(
    "text",
    [
        "the token: one of them is looked at twice",
        "skip tokens = faster lexer; token=next",
        "commit 0a1b2c3d4e5f60718293a4b5c6d7e8f901234567 of src/secret_sharing.py",
        "Merge the password check into the parser, author: someone@example.org",
        "https://example.org/a:b@c and arxiv:2101.00001",
        "sha256 " + "0123456789abcdef" * 4,
        "METRIC password=12\nMETRIC secret=1e-05\nMETRIC api_key=0x1f",
    ],
)
def test_other_words_stay(text: str) -> None:
    assert redact(text) == text


@given(
    st.text("abcdefghijklmnopqrstuvwxyz_.", min_size=1, max_size=30).map(lambda n: n + "token")
    | st.sampled_from(["time_s", "password", "secret", "tokens", "api_key", "µs.secret"]),
    METRIC_VALUES,
)
def test_metric_lines_are_never_damaged(name: str, value: str) -> None:
    line = f"METRIC {name}={value}\n"
    assert redact(line) == line
    assert tail(f"some output\n{line}").endswith(f"\nMETRIC {name}={value}")


@given(
    st.binary(min_size=4, max_size=64).map(bytes.hex), st.sampled_from(["commit {}", "{}", "diff_sha256: {}.", "e1@{}"])
)
def test_hashes_are_never_damaged(digest: str, around: str) -> None:
    text = around.format(digest)
    assert redact(text) == text


@given(st.text())
@example("token=token=token=")
@example("eyJ" * 500)
def test_redacting_ends_and_twice_is_once(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@pytest.mark.parametrize(
    "unit", ["-eyJ", "token ", "://a", "sk-", "password=", "-----BEGIN PRIVATE KEY-----", "eyJ.", "a.-"]
)
def test_no_text_makes_it_slow(unit: str) -> None:
    """A search in quadratic time would not end within the test's time-out."""
    assert isinstance(redact(unit * (200_000 // len(unit))), str)


def test_nothing_like_a_credential_enters_the_ledger(tmp_path: Path) -> None:
    path = tmp_path / "autoresearch.jsonl"
    record = {
        "type": "note", "text": f"it said {SECRETS[1]}", "list": [{"deep": "password=hunter2!"}, 1.5, ["A", 0.1]],
        "sha": "0a1b2c3d" * 5, "none": None,
    }  # fmt: skip
    append(path, record)
    assert SECRETS[1] not in path.read_text()
    (read,) = records(path)
    assert read == {
        **record, "text": f"it said {REDACTED}", "list": [{"deep": f"password={REDACTED}"}, 1.5, ["A", 0.1]],
    }  # fmt: skip


def test_a_candidate_sees_no_password_of_a_proxy() -> None:
    given_ = {"HTTPS_PROXY": "http://me:pw@proxy:3128", "MY_TOKEN": "x", "PATH": "/bin", "INDEX": "https://u:p@host/"}
    assert allowed(given_) == {"HTTPS_PROXY": "http://proxy:3128", "PATH": "/bin", "TERM": "dumb"}
    assert allowed(given_, credentials=True)["HTTPS_PROXY"] == given_["HTTPS_PROXY"]
    assert allowed(given_, ["INDEX"])["INDEX"] == given_["INDEX"]


HOSTILE = st.text(
    st.sampled_from(list("\x1b[]()31mOS\x07\x9b\u202e\u200b\u2028\r\n\t<>|`*_#!&;$\"'\\@:/-aZ é\udc80\x00"))
)


@given(HOSTILE)
def test_no_text_leaves_its_line_or_moves_a_cursor(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert len(line) <= 200
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u200b\ufeff\ud800-\udfff]", line)
    assert clean(clean(text)) == clean(text)
    json.dumps(line).encode()


@given(HOSTILE)
def test_no_text_becomes_markdown_structure(text: str) -> None:
    shown = markdown(text)
    assert not re.search(r"[<>|`\n]", shown)
    assert not re.search(r"(?<!\\)[\[\]*#]", shown.replace("&#124;", "").replace("&#96;", ""))
