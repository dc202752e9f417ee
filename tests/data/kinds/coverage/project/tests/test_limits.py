import unittest

from limits import clamp, share


class Limits(unittest.TestCase):
    def test_they_run(self):
        clamp(5, 0, 10)
        share(1, 2)
