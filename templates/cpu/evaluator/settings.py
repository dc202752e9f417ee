"""ADAPT: what is measured, on which inputs. A run should take 0.2 to 5 s in all, half of it the reference's."""

COMMAND = ["python3", "src/main.py"]  # reads an input on stdin, prints its answer; after a build: ["./build/tool"]
PAIRS = 30  # or more, each a round of the program and one of its reference
NOMINAL = 0.02  # seconds of the reference's round: not yet measured, autoresearch doctor does
EDGES = [b"\n", b"1 2 3\n", b"-5 5 7\n"]  # what the checks ask beside such inputs: empty, odd, the largest


def make(rng):
    """One input, as large and as varied as in the real load; `rng` has another seed in every run."""
    return b"%s\n" % " ".join(str(rng.randrange(-999, 1000)) for _ in range(5000)).encode()
