"""ADAPT: the model. This stand-in needs no network: it follows what it finds in the prompt, and errs now and then.

Replace it by a call of your model at a fixed version and temperature. Keep the seed: base and candidate get the same.
"""

import os
import random
import sys

prompt = sys.stdin.read()
rules, _, question = prompt.rpartition("Question:")
words = question.split()
answer = words[0] if words else ""
if "upper case" in rules.lower():
    answer = answer.upper()
if "last word" in rules.lower():
    answer = answer[:0] + (words[-1].upper() if "upper case" in rules.lower() else words[-1])
if random.Random(f"{os.environ.get('SEED', '0')} {prompt}").random() < 0.05:
    answer = "?"
print(answer)
