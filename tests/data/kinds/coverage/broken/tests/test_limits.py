import unittest

SOURCE = open("src/limits.py").read()


class Limits(unittest.TestCase):
    def test_that_nothing_changed(self):
        self.assertEqual(len(SOURCE), 394)
