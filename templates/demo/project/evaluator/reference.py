"""The slow and obvious way to the same report, sharing no code with the program."""

import calendar
import math
import time
from collections import defaultdict
from urllib.parse import unquote


def parse(line):
    """(client, epoch, method, path, status, size, seconds) or None."""
    try:
        before, request, after = line.rstrip("\n").split('"')
        client, _, _, stamp, zone = before.split()
        method, target, _ = request.split(" ")
        status, size, seconds = after.split()
        if not (stamp.startswith("[") and zone.endswith("]") and method.isupper() and len(status) == 3):
            return None
        epoch = calendar.timegm(time.strptime(stamp[1:], "%d/%b/%Y:%H:%M:%S"))
        sign = -1 if zone[0] == "+" else 1
        epoch += sign * (int(zone[1:3]) * 3600 + int(zone[3:5]) * 60)
    except ValueError:
        return None
    path = unquote(target.split("?")[0])
    path = "/".join(":id" if part.isdigit() else part for part in path.split("/"))
    return client, epoch, method, path, int(status), 0 if size == "-" else int(size), float(seconds)


def rank(values, percent):
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def report(lines):
    """The whole report, as `logstat.report.analyse` must give it."""
    parsed = [parse(line) for line in lines]
    records = [record for record in parsed if record is not None]
    out = ["LINES %d MALFORMED %d" % (len(parsed), len(parsed) - len(records))]
    paths, hours, clients, statuses = (defaultdict(list) for _ in range(4))
    for record in records:
        paths[record[2], record[3]].append(record)
        hours[record[1] // 3600].append(record[5])
        clients[record[0]].append(record)
        statuses[record[4]].append(record)
    out.append("PATHS  hits visitors errors bytes p50 p90 p99")
    for key in sorted(paths, key=lambda key: (-len(paths[key]), key)):
        rows = paths[key]
        times = [row[6] for row in rows]
        visitors = len({row[0] for row in rows})
        numbers = len(rows), visitors, sum(row[4] >= 500 for row in rows), sum(row[5] for row in rows)
        shown = ["%.3f" % rank(times, percent) for percent in (50, 90, 99)]
        out.append("%s %s  %d %d %d %d %s" % (*key, *numbers, " ".join(shown)))
    out.append("HOURS  hits bytes")
    for hour in sorted(hours):
        label = time.strftime("%Y-%m-%d %H:00", time.gmtime(hour * 3600))
        out.append("%s  %d %d" % (label, len(hours[hour]), sum(hours[hour])))
    out.append("CLIENTS  hits")
    for client in sorted(clients, key=lambda client: (-len(clients[client]), client))[:10]:
        out.append("%s  %d" % (client, len(clients[client])))
    out.append("STATUSES  hits")
    out.extend("%d  %d" % (status, len(statuses[status])) for status in sorted(statuses))
    out.append("METHODS  hits")
    methods = [record[2] for record in records]
    out.extend("%s  %d" % (method, methods.count(method)) for method in sorted(set(methods)))
    return "\n".join(out) + "\n"
