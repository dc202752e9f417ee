"""Access logs from a seed: the same seed gives the same lines on every machine."""

import random

MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
ZONES = ["+0000", "+0000", "+0200", "-0530"]
TARGETS = [
    "/", "/login", "/search?q=red%%20shoes&page=%d", "/shop/item/%d", "/shop/item/%d/reviews",
    "/api/v1/users/%d/orders/%d", "/static/app.js", "/caf%%C3%%A9/men%%C3%%BC", "/files/annual%%20report.pdf",
]
METHODS = ["GET"] * 14 + ["POST", "PUT"]
STATUSES = [200] * 14 + [301, 304, 404, 404, 500, 503]
JUNK = ["", "garbage", '127.0.0.1 - - [bad "GET', "\x00\x01 not a log line"]


def make_log(lines, seed, junk=0.01):
    """A list of log lines; a share of `junk` is malformed."""
    rng = random.Random(seed)
    uniform = rng.random

    def pick(values):
        return values[int(uniform() * len(values))]

    result = []
    second = 0
    for _ in range(lines):
        if uniform() < junk:
            result.append(pick(JUNK))
            continue
        second += int(uniform() * 8)
        target = pick(TARGETS)
        numbers = tuple(int(uniform() * 9000) for _ in range(target.count("%d")))
        stamp = "%02d/%s/2026:%02d:%02d:%02d %s" % (
            second // 86400 % 28 + 1, MONTHS[second // (28 * 86400) % 12],
            second // 3600 % 24, second // 60 % 60, second % 60, pick(ZONES),
        )
        status = pick(STATUSES)
        size = "-" if status == 304 else str(int(uniform() * 40000))
        result.append(
            '10.%d.%d.7 - - [%s] "%s %s HTTP/1.1" %d %s %.3f' % (
                int(uniform() * 4), int(uniform() * 60), stamp, pick(METHODS), target % numbers, status, size,
                uniform() ** 3 * 2,
            )
        )
    return result
