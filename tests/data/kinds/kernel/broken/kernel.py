import math


def kernel(x):
    e = [math.exp(min(v, 700)) for v in x]  # faster, until a value is large
    total = sum(e)
    return [v / total for v in e]
