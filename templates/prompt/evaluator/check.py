"""The prompt is a prompt: it holds the slot, no case, no answer sheet, and stays affordable."""

import json
import sys
from pathlib import Path

LONGEST = 4000
text = Path("prompt.md").read_text()
if text.count("{question}") != 1:
    sys.exit("prompt.md must hold {question} once")
if len(text) > LONGEST:
    sys.exit(f"prompt.md is longer than {LONGEST} characters")
for name in ("cases.jsonl", "heldout.jsonl"):
    for line in (Path(__file__).parent / name).read_text().splitlines():
        case = json.loads(line)
        if case["question"].lower() in text.lower():
            sys.exit(f"prompt.md quotes a case: {case['question'][:60]}")
