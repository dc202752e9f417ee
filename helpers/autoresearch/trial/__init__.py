"""The trial: builds and measures one or two trees side by side.

It travels to the worker inside a bundle, so it needs only Python 3.8, the standard library and a POSIX shell.
`python3 -m autoresearch.trial trial.json` prints `AR_RECORD {json}` lines, METRIC lines and a result block.
"""
