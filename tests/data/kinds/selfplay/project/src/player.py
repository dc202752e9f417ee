def move(heap, legal, seed):
    return legal[(seed + heap) % len(legal)]
