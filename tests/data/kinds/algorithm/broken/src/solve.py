def solve(data):
    data.sort()
    return list(dict.fromkeys(data))
