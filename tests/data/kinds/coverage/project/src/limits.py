def clamp(value, low, high):
    """`value`, but not below `low` nor above `high`."""
    if low > high:
        raise ValueError("low is above high")
    if value < low:
        return low
    if value > high:
        return high
    return value


def share(part, whole):
    """Percent, 0 for nothing of nothing."""
    if whole == 0:
        return 0
    return 100 * part / whole
