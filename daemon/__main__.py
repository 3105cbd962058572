"""`python -m daemon` is the command `darkroom`."""

from daemon.cli import main

main()
