def move(heap, legal, seed):
    return heap % 4 or 4
