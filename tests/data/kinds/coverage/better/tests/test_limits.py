import unittest

from limits import clamp, share


class Limits(unittest.TestCase):
    def test_clamp(self):
        self.assertEqual([clamp(v, 0, 10) for v in (-1, 0, 5, 10, 11)], [0, 0, 5, 10, 10])
        self.assertEqual(clamp(3, 3, 3), 3)
        with self.assertRaises(ValueError):
            clamp(1, 2, 1)

    def test_share(self):
        self.assertEqual(share(1, 4), 25)
        self.assertEqual(share(0, 0), 0)
