"""Reads whole numbers, and prints how many pairs of them stand in the wrong order."""

import sys

values = [int(word) for word in sys.stdin.read().split()]
pairs = 0
for i in range(len(values)):
    for j in range(i + 1, len(values)):
        if values[i] > values[j]:
            pairs += 1
print(pairs)
