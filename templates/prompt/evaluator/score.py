"""Prints accuracy_pct over the cases, and prompt_chars. Each case is asked SAMPLES times; scoring is by code."""

from signed_metric import metric

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
MODEL = [sys.executable, str(HERE / "model.py")]  # ADAPT
SAMPLES = 2


def right(answer, case):
    """ADAPT: exact match; else a parser or a unit test. A model as judge needs a seed and a fixed version."""
    return answer.strip() == case["want"]


cases = [json.loads(line) for line in (HERE / (sys.argv[1:] or ["cases.jsonl"])[0]).read_text().splitlines()]
template = Path("prompt.md").read_text()
if template.count("{question}") != 1:
    sys.exit("prompt.md must hold {question} once")
# Drawn for each run, alike for both sides.
seed, score = int(os.environ.get("AUTORESEARCH_LAYOUT_SEED", "1")), 0
for number, case in enumerate(cases):
    for sample in range(SAMPLES):
        env = {**os.environ, "SEED": f"{seed}-{number}-{sample}"}
        text = template.replace("{question}", "Question: " + case["question"])
        done = subprocess.run(MODEL, input=text.encode(), stdout=subprocess.PIPE, env=env, check=True, timeout=120)
        score += right(done.stdout.decode("utf-8", "replace"), case)
metric("accuracy_pct", round(100 * score / (len(cases) * SAMPLES), 4))
metric("prompt_chars", len(template))
