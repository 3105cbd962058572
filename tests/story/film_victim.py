"""A real daemon that has clips made over HTTP, and kills itself with SIGKILL at a chosen line of its
log: as soon as that line is there, or with half of it written.

A line that was written outlives the process, whatever was synced; a batch of lines is cut just
behind the chosen one. So there is a death at every event, also where many share one write.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import av.subtitles.stream  # noqa: F401  imported before the fork, to save the time after it
import httpx  # noqa: F401  the same

import daemon.segments
from daemon.probing import Prober
from handlers.contract import ClipDescription
from handlers.media.clips import Limits, describe_clip
from handlers.media.posters import poster_of
from tests.story.paid_victim import KEY
from tests.story.victim import FOUND, begin, live, spawn

LIMITS = Limits(40_000_000, 600.0, 36_000)
HELD = 0.1
"""Seconds that a slow disk takes over the line of which half is written: whoever does not wait for
an event to be durable goes on meanwhile, and is found out."""


class Death(NamedTuple):
    """When a daemon dies."""

    line: int
    """Which line of its life, from 1."""
    torn: bool = False
    """With half of that line written, and not when it is there."""
    kind: str = ""
    """The type of the lines that are counted ("provider.accepted"); all are, if it is empty."""


def run(root: Path, death: Death | None = None) -> int:
    """Run a victim to its end; its exit code, -9 if it was killed."""
    line, torn, kind = death or Death(0)
    return spawn(root, line, "tests.story.film_victim", torn=torn, kind=kind)


def dying(death: Death, write: Callable[[int, bytes], None]) -> Callable[[int, bytes], None]:
    """What writes lines to the log, until death."""
    passed = 0

    def until_death(file: int, data: bytes) -> None:
        nonlocal passed
        written = 0
        for line in data.splitlines(keepends=True):
            passed += death.kind in ("", kind_of(line))
            if passed == death.line:
                if death.torn:
                    write(file, data[: written + len(line) // 2])
                    time.sleep(HELD)
                else:
                    write(file, data[: written + len(line)])
                os.kill(os.getpid(), signal.SIGKILL)
            written += len(line)
        write(file, data)

    return until_death


def kind_of(line: bytes) -> str:
    """The type of an event, without prefix and version."""
    kind: str = json.loads(line)["type"]
    return kind.removeprefix("darkroom.").removesuffix(".v1")


async def probed(_: Prober, clip: bytes | Path) -> tuple[ClipDescription, bytes]:
    """What a clip is, decoded here: a process for each clip would be nearly all that a story of
    twenty costs, and hundreds are told. `test_film_kills` tells others with these processes."""

    def look() -> tuple[ClipDescription, bytes]:
        data = clip.read_bytes() if isinstance(clip, Path) else clip
        return describe_clip(data, LIMITS), poster_of(data, LIMITS)

    return await asyncio.to_thread(look)


def serve(root: str, line: int, arguments: dict[str, Any]) -> None:
    """The victim's whole life; the target of a process."""
    path = Path(root)
    begin(path, 0)
    os.environ["PAPER_KEY"] = KEY
    death = Death(line, arguments.pop("torn"), arguments.pop("kind"))
    daemon.segments.write_all = dying(death, daemon.segments.write_all)
    Prober.probe = probed  # type: ignore[method-assign]
    live(path, FOUND, poll_seconds=0.01, poll_seconds_max=0.03, **arguments)
