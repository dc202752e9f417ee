"""ADAPT: how the tests run (once, without a person), and bugs that they find today."""

COMMAND = ["python3", "-m", "unittest", "discover", "-q", "-s", "tests"]
ENVIRONMENT = {"PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"}
ROUNDS = 1
LEAST_TESTS = 3  # as many as there are now
# (file, right, wrong): with the right text replaced by the wrong one, at least one test has to fail
PLANTED = [
    ("src/prices.py", "total * (100 - percent) / 100", "total * (100 + percent) / 100"),
    ("src/prices.py", "if not 0 <= percent <= 100", "if not 0 <= percent <= 1000"),
]
