"""Command line: python3 -m logstat FILE (or standard input)."""

import sys

from logstat.report import analyse


def main():
    if len(sys.argv) > 2 or sys.argv[1:] in (["-h"], ["--help"]):
        print("usage: python3 -m logstat [FILE]", file=sys.stderr)
        return 2
    if len(sys.argv) == 2:
        with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
            print(analyse(log), end="")
    else:
        print(analyse(sys.stdin), end="")
    return 0


sys.exit(main())
