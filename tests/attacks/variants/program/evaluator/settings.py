"""What templates/cpu/evaluator/settings.py leaves to adapt: small, since the suite is about cheats."""

COMMAND = ["python3", "-I", "-S", "src/main.py"]
PAIRS = 12
NOMINAL = 0.02


def make(rng):
    return b"%s\n" % " ".join(str(rng.randrange(-999, 1000)) for _ in range(400)).encode()
