"""Renders a summary as text."""

from datetime import datetime, timezone

from logstat.summary import percentile, summarise

TOP = 10


def by_weight(item):
    """Sort key: most first, ties by name."""
    name, count = item
    return (-count, name)


def path_lines(summary):
    yield "PATHS  hits visitors errors bytes p50 p90 p99"
    weights = {key: stats.traffic.hits for key, stats in summary.paths.items()}
    for (method, path), _ in sorted(weights.items(), key=by_weight):
        stats = summary.paths[(method, path)]
        traffic = stats.traffic
        p50, p90, p99 = (percentile(stats.times, percent) for percent in (50, 90, 99))
        yield "%s %s  %d %d %d %d %.3f %.3f %.3f" % (
            method, path, traffic.hits, len(stats.visitors), stats.errors, traffic.size, p50, p90, p99
        )


def hour_lines(summary):
    yield "HOURS  hits bytes"
    for hour in sorted(summary.hours):
        traffic = summary.hours[hour]
        label = datetime.fromtimestamp(hour * 3600, timezone.utc).strftime("%Y-%m-%d %H:00")
        yield "%s  %d %d" % (label, traffic.hits, traffic.size)


def client_lines(summary):
    yield "CLIENTS  hits"
    for client, hits in sorted(summary.clients.items(), key=by_weight)[:TOP]:
        yield "%s  %d" % (client, hits)
    yield "STATUSES  hits"
    for status in sorted(summary.statuses):
        yield "%d  %d" % (status, summary.statuses[status])
    yield "METHODS  hits"
    for method in sorted(summary.methods):
        yield "%s  %d" % (method, summary.methods[method])


def render(summary):
    """The whole report, ending in a newline."""
    lines = ["LINES %d MALFORMED %d" % (summary.lines, summary.malformed)]
    for section in (path_lines, hour_lines, client_lines):
        lines.extend(section(summary))
    return "\n".join(lines) + "\n"


def analyse(lines):
    """From log lines to the report."""
    return render(summarise(lines))
