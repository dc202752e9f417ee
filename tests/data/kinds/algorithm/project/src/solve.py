def solve(data):
    return sorted(dict.fromkeys(data))
