"""What a measured command sees: its environment by allow-list, a fresh layout, and the machine."""

from __future__ import annotations

import os
import platform
import random
import re
import sys
from typing import Any, Iterable, Mapping

# A command sees these and what the spec adds, nothing else: no tokens, no agent settings, no editor.
ALLOWED = ("PATH", "HOME", "LANG", "LANGUAGE", "TZ", "USER", "LOGNAME", "SHELL")
# Where toolchains live and how they reach a package index. They say nothing about the side that runs.
TOOLCHAIN = (
    "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "GOPATH", "GOROOT", "GOCACHE", "GOMODCACHE", "GOPROXY",
    "GOTOOLCHAIN", "JAVA_HOME", "NVM_DIR", "VIRTUAL_ENV", "CONDA_PREFIX", "LD_LIBRARY_PATH", "CC", "CXX",
    "PIP_CONFIG_FILE", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip
_PAD_LIMIT = 4096
_USER = re.compile(r"://[^/@\s]{1,500}@")


def allowed(source: Mapping[str, str], extra: Iterable[str] = (), *, credentials: bool = False) -> dict[str, str]:
    """The part of `source` that may be passed on: fixed names, LC_*, and the names in `extra`.

    A user and password in a proxy's or an index's address stay out without `credentials`: they are for the set-up,
    which is the evaluator's, not for code of the candidate.
    """
    extra = set(extra)
    names = set(ALLOWED) | set(TOOLCHAIN) | extra
    kept = {key: value for key, value in source.items() if key in names or key.startswith("LC_")}
    if not credentials:
        kept = {key: value if key in extra else _USER.sub("://", value) for key, value in kept.items()}
    kept["TERM"] = "dumb"
    # A relative entry would be a directory of the tree that runs.
    places = kept.get("PATH", "").split(os.pathsep)
    kept["PATH"] = os.pathsep.join(place for place in places if os.path.isabs(place)) or os.defpath
    return kept


def layout(rng: random.Random) -> dict[str, str]:
    """Variables that shake the memory layout of one run or build, drawn alike for both sides.

    AUTORESEARCH_LAYOUT_SEED is for builds that can use it (`-Wl,--shuffle-sections`, Go's -randlayout);
    AUTORESEARCH_PAD moves the stack (Mytkowicz et al., ASPLOS 2009); PYTHONHASHSEED moves Python's tables.
    """
    return {
        "AUTORESEARCH_LAYOUT_SEED": str(rng.randrange(1, 2**31)),
        "AUTORESEARCH_PAD": "x" * rng.randrange(_PAD_LIMIT),
        "PYTHONHASHSEED": str(rng.randrange(2**32)),
    }


def describe() -> dict[str, Any]:
    """The machine, for the record: numbers from different machines are never compared."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "machine": platform.node(),
        "system": platform.system(),
        "release": platform.release(),
        "arch": platform.machine(),
        "cpu": _cpu_name(),
        "cpus": cpus,
        "memory_mb": _memory_mb(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "load": _load(),
    }


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith(("model name", "Model", "Hardware")):
                    return line.partition(":")[2].strip()
    except OSError:
        return platform.processor()
    return platform.processor()


def _memory_mb() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    except (ValueError, OSError):
        return None


def _load() -> float | None:
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None
