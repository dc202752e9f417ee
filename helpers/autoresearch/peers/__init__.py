"""Other tools' files: loops' logs and sessions, both ways, and the results of benchmark harnesses."""
