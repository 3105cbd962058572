"""Looking into a clip, in a process that has little to lose.

The process gets the clip as its stdin, an environment that holds nothing, no other descriptor, and
so much time. It answers as `handlers.media.inspecting` says; what it says is judged like anything
else that comes from outside, for whoever took it over could say whatever he likes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

from pydantic import TypeAdapter

import handlers
from handlers.contract import ClipDescription, ErrorCode, HandlerError, Json

MOST_SAID = 64 << 20
"""Bytes of an answer, poster included."""

_RUN = """
import runpy, sys
place, module = sys.argv[1:3]
del sys.argv[1:3]
if place not in sys.path:
    sys.path.insert(0, place)
runpy.run_module(module, run_name="__main__")
"""
"""How it begins. Python's own `-m` would need our folder in a variable, in front of all others."""

_DESCRIPTION = TypeAdapter(ClipDescription)
_MEDIA_TYPE = re.compile(r"video/[a-z0-9.+-]{1,40}")
_EXTENSION = re.compile(r"\.[a-z0-9]{1,5}")
_NONSENSE = "gives an answer that makes no sense"


@dataclass(frozen=True, slots=True)
class ClipLimits:
    """What a clip may be, and what may be spent on looking into it."""

    pixels: int = 40_000_000
    """Width times height of one frame."""
    seconds: float = 600.0
    frames: int = 36_000
    memory: int = 1 << 30
    """Bytes, beside twice those of the clip."""
    cpu: int = 60
    """Seconds of computing."""


class Prober:
    """What looks into clips.

    Args:
        module: the one that is run as a program, "handlers.media.inspecting".
        limits: of a clip, and of the process.
        timeout: seconds that all of it may take, on a machine that has other things to do too.
        at_once: how many clips at a time; the others wait.
    """

    def __init__(
        self, module: str, limits: ClipLimits, timeout: float = 180.0, at_once: int = 2
    ) -> None:
        place = str(Path(handlers.__file__).parents[1])
        limited = json.dumps(asdict(limits))
        self._command = (sys.executable, "-I", "-c", _RUN, place, module, limited)
        self._timeout = timeout
        self._places = asyncio.Semaphore(at_once)

    async def probe(self, clip: bytes | Path) -> tuple[ClipDescription, bytes]:
        """What a clip is, and its poster.

        Args:
            clip: its bytes, or a file of ours that holds them.

        Raises:
            HandlerError: `unreadable_media`, `too_large`; `not_supported` where nothing that reads
                clips is installed; `internal` where it cannot be started.
        """
        async with self._places, _ear() as (ear, mouth):
            with _stdin(clip) as source:
                process = await self._started(source, mouth)
            try:
                async with asyncio.timeout(self._timeout):
                    said = await _heard(ear)
                    code = await process.wait()
            except TimeoutError:
                raise _too_slow(f"{self._timeout:g} s") from None
            finally:
                await _ended(process)
        if code != 0:
            raise _died(code)
        return _read(said)

    async def _started(self, source: int, mouth: int) -> asyncio.subprocess.Process:
        """The process; `mouth`, which is its own from now on, is closed here."""
        try:
            return await asyncio.create_subprocess_exec(
                *self._command,
                stdin=source,
                stdout=mouth,
                stderr=asyncio.subprocess.DEVNULL,
                env={"LC_ALL": "C.UTF-8"},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise HandlerError("internal", f"no process for the clip: {error}") from None
        finally:
            os.close(mouth)


@contextlib.asynccontextmanager
async def _ear() -> AsyncIterator[tuple[asyncio.StreamReader, int]]:
    """A reader, and the descriptor that writes to it. It is a pipe of our own, so that nobody who
    holds its other end keeps us waiting for longer than we want."""
    reading, mouth = os.pipe()
    ear = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(ear), os.fdopen(reading, "rb", buffering=0)
    )
    try:
        yield ear, mouth
    finally:
        transport.close()


@contextlib.contextmanager
def _stdin(clip: bytes | Path) -> Iterator[int]:
    """A descriptor from which the clip can be read; it is no pipe, so nobody has to feed it."""
    if isinstance(clip, Path):
        descriptor = os.open(clip, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    else:
        descriptor = os.memfd_create("clip", os.MFD_CLOEXEC)
    try:
        if isinstance(clip, bytes):
            with open(descriptor, "wb", closefd=False) as file:
                file.write(clip)
            os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


async def _heard(ear: asyncio.StreamReader) -> bytes:
    """All that it says."""
    said = bytearray()
    while part := await ear.read(1 << 16):
        said += part
        if len(said) > MOST_SAID:
            raise _unreadable("says more than it may")
    return bytes(said)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """It is over, with all that it started."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


# ---------------------------------------------------------------- what it says


def _read(said: bytes) -> tuple[ClipDescription, bytes]:
    line, _, poster = said.partition(b"\n")
    try:
        answer = json.loads(line)
        if "error" in answer:
            raise _refusal(answer["error"])
        description = _DESCRIPTION.validate_json(json.dumps(answer["description"]), strict=True)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _unreadable(_NONSENSE) from None
    if answer.get("poster") != len(poster) or not poster or not _is_possible(description):
        raise _unreadable(_NONSENSE)
    return description, poster


def _is_possible(description: ClipDescription) -> bool:
    """Whether there may be such a clip; its extension becomes part of a name."""
    sizes = description.width, description.height, description.frames
    return (
        description.kind == "video"
        and _MEDIA_TYPE.fullmatch(description.media_type) is not None
        and _EXTENSION.fullmatch(description.extension) is not None
        and all(size > 0 for size in sizes)
        and 0 < description.seconds < math.inf
        and 0 < description.fps < math.inf
    )


def _refusal(error: Json) -> HandlerError:
    code, message, hints = error["code"], error["message"], error["hints"]
    known = code in get_args(ErrorCode)
    if not (known and isinstance(message, str) and all(isinstance(hint, str) for hint in hints)):
        raise ValueError("no such error")
    return HandlerError(code, message, hints=hints)


def _died(code: int) -> HandlerError:
    """It ended, and not of itself; a negative code is that of a signal."""
    if code > 0:
        return HandlerError("internal", f"what looks into clips cannot be run: code {code}")
    if -code == signal.SIGXCPU:
        return _too_slow("its time of computing")
    if -code == signal.SIGKILL:
        return HandlerError(
            "too_large", "what looked into the clip was killed, maybe for its memory"
        )
    return _unreadable(f"crashes: {signal.Signals(-code).name}")


def _too_slow(time: str) -> HandlerError:
    return HandlerError("too_large", f"the clip could not be looked into within {time}")


def _unreadable(what: str) -> HandlerError:
    return HandlerError(
        "unreadable_media",
        f"what the provider sent is no clip that can be used: what looks into it {what}",
        hints=["Retry asks the provider for another one."],
    )
