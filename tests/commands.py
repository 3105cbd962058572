"""A process with every command imported, which forks for each that a test runs.

What runs is a process of its own, as a user's would be, but for the second of processor time that
the imports take. On each line of standard input stands what to do, in JSON: run a command to its
end, start one, or tell what became of one that was started. The answer to each is a number.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import select
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
import daemon.logs
import handlers.media.decoding
import handlers.media.rendering  # noqa: F401  imported before the fork, to save the time after it
from daemon.cli import main
from daemon.plugins import find_plugins

SECONDS = 60
"""No command that is run to its end takes so long."""


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
        self,
        arguments: list[str],
        stdin: bytes,
        environment: dict[str, str],
        folder: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run one to its end, in another folder if one is named."""
        with tempfile.TemporaryDirectory() as scratch:
            paths = [f"{scratch}/{name}" for name in ("stdin", "stdout", "stderr")]
            Path(paths[0]).write_bytes(stdin)
            code = self.ask("run", arguments, environment, str(folder or self._folder), paths)
            assert code != -signal.SIGALRM, f"it hangs: {arguments}"
            out, err = (Path(path).read_bytes().decode() for path in paths[1:])
        return subprocess.CompletedProcess(arguments, code, out, err)

    def start(self, arguments: list[str], environment: dict[str, str], stderr: Path) -> Started:
        """Start one that writes its diagnostics behind what stands in a file."""
        stderr.touch()
        paths = [os.devnull, os.devnull, str(stderr)]
        return Started(self, self.ask("start", arguments, environment, str(self._folder), paths))

    def ask(self, *wanted: Any) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(wanted), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())


class Started:
    """A command that was started: what the tests need of a `Popen`.

    Args:
        commands: whose child it is.
        pid: its process.
    """

    def __init__(self, commands: Commands, pid: int) -> None:
        self._commands = commands
        self._ended = os.pidfd_open(pid)
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._ended], [], [], 0)[0]:
            os.close(self._ended)
            self.returncode = self._commands.ask("end", self.pid)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            select.select([self._ended], [], [], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@cache
def commands(folder: Path) -> Commands:
    """The one of this process, for a folder."""
    return Commands(folder)


def become(arguments: list[str], environment: dict[str, str], folder: str, files: Any) -> NoReturn:
    """Be the command, from a fork to its end."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    writing = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    modes = (os.O_RDONLY, writing, writing)
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


def ended(pid: int) -> int:
    """Wait for a child, and tell its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def serve() -> None:
    """Fork for each line that asks for it; it ends with its standard input."""
    for package in (daemon.commands, daemon.checkups):
        for found in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{found.name}")
    find_plugins()
    lines = os.fdopen(os.dup(0), "r")
    for line in iter(lines.readline, ""):
        what, *wanted = json.loads(line)
        if what == "end":
            print(ended(*wanted), flush=True)
            continue
        pid = os.fork()
        if pid == 0:
            signal.alarm(SECONDS if what == "run" else 0)
            become(*wanted)
        print(ended(pid) if what == "run" else pid, flush=True)


if __name__ == "__main__":
    serve()
