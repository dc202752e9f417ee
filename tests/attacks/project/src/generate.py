"""The build: writes build/settings.json."""

import json
import os

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.makedirs(os.path.join(TOP, "build"), exist_ok=True)
with open(os.path.join(TOP, "build", "settings.json"), "w") as file:
    json.dump({"radix": 10}, file)
