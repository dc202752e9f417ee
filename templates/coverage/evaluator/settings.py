"""ADAPT: the source that is mutated, the tests that have to notice, and how many mutants a run can afford."""

SOURCES = ["src/*.py"]
COMMAND = ["python3", "-m", "unittest", "discover", "-q", "-f", "-s", "tests"]
ENVIRONMENT = {"PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"}
MUTANTS = 16  # spread evenly over all that are possible
CONTROLS = 3  # runs on the right code between them: one that fails ends the benchmark
SECONDS = 20  # for one run of the tests; a mutant that loops is found, too
