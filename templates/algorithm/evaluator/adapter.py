"""ADAPT: what is called. It runs in the program's own process: nothing of the evaluator's belongs here."""

from solve import solve  # src/solve.py: solve(list of int) -> sorted list without duplicates


def batch(inputs):
    """A round."""
    return [solve(data) for data in inputs]


def checked(data):
    """The answer, and the input as it is then."""
    return [solve(data), data]
