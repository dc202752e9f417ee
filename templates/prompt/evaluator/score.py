"""Prints accuracy_pct over the cases, and prompt_chars. Each case is asked SAMPLES times; scoring is by code.

The cases are secret (evaluator_secret): what runs the model, or a scaffold, gets a question and never finds an answer.
"""

from signed_metric import metric

import os
import random
import subprocess
import sys
from pathlib import Path

import worker
from cases import read

HERE = Path(__file__).parent
MODEL = [sys.executable, str(HERE / "model.py")]  # ADAPT
SAMPLES = 2


def right(answer, case):
    """ADAPT: exact match; else a parser or a unit test. A model as judge needs a seed and a fixed version."""
    return answer.strip() == case["want"]


cases = read((sys.argv[1:] or ["cases.jsonl"])[0])
worker.forget()
template = Path("prompt.md").read_text()
if template.count("{question}") != 1:
    sys.exit("prompt.md must hold {question} once")
# Drawn for each run, alike for both sides; no question is known by its place.
seed, score = int(os.environ.get("AUTORESEARCH_LAYOUT_SEED", "1")), 0
asked = [(number, sample) for number in range(len(cases)) for sample in range(SAMPLES)]
for number, sample in random.Random(seed).sample(asked, len(asked)):
    env = {**worker.environment(), "SEED": f"{seed}-{number}-{sample}"}
    text = template.replace("{question}", "Question: " + cases[number]["question"])
    done = subprocess.run(MODEL, input=text.encode(), stdout=subprocess.PIPE, env=env, check=True, timeout=120)
    score += right(done.stdout.decode("utf-8", "replace"), cases[number])
metric("accuracy_pct", round(100 * score / (len(cases) * SAMPLES), 4))
metric("prompt_chars", len(template))
