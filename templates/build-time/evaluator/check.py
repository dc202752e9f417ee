"""A clean build makes an artifact that works, in a directory where nothing was built before."""

import subprocess
import sys
from pathlib import Path

from settings import ARTIFACT, BUILD, CLEAN, ENVIRONMENT, RUNS

subprocess.run(CLEAN, env=ENVIRONMENT, check=True)
if Path(ARTIFACT).exists():
    sys.exit(f"{ARTIFACT} is still there after a clean: an old build would be measured")
subprocess.run(BUILD, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
for given, want in RUNS.items():
    done = subprocess.run([f"./{ARTIFACT}"], input=given.encode(), stdout=subprocess.PIPE, timeout=60)
    if done.returncode or done.stdout.decode().strip() != want:
        sys.exit(f"{ARTIFACT} should say {want} to {given!r}")
