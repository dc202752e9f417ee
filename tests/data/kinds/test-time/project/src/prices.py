def reduced(total, percent):
    """The price in cents after a discount."""
    if not 0 <= percent <= 100:
        raise ValueError(percent)
    return round(total * (100 - percent) / 100)
