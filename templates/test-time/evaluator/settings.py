"""ADAPT: how the tests run (once, without a person), and bugs that they find today."""

# {report}: where the runner has to write what it ran, as JUnit XML. With pytest:
# ["python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml={report}", "tests"]
COMMAND = ["python3", "{here}/ran.py", "{report}", "tests"]
ENVIRONMENT = {"PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"}
ROUNDS = 1
LEAST_TESTS = 3  # as many as there are now; the checks compare them one by one
SOURCES = "src/**/*.py"  # what is tested; Python, else "" and more in PLANTED
MUTANTS = 4  # small changes of the sources, drawn in every run of the checks, as far as today's tests find them
# (file, right, wrong): with the right text replaced by the wrong one, at least one test has to fail
PLANTED = [
    ("src/prices.py", "total * (100 - percent) / 100", "total * (100 + percent) / 100"),
    ("src/prices.py", "if not 0 <= percent <= 100", "if not 0 <= percent <= 1000"),
]
