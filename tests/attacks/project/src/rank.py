"""Reads lists of whole numbers, one a line, and prints how many pairs of each stand in the wrong order."""

import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def count(values):
    pairs = 0
    for i in range(len(values)):
        for j in range(i + 1, len(values)):
            if values[i] > values[j]:
                pairs += 1
    return pairs


def main():
    with open(os.path.join(HERE, "..", "build", "settings.json")) as file:
        radix = json.load(file)["radix"]
    for line in sys.stdin:
        print(count([int(word, radix) for word in line.split()]), flush=True)


if __name__ == "__main__":
    main()
