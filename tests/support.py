"""A real daemon in a real process, and small helpers, for the tests of edges and stories."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.commands import Started, commands

PATIENCE = 30.0
"""Seconds after which a thing that should have happened counts as not happening."""

REPOSITORY = Path(__file__).parent.parent


def wait_until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Look until a condition holds, and return what it gave; fail with `what` if it never does."""
    ends = time.monotonic() + patience
    while not (found := condition()):
        if time.monotonic() > ends:
            raise AssertionError(f"never happened: {what}")
        time.sleep(0.005)
    return found


class Root:
    """A root folder and what a client does with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.inbox = path / "inbox"
        self.inbox.mkdir(parents=True, exist_ok=True)

    def drop(self, name: str, request: Any) -> Path:
        """Drop a request the documented way: written aside, renamed in."""
        data = request if isinstance(request, bytes) else json.dumps(request).encode()
        target = self.inbox / name
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = self.path / f".aside-{os.urandom(4).hex()}"
        aside.write_bytes(data)
        aside.rename(target)
        return target

    def result(self, name: str) -> dict[str, Any] | None:
        """The answer to a request, or None."""
        try:
            return json.loads(
                (self.inbox / f"{name.removesuffix('.json')}.result.json").read_text()
            )
        except FileNotFoundError:
            return None

    def wait_result(self, name: str, patience: float = PATIENCE) -> dict[str, Any]:
        """The answer to a request, once it is there."""
        return wait_until(lambda: self.result(name), f"a result for {name}", patience)

    def lines(self) -> list[dict[str, Any]]:
        """Every whole line of the event log, parsed."""
        found = []
        for segment in sorted((self.path / "events").glob("0*.jsonl")):
            for line in segment.read_bytes().split(b"\n")[:-1]:
                found.append(json.loads(line))
        return found

    def types(self, subject: str | None = None) -> list[str]:
        """The types of events in order, without prefix and version; of one request if named."""
        return [
            line["type"].removeprefix("darkroom.").removesuffix(".v1")
            for line in self.lines()
            if subject is None or line.get("subject") == subject
        ]


def command(root: Path, *arguments: str, module: str = "daemon") -> list[str]:
    return [sys.executable, "-m", module, *arguments, "--root", str(root)]


def environment(**more: str) -> dict[str, str]:
    """A clean environment: nothing of the tester's own settings reaches the daemon."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    kept["HOME"] = "/nonexistent"  # where a tester's own providers are configured
    return {**kept, "PYTHONPATH": str(REPOSITORY), "DARKROOM_SETTLE": "0.3", **more}


class Daemon:
    """`darkroom run` in a process of its own. Its diagnostics go to `<root>/stderr.log`.

    Args:
        root: what it serves.
        arguments: further arguments of the command.
        fresh: start a whole interpreter, as a user does; else it is forked behind the imports,
            which take a second of processor time.
        env: further variables of its environment.
    """

    def __init__(self, root: Path, *arguments: str, fresh: bool = False, **env: str) -> None:
        self.root = root
        self.stderr = root / "stderr.log"
        self.process = (_fresh if fresh else _forked)(
            ["run", *arguments, "--root", str(root)], environment(**env), self.stderr
        )

    def diagnostics(self) -> str:
        return self.stderr.read_text(errors="replace")

    def wait_serving(self, patience: float = PATIENCE) -> None:
        """Until it has taken the lock and looks at its inbox."""
        wait_until(
            lambda: (
                f'"pid": {self.process.pid}' in self.diagnostics()
                or self.process.poll() is not None
            ),
            "the daemon serves",
            patience,
        )
        assert self.process.poll() is None, self.diagnostics()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM, and its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self, patience: float = PATIENCE) -> int:
        return self.process.wait(patience)


def _fresh(
    arguments: list[str], env: dict[str, str], diagnostics: Path
) -> subprocess.Popen[bytes] | Started:
    with diagnostics.open("ab") as stderr:
        return subprocess.Popen(
            [sys.executable, "-m", "daemon", *arguments],
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            cwd=REPOSITORY,
        )


def _forked(
    arguments: list[str], env: dict[str, str], diagnostics: Path
) -> subprocess.Popen[bytes] | Started:
    return commands(REPOSITORY).start(arguments, env, diagnostics)


@contextmanager
def daemon(root: Path, *arguments: str, fresh: bool = False, **env: str) -> Iterator[Daemon]:
    """A daemon that serves for as long as the block, and then stops in good order."""
    running = Daemon(root, *arguments, fresh=fresh, **env)
    try:
        running.wait_serving()
        yield running
        if running.process.poll() is None:
            assert running.stop() == 0, running.diagnostics()
    finally:
        if running.process.poll() is None:
            running.kill()


def darkroom(
    root: Path, *arguments: str, stdin: bytes = b"", **env: str
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end; with a PYTHONPATH of its own in a fresh interpreter."""
    if "PYTHONPATH" not in env:
        return commands(REPOSITORY).run(
            [*arguments, "--root", str(root)], stdin, environment(**env)
        )
    done = subprocess.run(
        command(root, *arguments),
        env=environment(**env),
        input=stdin,
        capture_output=True,
        cwd=REPOSITORY,
        timeout=60,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def drain(root: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Answer everything that lies there."""
    done = darkroom(root, "run", "--drain", **env)
    assert done.returncode == 0, done.stderr
    return done
