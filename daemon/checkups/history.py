"""The log, the clock that dates it, and the process that writes it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from daemon.checkups import Finding, fault, ok, warning
from daemon.clock import SystemClock, parse_rfc3339
from daemon.errors import LogError
from daemon.events import Recorded
from daemon.lines import decode
from daemon.locks import lock_holder
from daemon.segments import segment_paths
from daemon.settings import Settings

_CHUNK = 64 << 10
_EARLIEST = datetime(2025, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(minutes=1)


def lock(settings: Settings) -> Finding:
    """Which process serves the root."""
    holder = lock_holder(settings.lock)
    if holder is None:
        return ok("no daemon runs")
    return ok(f"served by process {holder}" if holder else "a daemon is just starting")


# ---------------------------------------------------------------- the log


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a log."""

    last: Recorded | None
    """The newest event, where the newest segment has a whole one."""
    torn: int
    """Bytes behind it that are no whole line."""


def tail_of(folder: Path) -> Tail:
    """Read the end of a log, and only that.

    Raises:
        LogCorrupt: a segment is missing, or the last line is not what was once written.
        OSError: it cannot be read.
    """
    paths = segment_paths(folder)
    if not paths:
        return Tail(None, 0)
    line, torn = last_line(paths[-1])
    last = decode(line, f"{paths[-1].name}, last line")[0] if line else None
    return Tail(last, torn)


def last_line(path: Path) -> tuple[bytes, int]:
    """The last whole line of a file, and how many bytes come behind it."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        start = end
        while True:
            start = max(0, end - 2 * (end - start) - _CHUNK)
            file.seek(start)
            lines, newline, torn = file.read(end - start).rpartition(b"\n")
            _, before, line = lines.rpartition(b"\n")
            if before or start == 0:
                return line + newline, len(torn)


def log(settings: Settings) -> Finding:
    """Whether the log can be read, and ends with a whole line."""
    try:
        tail = tail_of(settings.events)
    except LogError as error:
        return fault(str(error), "run `darkroom verify`; docs/architecture.md says what to do then")
    served = lock_holder(settings.lock) is not None  # then it may just be writing
    return judge_tail(tail, served=served)


def judge_tail(tail: Tail, *, served: bool) -> Finding:
    if tail.last is None:
        found = "no events yet"
    else:
        found = f"{tail.last.sequence:,} events, the newest of {tail.last.time}"
    if tail.torn and not served:
        return warning(
            f"{found}, and {tail.torn} bytes behind them that a crash cut short",
            "nothing to do: the next start moves them to events/quarantine/",
        )
    return ok(f"{found}; `darkroom verify` checks every line")


# ---------------------------------------------------------------- the clock


def clock(settings: Settings) -> Finding:
    """Whether the machine's time can be right."""
    try:
        last = tail_of(settings.events).last
    except (LogError, OSError):  # there is none yet, or another check tells of it
        last = None
    return judge_clock(SystemClock().now(), parse_rfc3339(last.time) if last is not None else None)


def judge_clock(now: datetime, newest: datetime | None) -> Finding:
    found = f"it is {now:%Y-%m-%d %H:%M:%S} UTC"
    if now < _EARLIEST:
        return fault(f"{found}, which it cannot be", "set the clock: timedatectl set-ntp true")
    if newest is not None and newest > now + _AHEAD:
        return warning(
            f"{found}, and the newest event is of {newest:%Y-%m-%d %H:%M:%S}, still to come",
            "set the clock: timedatectl set-ntp true; if it is right now, it was wrong then",
        )
    return ok(found)
