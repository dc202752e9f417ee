import time
import unittest

from prices import reduced


class Prices(unittest.TestCase):
    def setUp(self):
        time.sleep(0.05)

    def test_a_tenth_off(self):
        self.assertEqual(reduced(1000, 10), 900)

    def test_nothing_off(self):
        self.assertEqual(reduced(1000, 0), 1000)

    def test_more_than_all_is_refused(self):
        with self.assertRaises(ValueError):
            reduced(1000, 101)
