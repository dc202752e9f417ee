"""Makes untrusted text safe to show: output is data, whatever a candidate prints, names or writes."""

from __future__ import annotations

import re

# CSI, OSC/DCS/APC/PM/SOS strings (closed by BEL or ST) and two-byte escapes, ECMA-48 section 5.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
# C0 but tab and newline, DEL, C1, line/paragraph separators, bidirectional controls, zero-width marks.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")

REDACTED = "[redacted]"
# Secrets that are known by their shape. Lengths are bounded, so that no text makes the search slow.
_SHAPES = re.compile(
    r"""
      -----BEGIN[ A-Z0-9]{0,40}PRIVATE\ KEY(?:\ BLOCK)?-----.*?
        (?:-----END[ A-Z0-9]{0,40}PRIVATE\ KEY(?:\ BLOCK)?-----|\Z)
    | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b                                      # AWS
    | \bgh[pousr]_[A-Za-z0-9]{30,255} | \bgithub_pat_[A-Za-z0-9_]{22,255} # GitHub
    | \bgl(?:pat|rt|dt|cbt|ptt|ft)-[A-Za-z0-9_-]{20,255}                 # GitLab
    | \bxox[abeoprs]-[A-Za-z0-9-]{10,255} | \bxapp-[A-Za-z0-9-]{10,255} # Slack
    | \bsk[-_](?:ant-|proj-|live_|test_|or-)?[A-Za-z0-9_-]{20,255}       # Anthropic, OpenAI, Stripe
    | \bAIza[A-Za-z0-9_-]{30,60} | \bya29\.[A-Za-z0-9_-]{20,512}         # Google
    | \bnpm_[A-Za-z0-9]{30,60} | \bpypi-[A-Za-z0-9_-]{32,512} | \bhf_[A-Za-z0-9]{24,60} | \bdop_v1_[a-f0-9]{64}
    | \bSG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}                   # SendGrid
    | \beyJ[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{8,2000} # JSON web token
    """,
    re.VERBOSE | re.DOTALL,
)
_NUMBER = r"(?![+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?:[\s,;\"']|$)|0[xXoObB][0-9a-fA-F]+(?:\s|$))"
# Secrets that are known by what stands before them; the first group stays. A plain number is none: it may be a metric.
_NAMED = (
    re.compile(r"(://[^/\s:@]{0,200}:)[^@\s/]{1,200}(?=@)"),
    re.compile(
        r"(\bauthorization[\"']?\s{0,3}[=:]\s{0,3}[\"']?(?:(?:bearer|basic|token)\s{1,3})?)[^\s\"',]{6,2000}", re.I
    ),
    re.compile(
        r"((?:password|passwd|passphrase|pwd|secret|secret[_-]key|private[_-]key|api[_-]?key|access[_-]?key|credential)"
        rf"s?[\"']?\s{{0,3}}[=:]\s{{0,3}}[\"']?){_NUMBER}[^\s\"',;&]{{4,2000}}",
        re.I,
    ),
    # A parser has tokens, too: only what has a digit in it and some length is taken for a credential.
    re.compile(
        rf"(token[\"']?\s{{0,3}}[=:]\s{{0,3}}[\"']?){_NUMBER}(?=[^\s\"',;&0-9]{{0,200}}[0-9])[^\s\"',;&]{{12,2000}}",
        re.I,
    ),
)


def redact(text: str) -> str:
    """Text without what looks like a credential: well-known shapes, private keys, `password=`, users in URLs."""
    if len(text) < 8:
        return text
    text = _SHAPES.sub(REDACTED, text)
    for pattern in _NAMED:
        text = pattern.sub(rf"\1{REDACTED}", text)
    return text


def clean(text: str) -> str:
    """Text without escape sequences, control characters and lone surrogates; newlines and tabs stay."""
    return _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def one_line(text: str, limit: int = 200) -> str:
    """`clean` and `redact` on a single line of at most `limit` characters; a cut is marked with an ellipsis."""
    flat = " ".join(redact(clean(text[: limit * 20])).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def tail(text: str, lines: int = 20, limit: int = 1500) -> str:
    """The last `lines` lines of cleaned and redacted text, at most `limit` characters."""
    kept = "\n".join(redact(clean(text[-limit * 20 :])).rstrip().split("\n")[-lines:])
    return kept if len(kept) <= limit else "…" + kept[-(limit - 1) :]
