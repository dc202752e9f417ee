"""Runs the unittest tests below a directory, and writes what ran to a file, as JUnit XML."""

import html
import sys
import unittest

report, where = sys.argv[1:]
sys.path[0] = ""  # as python3 -m unittest has it
sys.argv[1:] = []


class Ran(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.outcomes = {}

    def startTest(self, test):
        super().startTest(test)
        self.outcomes[test.id()] = "passed"

    def stopTest(self, test):
        super().stopTest(test)
        if any(found.id() == test.id() for found, _ in self.skipped):
            self.outcomes[test.id()] = "skipped"


found, result = unittest.defaultTestLoader.discover(where), Ran()
found.run(result)
for test, said in result.errors + result.failures + [(test, "") for test in result.unexpectedSuccesses]:
    result.outcomes[test.id()] = "failure"
    print(test.id(), said)
with open(report, "w") as file:
    inside = {"passed": "", "skipped": "<skipped/>", "failure": "<failure/>"}
    cases = ('<testcase name="%s">%s</testcase>' % (html.escape(n), inside[o]) for n, o in result.outcomes.items())
    file.write("<testsuite>%s</testsuite>" % "".join(cases))
sys.exit(0 if result.wasSuccessful() else 1)
