"""The log's files: `events/00000001.jsonl` and so on; `events/current.jsonl` names the newest.

Reading checks every hash. A torn tail (bytes that a crash left behind the last whole line of the
newest segment) is moved to `events/quarantine/`; any other fault is corruption, which nobody but
a person may judge, so it is reported and nothing is changed.
"""

from __future__ import annotations

import os
import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import BinaryIO, NamedTuple

from daemon.clock import Clock
from daemon.errors import LogCorrupt
from daemon.events import FORMAT, Event, LogOpened, LogRepaired, Recorded
from daemon.files import sync_folder, write_all
from daemon.lines import NO_HASH, Draft, decode, draft, encode

CURRENT = "current.jsonl"
QUARANTINE = "quarantine"
_NAME = re.compile(r"^\d{8}\.jsonl$")


class Position(NamedTuple):
    """A line of the log: which one, its hash, and where it lies."""

    sequence: int
    hash: str
    segment: int
    begin: int
    end: int


_EVERY = 64
"""Of so many lines one is marked: a few more are read for each that is asked for, and a log of a
hundred million needs no gigabyte of memory."""


@dataclass(slots=True)
class Segment:
    """One file of the log, and where in it some of the lines begin."""

    path: Path
    first: int
    """The sequence of its first line."""
    lines: int = 0
    marks: array[int] | None = field(default_factory=lambda: array("Q"))
    """Where every `_EVERY`th line begins; None where nobody has looked yet."""

    @property
    def number(self) -> int:
        return int(self.path.stem)

    def add(self, offset: int) -> None:
        """Count one more line, which begins there."""
        if self.marks is not None and self.lines % _EVERY == 0:
            self.marks.append(offset)
        self.lines += 1

    def look(self) -> array[int]:
        """Find the marks in the file."""
        marks, offset = array("Q"), 0
        with self.path.open("rb") as file:
            for number, line in enumerate(islice(file, self.lines)):
                if number % _EVERY == 0:
                    marks.append(offset)
                offset += len(line)
        return marks


@dataclass(slots=True)
class Writing:
    """Lines being made for one write: they chain to the log's end, but are not written yet."""

    segment: int
    sequence: int
    prevhash: str
    source: str
    rotates: bool
    recorded: list[Recorded] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)

    def add(
        self,
        draft: Draft,
        time: str,
        event_id: str,
        subject: str | None = None,
        job: str | None = None,
    ) -> Recorded:
        """Chain one more line."""
        self.sequence += 1
        recorded = Recorded(self.sequence, event_id, time, subject, job, draft.event)
        line, self.prevhash = encode(recorded, self.source, self.prevhash, draft.data)
        self.recorded.append(recorded)
        self.lines.append(line)
        return recorded


def segment_paths(folder: Path) -> list[Path]:
    """The segments in a folder, in order.

    Raises:
        LogCorrupt: one in between is missing.
    """
    paths = sorted(path for path in folder.iterdir() if _NAME.match(path.name))
    for number, path in enumerate(paths, start=1):
        if int(path.stem) != number:
            raise LogCorrupt(f"{number:08d}.jsonl", "this segment of the log is missing")
    return paths


class Segments:
    """The files of one log; not safe for two threads, but for `get` and `read`.

    Args:
        folder: where they lie.
        limit: bytes at which the next write begins a new segment.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.root_id = ""
        self._folder = folder
        self._limit = limit
        self._segments: list[Segment] = []
        self._sequence = 0
        self._hash = NO_HASH
        self._begin = 0  # of the last line
        self._end = 0
        self._lock = Lock()  # on the marks
        self._torn: bytes = b""
        self._file = -1

    @property
    def head(self) -> str:
        """The hash of the last line: who notes it down can prove later that nothing before it
        was changed."""
        return self._hash

    @property
    def position(self) -> Position:
        """The last line."""
        number = self._segments[-1].number if self._segments else 0
        return Position(self._sequence, self._hash, number, self._begin, self._end)

    @property
    def torn(self) -> int:
        """Bytes of a torn tail that `load` found."""
        return len(self._torn)

    # ------------------------------------------------------------ reading

    def load(self, start: Position | None = None) -> Iterator[Recorded]:
        """Read everything, or all behind a position; check every line of that.

        Args:
            start: where to begin; it must `fit`.

        Raises:
            LogCorrupt: a line is wrong, and it is no torn tail of the newest segment.
        """
        paths = segment_paths(self._folder)
        for path in paths:
            if start is not None and int(path.stem) <= start.segment:
                self._skip(path, start)
                if int(path.stem) < start.segment:
                    continue
            else:
                self._segments.append(Segment(path, self._sequence + 1))
                self._end = 0
            self._torn = b""
            yield from self._load_segment(self._segments[-1], newest=path == paths[-1])

    def fits(self, start: Position) -> bool:
        """Whether this log holds the very line that a position names."""
        path = self._folder / f"{start.segment:08d}.jsonl"
        try:
            with path.open("rb") as file:
                file.seek(start.begin)
                line = file.read(start.end - start.begin)
            recorded, digest = decode(line, path.name)
        except (OSError, LogCorrupt):
            return False
        return (recorded.sequence, digest) == (start.sequence, start.hash)

    def _skip(self, path: Path, start: Position) -> None:
        """Take a segment as it is up to a position, without reading it."""
        with path.open("rb") as file:
            opened, _ = decode(file.readline(), f"{path.name}:1")
        if self._segments:
            self._segments[-1].lines = opened.sequence - self._segments[-1].first
        elif isinstance(opened.event, LogOpened):
            self.root_id = opened.event.root
        lines = start.sequence + 1 - opened.sequence
        self._segments.append(Segment(path, opened.sequence, lines, marks=None))
        self._sequence, self._hash, self._end = start.sequence, start.hash, start.end
        self._begin = start.begin

    def _load_segment(self, segment: Segment, *, newest: bool) -> Iterator[Recorded]:
        with segment.path.open("rb") as file:
            file.seek(self._end)
            for number, line in enumerate(file, start=segment.lines + 1):
                try:
                    recorded, digest = self._checked(line, number)
                except LogCorrupt as error:
                    self._torn = line + file.read()
                    if newest and _is_torn(self._torn):
                        return
                    raise LogCorrupt(f"{segment.path.name}:{number}", error.what) from None
                begin = self._end
                segment.add(begin)
                self._sequence, self._hash = recorded.sequence, digest
                self._begin, self._end = begin, begin + len(line)
                yield recorded

    def _checked(self, line: bytes, number: int) -> tuple[Recorded, str]:
        if line[-1:] != b"\n":
            raise LogCorrupt("", "the line is cut short")
        recorded, digest = decode(line, "", self._hash)
        if recorded.sequence != self._sequence + 1:
            raise LogCorrupt(
                "", f"sequence {recorded.sequence} follows {self._sequence}: lines are missing"
            )
        if number == 1:
            if not isinstance(recorded.event, LogOpened):
                raise LogCorrupt("", "a segment must begin with log.opened")
            if recorded.event.format != FORMAT:
                raise LogCorrupt("", f"log format {recorded.event.format} is not known here")
            self.root_id = self.root_id or recorded.event.root
        return recorded, digest

    def get(self, sequence: int) -> Recorded:
        """One event, by its sequence.

        Raises:
            KeyError: there is none.
        """
        index = bisect_right(self._segments, sequence, key=lambda segment: segment.first) - 1
        if index < 0 or sequence - self._segments[index].first >= self._segments[index].lines:
            raise KeyError(sequence)
        segment = self._segments[index]
        with segment.path.open("rb") as file:
            self._seek(file, segment, sequence - segment.first)
            return decode(file.readline(), f"{segment.path.name}, event {sequence}")[0]

    def read(self, after: int, last: int, kind: type[Event] | None = None) -> Iterator[Recorded]:
        """The events behind `after` up to and with `last`, in order; or those of one
        type."""
        wanted = f'"type":"{kind.TYPE}"'.encode() if kind is not None else b""
        for segment in tuple(self._segments):
            skip = max(0, after + 1 - segment.first)
            if skip >= segment.lines:
                continue
            with segment.path.open("rb") as file:
                self._seek(file, segment, skip)
                for number, line in enumerate(file, start=skip + 1):
                    if segment.first + number - 1 > last:
                        return
                    if wanted in line:
                        yield decode(line, f"{segment.path.name}:{number}")[0]

    def _seek(self, file: BinaryIO, segment: Segment, number: int) -> None:
        """Have the next line of a segment's file be the one with this number, from 0."""
        with self._lock:
            if segment.marks is None:
                segment.marks = segment.look()
            offset = segment.marks[number // _EVERY]
        file.seek(offset)
        for _ in range(number % _EVERY):
            file.readline()

    # ------------------------------------------------------------ writing

    def repair(self) -> LogRepaired | None:
        """Move a torn tail out of the newest segment, and open that for writing.

        Returns:
            What was done, to be put in the log; None where nothing was torn.
        """
        if not self._segments:
            return None
        segment = self._segments[-1]
        self._file = os.open(segment.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        repaired = self._quarantine(segment) if self._torn else None
        self._point_current_at(segment)
        return repaired

    def _quarantine(self, segment: Segment) -> LogRepaired:
        folder = self._folder / QUARANTINE
        folder.mkdir(exist_ok=True)
        place = folder / f"{segment.path.stem}-{self._end}.torn"
        with place.open("wb") as file:
            file.write(self._torn)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(folder)
        os.ftruncate(self._file, self._end)
        os.fsync(self._file)
        return LogRepaired(
            segment.path.name, self._end, len(self._torn), f"{QUARANTINE}/{place.name}"
        )

    def begin(self, clock: Clock) -> Writing:
        """Start on the lines of one write; the first of a segment is made here."""
        number = self._segments[-1].number if self._segments else 0
        # A segment whose own first line was torn has none yet; it is written now.
        headless = bool(self._segments) and not self._segments[-1].lines
        rotates = not self._segments or self._end >= self._limit
        self.root_id = self.root_id or clock.new_id()
        writing = Writing(
            number + rotates, self._sequence, self._hash, f"/darkroom/{self.root_id}", rotates
        )
        if rotates or headless:
            opened = LogOpened(self.root_id, FORMAT, writing.segment, self._hash)
            writing.add(draft(opened), clock.stamp(), clock.new_id())
        return writing

    def write(self, writing: Writing) -> None:
        """Write the lines, make them durable, and only then count them as there.

        Raises:
            OSError: with ENOSPC or EDQUOT nothing is written; with anything else the disk failed.
        """
        if writing.rotates:
            self._rotate(writing.segment)
        try:
            write_all(self._file, b"".join(writing.lines))
        except OSError:
            os.ftruncate(self._file, self._end)
            raise
        os.fdatasync(self._file)
        if writing.rotates:
            sync_folder(self._folder)
            self._point_current_at(self._segments[-1])
        with self._lock:
            for line in writing.lines:
                self._segments[-1].add(self._end)
                self._begin, self._end = self._end, self._end + len(line)
        self._sequence, self._hash = writing.sequence, writing.prevhash

    def _rotate(self, number: int) -> None:
        path = self._folder / f"{number:08d}.jsonl"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        file = os.open(path, flags, 0o644)
        if self._file >= 0:
            os.close(self._file)
        self._file = file
        self._end = 0
        self._segments.append(Segment(path, self._sequence + 1))

    def _point_current_at(self, segment: Segment) -> None:
        current = self._folder / CURRENT
        if current.is_symlink() and current.readlink().name == segment.path.name:
            return
        fresh = self._folder / f".{CURRENT}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(segment.path.name)
        fresh.rename(current)

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _is_torn(tail: bytes) -> bool:
    """Whether bytes behind the last good line are what a crash leaves.

    A killed process leaves a line without its end; a power cut may leave zeros, which no line
    holds. Anything else was acknowledged once and damaged later.
    """
    return b"\n" not in tail or b"\0" in tail
