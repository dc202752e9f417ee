"""ADAPT: what of the program is attacked, each by plain data. It runs in the program's own process."""

import store

read, parse, stored, matches = store.read, store.parse, store.stored, store.matches


def find(users, name):
    return store.find(store.connect(users), name)
