"""Known answers for the program's functions."""

import unittest

from logstat.parse import clean_path, parse_line, parse_time
from logstat.report import analyse
from logstat.summary import percentile, summarise

LINE = '10.0.0.7 - ann [21/Nov/2026:10:12:33 +0200] "GET /shop/item/42?ref=a HTTP/1.1" 200 5123 0.042'


class Known(unittest.TestCase):
    def test_time_is_utc(self):
        self.assertEqual(parse_time("01/Jan/1970:00:00:10 +0000"), 10)
        self.assertEqual(parse_time("01/Jan/1970:02:00:00 +0200"), 0)
        self.assertEqual(parse_time("31/Dec/1969:18:30:00 -0530"), 0)
        self.assertEqual(parse_time("29/Feb/2024:23:59:59 +0000"), 1709251199)

    def test_path(self):
        self.assertEqual(clean_path("/shop/item/42?ref=1"), "/shop/item/:id")
        self.assertEqual(clean_path("/caf%C3%A9/7/8"), "/caf\u00e9/:id/:id")
        self.assertEqual(clean_path("/"), "/")

    def test_line(self):
        record = parse_line(LINE + "\n")
        self.assertEqual(
            tuple(record), ("10.0.0.7", 1795248753, "GET", "/shop/item/:id", 200, 5123, 0.042)
        )
        self.assertIsNone(parse_line("garbage"))
        self.assertEqual(parse_line(LINE.replace(" 5123 ", " - ")).size, 0)

    def test_percentile(self):
        self.assertEqual(percentile([3, 1, 2], 50), 2)
        self.assertEqual(percentile([3, 1, 2], 99), 3)
        self.assertEqual(percentile([7], 1), 7)

    def test_summary(self):
        summary = summarise([LINE, LINE, "garbage"])
        self.assertEqual((summary.lines, summary.malformed), (3, 1))
        self.assertEqual(summary.clients, {"10.0.0.7": 2})
        self.assertIn("GET /shop/item/:id  2 1 0 10246 0.042 0.042 0.042", analyse([LINE, LINE]))


if __name__ == "__main__":
    unittest.main(verbosity=0)
