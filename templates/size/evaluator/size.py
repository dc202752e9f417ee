"""Prints bundle_bytes (each file of OUTPUT gzipped at level 9, summed) and raw_bytes. Source maps do not count."""

from signed_metric import metric

import gzip
import sys
from pathlib import Path

OUTPUT = Path("dist")  # ADAPT
files = sorted(p for p in OUTPUT.rglob("*") if p.is_file() and p.suffix != ".map")
if not files:
    sys.exit(f"{OUTPUT} holds no file: build first")
metric("bundle_bytes", sum(len(gzip.compress(p.read_bytes(), 9, mtime=0)) for p in files))
metric("raw_bytes", sum(p.stat().st_size for p in files))
