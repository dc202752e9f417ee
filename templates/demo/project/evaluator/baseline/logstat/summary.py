"""Adds records up: by path, by hour, by client, by status and method."""

import math

from logstat.parse import parse_line


class Traffic:
    """Requests and bytes."""

    def __init__(self):
        self.hits = 0
        self.size = 0

    def add(self, record):
        self.hits += 1
        self.size += record.size


class PathStats:
    """What is known about one path."""

    def __init__(self):
        self.traffic = Traffic()
        self.errors = 0
        self.times = []
        self.visitors = set()

    def add(self, record):
        self.traffic.add(record)
        self.times.append(record.seconds)
        self.visitors.add(record.client)
        if record.status >= 500:
            self.errors += 1


class Summary:
    """What is known about a log."""

    def __init__(self):
        self.lines = 0
        self.malformed = 0
        self.clients = {}
        self.statuses = {}
        self.methods = {}
        self.paths = {}
        self.hours = {}

    def add_path(self, record):
        stats = self.paths.setdefault((record.method, record.path), PathStats())
        stats.add(record)

    def add_hour(self, record):
        hour = record.when // 3600
        traffic = self.hours.setdefault(hour, Traffic())
        traffic.hits += 1
        traffic.size += record.size

    def add_client(self, record):
        self.clients[record.client] = self.clients.get(record.client, 0) + 1
        self.statuses[record.status] = self.statuses.get(record.status, 0) + 1
        self.methods[record.method] = self.methods.get(record.method, 0) + 1


def percentile(values, percent):
    """Nearest-rank percentile of a list that is not empty."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def summarise(lines):
    """The summary of an iterable of log lines."""
    summary = Summary()
    for line in lines:
        summary.lines += 1
        record = parse_line(line)
        if record is None:
            summary.malformed += 1
            continue
        summary.add_path(record)
        summary.add_hour(record)
        summary.add_client(record)
    return summary
