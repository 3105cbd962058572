"""Run as a program by `tests.daemon.test_probing`: the clip on stdin is a script in Python."""

import sys

if __name__ == "__main__":
    exec(sys.stdin.read())
