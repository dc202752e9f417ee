"""Prints bundle_bytes (each file of OUTPUT gzipped at level 9, and its name, summed) and raw_bytes.

Source maps do not count. What is counted is used first: it has to do all that the reference does.
"""

from signed_metric import metric

import gzip
import os

from use import counted, judge

files = counted(".")
sizes = [(len(gzip.compress(p.read_bytes(), 9, mtime=0)) + len(str(p)), p.stat().st_size) for p in files]
judge(os.environ.get("AUTORESEARCH_LAYOUT_SEED", "1"))
metric("bundle_bytes", sum(packed for packed, _ in sizes))
metric("raw_bytes", sum(raw for _, raw in sizes))
