"""What a client does: drop a request, wait for its answer. The commands do nothing that a shell
script could not do with `mv` and a loop; only `rebuild` writes in the daemon's stead."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from daemon.clock import SystemClock
from daemon.errors import UsageError
from daemon.files import Unreadable, name_to_text, publish, read_whole, remove_beneath, text_to_name
from daemon.inbox import REQUESTS, concerns_us
from daemon.jobs import Job, parent_of
from daemon.locks import RootLock, lock_holder
from daemon.reading import load, look
from daemon.requests import digest_of
from daemon.results import Put, ResultFolder, result_parts
from daemon.settings import Settings
from daemon.state import State

_LARGEST = 1 << 30
"""Bytes of a result, which may be one of a large batch; what is larger is none of ours."""

_PATIENCE = (0.01, 0.02, 0.05, 0.1)
"""Seconds between two looks for an answer; the last one repeats."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A request that was dropped: its name and the digest of its bytes."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A result, as it stands in its file."""

    text: str
    ok: bool
    named: bool
    """Whether it names the bytes that it answers."""


def read_request(file: str) -> bytes:
    """The bytes of a file, or of standard input for "-".

    Raises:
        UsageError: it cannot be read.
    """
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: {(error.strerror or '').lower()}") from None


def name_for(file: str) -> str:
    """The name under which a file is dropped: its own, or a fresh one for standard input."""
    return (
        f"request-{SystemClock().new_id()}.json" if file == "-" else name_to_text(Path(file).name)
    )


def check_served(settings: Settings) -> None:
    """Make sure that somebody will answer.

    Raises:
        UsageError: no daemon serves the root.
    """
    if lock_holder(settings.lock) is None:
        raise UsageError(
            f"no daemon serves {settings.root}, so nobody would answer; "
            f"start `darkroom run --root {settings.root}`, or submit without --wait"
        )


def drop(settings: Settings, data: bytes, name: str) -> Dropped:
    """Put a request in the inbox, whole. An older answer under that name is removed first, unless
    it answers these very bytes.

    Raises:
        UsageError: the daemon would not look at a file of that name.
    """
    if (
        not (concerns_us(name) and name.endswith(REQUESTS))
        or ".." in name.split("/")
        or name.startswith("/")
    ):
        raise UsageError(
            f"{name!r} is no name for a request: it ends in .json or .jsonl, "
            "is not hidden, and is no result's; choose one with --name"
        )
    dropped = Dropped(name, digest_of(data))
    parts = tuple(text_to_name(name).split("/"))
    answer = _answer(settings, dropped)
    if answer is None or not answer.named:  # of what could not be read then; this can be
        remove_beneath(settings.inbox, result_parts(name))
    _place(settings, data, parts)
    return dropped


def _place(settings: Settings, data: bytes, parts: tuple[str, ...]) -> None:
    # A hidden name on the inbox's own filesystem: ignored until it gets its real one.
    staged = settings.inbox / f".{os.getpid()}-{os.urandom(4).hex()}.tmp"
    try:
        settings.inbox.mkdir(parents=True, exist_ok=True)
        staged.write_bytes(data)
        publish(staged, settings.inbox, parts, make=True)
    except OSError as error:
        with suppress(OSError):
            staged.unlink()
        place = settings.inbox.joinpath(*parts)
        raise UsageError(f"{place}: {(error.strerror or '').lower()}") from None


def wait_for(
    settings: Settings,
    dropped: Dropped,
    timeout: float | None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Answer:
    """Wait until the answer to these very bytes is there.

    Args:
        settings: which root.
        dropped: what is to be answered.
        timeout: seconds to wait; None for ever.
        meanwhile: called between two looks.

    Raises:
        UsageError: none came in time.
    """
    ends = time.monotonic() + timeout if timeout is not None else float("inf")
    patience = iter(_PATIENCE)
    pause = next(patience)
    while (answer := _answer(settings, dropped)) is None:
        if time.monotonic() >= ends:
            raise UsageError(f"no answer to {dropped.name} within {timeout:g} s; it goes on")
        meanwhile()
        time.sleep(pause)
        pause = next(patience, pause)
    return answer


def _answer(settings: Settings, dropped: Dropped) -> Answer | None:
    try:
        text = read_whole(settings.inbox, result_parts(dropped.name), _LARGEST)[0].decode("utf-8")
        result = json.loads(text)
        named = result["request_sha256"]
        if named not in (dropped.sha256, None):
            return None
        return Answer(text, bool(result["ok"]), named is not None)
    except (OSError, Unreadable, ValueError, KeyError, TypeError):
        return None


def control(settings: Settings, wanted: str, verb: str) -> str:
    """Drop a control file.

    Args:
        settings: which root.
        wanted: the name of a request, or of an item of a batch, or a job.
        verb: "retry" or "cancel".

    Returns:
        What to tell.

    Raises:
        UsageError: the log knows no such request, or it is an item that cannot be meant.
    """
    reading = look(settings)
    name, drop = reading.find(wanted)
    item = reading.state.jobs.get(drop.job or "")
    if item is not None and item.batch is not None:
        _check_item(reading.state, item, verb)
    stem = name.removesuffix(".json")
    # What is left of x.json.json would mean x.json.
    file = f"{name if stem.endswith(REQUESTS) else stem}.{verb}"
    _place(settings, b"", tuple(text_to_name(file).split("/")))
    served = lock_holder(settings.lock) is not None
    return f"inbox/{file}" + ("" if served else " (no daemon runs; the next one will obey)")


def _check_item(state: State, item: Job, verb: str) -> None:
    """Make sure that a control file reaches this very item, and that it can be run again."""
    newest = state.item_named(item.name)
    if newest is None or newest.id != item.id:
        raise UsageError(
            f"{item.id} is an item of an older {parent_of(item.name)[0]}: "
            f"to {verb} {item.name} would be about the newest one"
        )
    if verb == "retry" and item.status == "rejected":
        raise UsageError(
            f"{item.name} was refused ({item.error}), so it cannot be run again: "
            f"mend it in {parent_of(item.name)[0]}, and drop that again"
        )


def rebuild(settings: Settings) -> str:
    """Write every result again, and the rows of every queue.

    Raises:
        RootBusy: a daemon serves the root, and would write them as well.
    """
    from daemon.rowfiles import restore  # with all that writes; nobody else here needs it

    state, segments = load(settings)
    staging = settings.private / "staging"
    for folder in (staging, settings.inbox):
        folder.mkdir(parents=True, exist_ok=True)
    lock = RootLock(settings.lock)
    lock.take()
    try:
        rows, placeless = restore(settings.inbox, state, segments)
        items = list(_owed(state))
        done = ResultFolder(settings.inbox, staging, settings.output, segments.get).work(items)
    finally:
        lock.release()
    failed = [
        item.name for item, one in zip(items, done, strict=True) if isinstance(one, Exception)
    ]
    written = sum(1 for one in done if not isinstance(one, Exception) and one.written)
    text = f"{written} results written, {len(items) - written - len(failed)} were whole"
    text += f", the rows of {rows} queue{'s' if rows > 1 else ''} written" if rows else ""
    failed += [f"the rows of {name}" for name in placeless]
    return text + (f", no place for: {', '.join(failed)}" if failed else "")


def _owed(state: State) -> Iterator[Put]:
    """The answers to all that was dropped and has been answered."""
    for name in state.drops:
        drop = state.newest(name)
        job = state.jobs.get(drop.job or "") if drop is not None else None
        answers = job.last if job is not None else drop.event if drop is not None else 0
        if drop is not None and answers:
            yield Put(name, drop, answers, unless_whole=True)
