def move(heap, legal, seed):
    return heap % 4 or legal[0]
