"""What `doctor` says of the engine skypilot: is there a SkyPilot that we can use, and which clouds are enabled?"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Literal, NamedTuple

from autoresearch.engines.skypilot.client import FIXES, Bridge, BridgeError, Unanswered, check_version, find_interpreter
from autoresearch.errors import EnvironmentMissing


class CloudCheck(NamedTuple):
    """`level` ok|warn|fail, what was found, and what to do about it."""

    level: Literal["ok", "warn", "fail"]
    text: str
    fix: str = ""


def enabled(clouds: list[str], infra: str | None) -> bool:
    """Whether `infra` (as in autoresearch.yaml; none = any) is one of the enabled clouds."""
    wanted = (infra or "*").split("/")[0].lower()
    return bool(clouds) and (wanted == "*" or {"k8s": "kubernetes"}.get(wanted, wanted) in clouds)


def require_cloud(bridge: Bridge, infra: str | None, patience: float = 0.0) -> list[str]:
    """The enabled clouds, in lower case; probed anew when `infra` is not among those of the last `sky check`.

    `patience` is that of `Bridge.call`. `EnvironmentMissing` when SkyPilot has nothing for us.
    """
    bridge.call("hello", timeout=300)
    clouds: list[str] = []
    for full in (False, True):
        answer = bridge.call("check", timeout=300, patience=patience, full=full)
        clouds = [str(c).lower() for c in answer["clouds"]]
        if enabled(clouds, infra):
            return clouds
    have = f"; enabled: {', '.join(clouds)}" if clouds else ""
    what = f"infra {infra} is not enabled" if clouds else "no cloud is enabled"
    raise EnvironmentMissing(f"SkyPilot: {what}{have}", fix=FIXES["no_cloud"])


def diagnose(state: Path, infra: str | None, seconds: float = math.inf) -> CloudCheck:
    """Ask SkyPilot; takes seconds, as its server may have to start, at most about `seconds`."""
    until = time.monotonic() + seconds
    try:
        python = find_interpreter()
        version = check_version(python)
        (state / "sky").mkdir(parents=True, exist_ok=True)
        bridge = Bridge(python, state / "sky" / "bridge.log", until)
        try:
            clouds = require_cloud(bridge, infra)
        finally:
            bridge.close()
    except Unanswered:
        text = "SkyPilot has not answered when --timeout was over: its API server may be starting"
        return CloudCheck("warn", text, "Repeat it, or give it longer: autoresearch doctor --timeout 120")
    except EnvironmentMissing as exc:
        return CloudCheck("fail", exc.message, exc.fix)
    except BridgeError as exc:
        return CloudCheck("fail", f"SkyPilot: {exc}", FIXES["server"])
    return CloudCheck("ok", f"SkyPilot {version}; enabled: {', '.join(clouds)}")
