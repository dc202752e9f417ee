"""The engine `skypilot`: trials on VMs of any cloud, Kubernetes or Slurm, dispatched by us, one at a time per VM.

Floors, downwards: `engine` (what the session sees; files only) -> `dispatcher` (a process that lives while there are
trials) -> `trials`, `vms` (carry decisions out) -> `desk` (what these share) -> `client` (speaks JSON lines with
`bridge.py`, which runs by SkyPilot's own interpreter) and `fleet` (pure: what to do next) -> `model` (the words of
all). Only `bridge.py` imports SkyPilot.
"""
