"""The prompt is a prompt: it holds the slot, no case, no answer sheet, and stays affordable."""

import sys
from pathlib import Path

from cases import read

LONGEST = 4000
text = Path("prompt.md").read_text()
if text.count("{question}") != 1:
    sys.exit("prompt.md must hold {question} once")
if len(text) > LONGEST:
    sys.exit(f"prompt.md is longer than {LONGEST} characters")
for name in ("cases.jsonl", "heldout.jsonl"):
    for case in read(name):
        if case["question"].lower() in text.lower():
            sys.exit(f"prompt.md quotes a case: {case['question'][:60]}")
