"""Our record in the peers' forms: pi-autoresearch's JSON lines and Karpathy's `results.tsv`."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

from autoresearch.ledger.records import FAILED, STATUSES, Header, Run, is_better, number
from autoresearch.ledger.store import to_text
from autoresearch.peers.foreign import KARPATHY


class PeerConfidence:
    """The peers' advisory number for one segment, fed run by run: |best kept - first run| / MAD.

    MAD is the plain median absolute deviation (no 1.4826) of all metrics above 0. None below three of those, with
    MAD 0, without a kept run, or when the best kept value is the first run's. Source: pi-autoresearch's
    `computeConfidence`. It is written for other readers; nothing here decides by it.
    """

    def __init__(self, direction: str | None = "lower") -> None:
        self.direction = direction
        self.first: float | None = None
        self.best: float | None = None
        self.positive: list[float] = []

    def add(self, metric: float, status: str) -> float | None:
        """The confidence after this run. A crash counts as 0, as the peers write it."""
        if self.first is None:
            self.first = metric
        if metric > 0:
            insort(self.positive, metric)
            if status == "keep" and (self.best is None or is_better(metric, self.best, self.direction)):
                self.best = metric
        if len(self.positive) < 3 or self.best is None or self.best == self.first:
            return None
        spread = median_deviation(self.positive)
        return number(abs(self.best - self.first) / spread) if spread else None


def median_deviation(ordered: list[float]) -> float:
    """Median absolute deviation of ascending values, in logarithmic time.

    The deviations below and above the median are two sorted runs, so their k-th smallest is found by bisection.
    """
    size = len(ordered)
    middle = (ordered[(size - 1) // 2] + ordered[size // 2]) / 2
    split = bisect_left(ordered, middle)

    def kth(k: int) -> float:
        # How many of the k+1 smallest deviations come from below the median.
        low, high = max(0, k + 1 - (size - split)), min(k + 1, split)
        while low < high:
            below = (low + high) // 2
            if middle - ordered[split - 1 - below] < ordered[split + k - below] - middle:
                low = below + 1
            else:
                high = below
        sides = []
        if low:
            sides.append(middle - ordered[split - low])
        if low <= k:
            sides.append(ordered[split + k - low] - middle)
        return max(sides)

    return (kth((size - 1) // 2) + kth(size // 2)) / 2


def peer_header(name: str, metric_name: str, metric_unit: str, direction: str | None) -> dict[str, Any]:
    """A header as the peers write it; they need a direction, and read a missing one as lower."""
    return {
        "type": "config", "name": name, "metricName": metric_name, "metricUnit": metric_unit,
        "bestDirection": direction or "lower",
    }  # fmt: skip


def peer_records(
    entries: Iterable[object], metric_name: str = "metric", direction: str | None = None
) -> Iterator[dict[str, Any]]:
    """Headers and runs with the peers' fields only, in their order; every other record is left out.

    An unknown status becomes a discard, since one known reader takes an unknown word for a keep. A crash and failed
    checks have the value 0, as the peers write it; any other run without a value is left out (`valueless`), as a 0
    would be the best of all to them. A recorded confidence is kept, a missing one computed. A log without a header
    gets one, of `metric_name` and `direction`.
    """
    confidence = PeerConfidence(direction)
    segment, position, headed = 0, 0, False
    for entry in entries:
        if isinstance(entry, Header):
            confidence = PeerConfidence(entry.direction)
            segment, headed = entry.segment, True
            yield peer_header(entry.name, entry.metric_name, entry.metric_unit, entry.direction)
        elif isinstance(entry, Run) and not valueless(entry):
            if not headed or entry.segment > segment:
                headed, segment, confidence = True, entry.segment, PeerConfidence(direction)
                yield peer_header("imported", metric_name, "", direction)
            position += 1
            yield _peer_run(entry, position, segment, confidence)


def valueless(run: Run) -> bool:
    """Whether nothing was measured, though neither a crash nor failed checks say so."""
    return run.measured is None and run.status not in FAILED


def _peer_run(run: Run, position: int, segment: int, confidence: PeerConfidence) -> dict[str, Any]:
    status = run.status if run.status in STATUSES else "discard"
    metric = 0 if run.metric is None else run.metric
    computed = confidence.add(metric, status)
    recorded = number(run.raw.get("confidence")) if "confidence" in run.raw else None
    record: dict[str, Any] = {
        "run": run.run if isinstance(run.run, int) else position, "commit": run.commit[:7], "metric": metric,
        "metrics": dict(run.metrics), "status": status, "description": run.description,
        "timestamp": run.timestamp_ms or 0, "segment": segment,
        "confidence": computed if recorded is None else recorded,
    }  # fmt: skip
    asi = run.raw.get("asi")
    if isinstance(asi, Mapping):
        record["asi"] = dict(asi)
    if "literature_source" in run.raw:
        record["literature_source"] = run.raw["literature_source"]
    return record


def write_jsonl(
    entries: Iterable[object], handle: IO[bytes], metric_name: str = "metric", direction: str | None = None
) -> int:
    """Write pi-autoresearch's JSON lines; returns how many runs were written."""
    import jsonlines  # heavy, and for this form only

    runs = 0
    with jsonlines.Writer(handle, dumps=to_text) as writer:
        for record in peer_records(entries, metric_name, direction):
            writer.write(record)
            runs += "run" in record
    return runs


def write_tsv(entries: Iterable[object], handle: IO[bytes]) -> int:
    """Write Karpathy's five columns for the runs of the last segment that have a value; returns how many.

    The form has no segments, and numbers never mix across them. Crashes and failed checks are 0.000000 with the
    status crash; the column keeps its name `val_bpb` whatever the metric, since readers look for it.
    """
    start = handle.tell()
    runs, segment = _tsv_header(handle), 0
    for entry in entries:
        if isinstance(entry, Header | Run) and entry.segment > segment:
            segment = entry.segment
            handle.seek(start)
            handle.truncate()
            runs = _tsv_header(handle)
        if isinstance(entry, Run) and not valueless(entry):
            runs += 1
            handle.write(_tsv_row(entry))
    return runs


def _tsv_header(handle: IO[bytes]) -> int:
    handle.write("\t".join(KARPATHY).encode() + b"\n")
    return 0


def _tsv_row(run: Run) -> bytes:
    failed = run.status in FAILED
    status = "crash" if failed else run.status if run.status in STATUSES else "discard"
    value = run.measured or 0.0
    # Six digits as in the original; more only where six would lose the value.
    number_text = f"{value:.6f}" if float(f"{value:.6f}") == value or abs(value) >= 0.01 else repr(value)
    memory = run.metrics.get("memory_gb", run.metrics.get("peak_vram_mb", 0.0) / 1024)
    cells = (run.commit[:7], number_text, f"{memory:.1f}", status, " ".join(run.description.split()))
    return "\t".join(cells).encode("utf-8", "backslashreplace") + b"\n"
