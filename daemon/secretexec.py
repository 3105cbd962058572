"""Secrets out of a command, as OpenClaw's configuration names one.

The command is run without a shell, in an environment that holds what was asked for and nothing
else. It is told on stdin what is wanted, and answers on stdout, in JSON:

    {"protocolVersion": 1, "provider": "vault", "ids": ["openai/key"]}
    {"protocolVersion": 1, "values": {"openai/key": "..."}, "errors": {}}

Whatever it says on stderr is thrown away, as it may repeat the secret.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import stat
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from handlers.contract import HandlerError


@dataclass(frozen=True, slots=True)
class Command:
    """A command that knows secrets, by an alias."""

    alias: str
    path: Path
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 5.0
    """Seconds."""
    limit: int = 1 << 20
    """Bytes that it may say."""
    json_only: bool = True
    """Whether an answer that is no JSON is refused, and not the secret itself."""
    may_be_link: bool = False
    trusted: tuple[Path, ...] = ()
    """Folders in one of which it must lie; empty for anywhere."""


def ask(command: Command, identifier: str) -> str:
    """The secret that a command knows by a name.

    Raises:
        HandlerError: `config_invalid`: it cannot be run, or did not tell.
    """
    where = f"the command {str(command.path)!r}"
    _judge(command, where)
    said = _run(command, _question(command, identifier), where)
    try:
        answer = json.loads(said)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        if command.json_only or not said:
            raise _failed(where, "did not answer with a JSON object")
        return answer if isinstance(answer, str) else said.decode("utf-8", "replace").strip()
    values = answer.get("values")
    secret = values.get(identifier) if isinstance(values, dict) else None
    if not isinstance(secret, str):
        raise _failed(where, f"told no secret called {identifier!r}")
    return secret


def _question(command: Command, identifier: str) -> bytes:
    question = {"protocolVersion": 1, "provider": command.alias, "ids": [identifier]}
    return json.dumps(question).encode() + b"\n"


def _judge(command: Command, where: str) -> None:
    """Whether it is a program that nobody else could have put there."""
    try:
        if command.path.is_symlink() and not command.may_be_link:
            raise _failed(where, "is a link")
        real = command.path.resolve(strict=True)
        status = real.stat()
    except (OSError, ValueError, RuntimeError):
        raise _failed(where, "is not there") from None
    if not stat.S_ISREG(status.st_mode):
        raise _failed(where, "is no regular file")
    if status.st_mode & 0o022 or status.st_uid not in (0, os.geteuid()):
        raise _failed(where, "can be changed by others")
    trusted = [folder.resolve() for folder in command.trusted]
    if trusted and not any(real.is_relative_to(folder) for folder in trusted):
        raise _failed(where, "lies in no trusted folder")


def _run(command: Command, question: bytes, where: str) -> bytes:
    try:
        process = subprocess.Popen(  # noqa: S603 -- the user's own, judged, behind a switch
            [str(command.path), *command.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(command.environment),
            cwd=command.path.parent,
            start_new_session=True,
            bufsize=0,
        )
    except (OSError, ValueError) as error:
        raise _failed(where, f"cannot be run: {type(error).__name__}") from None
    with process:
        try:
            said = _converse(process, question, command, where)
            code = _ended(process, command.timeout, where)
        except BaseException:  # it goes with all that it started
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    if code != 0:
        raise _failed(where, f"ended with the code {code}")
    return said


def _converse(
    process: subprocess.Popen[bytes], question: bytes, command: Command, where: str
) -> bytes:
    """Ask, and listen until all is said. A question is far smaller than a pipe."""
    if process.stdin is None or process.stdout is None:
        raise TypeError("both are pipes")
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(question)
    process.stdin.close()
    said, until = b"", time.monotonic() + command.timeout
    while len(said) <= command.limit:
        left = max(0.0, until - time.monotonic())
        if not select.select([process.stdout], [], [], left)[0]:
            raise _late(where, command.timeout)
        part = os.read(process.stdout.fileno(), 65536)
        if not part:
            return said
        said += part
    raise _failed(where, f"said more than {command.limit} bytes")


def _ended(process: subprocess.Popen[bytes], timeout: float, where: str) -> int:
    try:
        return process.wait(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise _late(where, timeout) from None


def _late(where: str, timeout: float) -> HandlerError:
    return _failed(where, f"did not answer within {timeout:g} s")


def _failed(where: str, what: str) -> HandlerError:
    return HandlerError(
        "config_invalid", f"{where} {what}", hints=("Run it by hand, and mend what it says.",)
    )
