"""ADAPT: what is measured. A run should take 0.2 to 5 s in all."""

COMMAND = ["python3", "src/main.py"]  # reads a case on stdin, prints its answer; after a build: ["./build/tool"]
ROUNDS = 3
