"""A process with every command imported, which forks for each that a test runs.

What runs is a process of its own, as a user's would be, but for the third of a second that the
imports take. On each line of standard input stands what to run, in JSON; the answer to each is its
exit code.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import tempfile
import traceback
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import daemon.checkups
import daemon.commands
from daemon.cli import main

SECONDS = 60
"""No command takes so long."""


class Commands:
    """Runs commands, one after the other.

    Args:
        folder: where they run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.commands"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
        )

    def run(
        self, arguments: list[str], stdin: bytes, environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run one to its end."""
        with tempfile.TemporaryDirectory() as scratch:
            paths = [f"{scratch}/{name}" for name in ("stdin", "stdout", "stderr")]
            Path(paths[0]).write_bytes(stdin)
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            wanted = [arguments, environment, str(self._folder), paths]
            print(json.dumps(wanted), file=self._process.stdin, flush=True)
            code = int(self._process.stdout.readline())
            assert code != -signal.SIGALRM, f"it hangs: {arguments}"
            out, err = (Path(path).read_bytes().decode() for path in paths[1:])
        return subprocess.CompletedProcess(arguments, code, out, err)


@cache
def commands(folder: Path) -> Commands:
    """The one of this process, for a folder."""
    return Commands(folder)


def become(arguments: list[str], environment: dict[str, str], folder: str, files: Any) -> NoReturn:
    """Be the command, from a fork to its end."""
    signal.alarm(SECONDS)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    modes = (os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT)
    for number, (file, mode) in enumerate(zip(files, modes, strict=True)):
        os.dup2(os.open(file, mode), number)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, "r" if n == 0 else "w") for n in range(3))
    sys.argv = ["darkroom", *arguments]
    code: Any = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


def serve() -> None:
    """Fork for each line; it ends with its standard input."""
    for package in (daemon.commands, daemon.checkups):
        for found in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{found.name}")
    lines = os.fdopen(os.dup(0), "r")
    for line in iter(lines.readline, ""):
        pid = os.fork()
        if pid == 0:
            become(*json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
