"""Queue files: which lines of `queue.jsonl` are new. Reads, and changes nothing.

A queue may grow, be rewritten or be dropped again. A line is known by its content and by how often
it stands there, so what counts is what is there beyond what was ever taken. Where the file still
begins with all of that, everything behind it is new and nothing has to be compared.

New lines come in pieces, each small enough for memory, so that the first ones run while later ones
are read. In a piece stands before each line its number in the file, and a tab.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, Self

from daemon.errors import BadRequest
from daemon.files import Signature, open_at, signature_of
from daemon.strictjson import WHITE, parse_json

PIECE = 4 << 20
"""Bytes of lines that are taken together, or a little more."""

_BLOCK = 1 << 20


class Taken(NamedTuple):
    """What was taken of a queue before.

    Args:
        size: bytes of its file, up to the end of the last line that was read.
        prefix: their SHA-256.
        in_file: lines in them.
        total: lines that were ever taken.
        end: what they say of the queue's end, as `end_of` reads it.
        pieces: all that was ever taken, as pieces; read only where the file was rewritten.
    """

    size: int
    prefix: str
    in_file: int
    total: int
    end: Mapping[str, int] | None
    pieces: Callable[[], Iterable[bytes]]


class Piece(NamedTuple):
    """Lines of a queue that are new."""

    text: bytes
    lines: int
    known: int
    """Lines of the file so far that had been taken before this reading."""
    in_file: int
    """Lines of the file so far."""
    size: int
    """Bytes of the file so far, up to the end of the last line,"""
    prefix: str
    """and their SHA-256."""
    whole: str | None
    """SHA-256 of the whole file; None where it goes on."""
    end: bool = False
    expected: int | None = None
    rest: bool = False
    """Whether there are bytes behind the last line that are no line yet."""


def lines_of(piece: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines of a piece, each with its number in the file."""
    for numbered in piece.splitlines():
        number, _, line = numbered.partition(b"\t")
        yield int(number), line


def end_of(line: bytes) -> Mapping[str, int] | None:
    """What a line says of the queue's end (`{"end": true, "count": 3}`), or None: it is an item."""
    if b'"end"' not in line or len(line) > 200:
        return None
    try:
        value = parse_json(line)
    except BadRequest:
        return None
    if not isinstance(value, dict) or value.get("end") is not True or value.keys() - _END:
        return None
    count = value.get("count")
    sound = count is None or (isinstance(count, int) and not isinstance(count, bool) and count >= 0)
    return value if sound else None


_END = {"end", "count"}


def _identity(line: bytes) -> bytes:
    return hashlib.blake2b(line, digest_size=16).digest()


class QueueFile:
    """One reading of a queue's file, from its beginning to where it ends when that begins. For one
    thread at a time.

    Args:
        folder: the descriptor of the folder where it lies.
        name: its name there.
        judged: what the system says of it.
        taken: what was taken before, if anything.
        limit: bytes of the largest file.
        line_limit: bytes of the longest line; of a longer one so much and one more is kept, so
            that whoever reads it sees that it is too long.
        settled: whether it has rested, so that a last line without an end counts if it parses.

    Raises:
        OSError, Unreadable: as for `read_at`.
    """

    def __init__(
        self,
        folder: int,
        name: str,
        judged: os.stat_result,
        taken: Taken | None,
        *,
        limit: int,
        line_limit: int,
        settled: bool,
    ) -> None:
        self._descriptor = open_at(folder, name, judged, limit)
        self._judged = os.fstat(self._descriptor)
        self._line_limit = line_limit
        self._settled = settled
        self._before: Counter[bytes] = Counter()  # lines that were taken, and not met again yet
        self._known = self._in_file = 0
        self._end: Mapping[str, int] | None = None
        self.done = False
        self._begin()
        if taken is not None and taken.total and not self._skip(taken):
            self._begin()
            for piece in taken.pieces():
                self._before.update(_identity(line) for _, line in lines_of(piece))

    @property
    def signature(self) -> Signature:
        """What the file looked like when this reading began."""
        return signature_of(self._judged)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def _begin(self) -> None:
        self._place = self._size = self._number = 0
        self._all = hashlib.sha256()
        self._prefix = self._all.hexdigest()
        self._line = bytearray()  # begun, and not ended yet

    def _skip(self, taken: Taken) -> bool:
        """Go on behind what was taken, if the file still begins with all of it."""
        if taken.in_file < taken.total:  # some of it is gone, and may come back
            return False
        left, block = taken.size, b""
        while left and (block := self._read(min(left, _BLOCK))):
            self._all.update(block)
            self._number += block.count(b"\n")
            left -= len(block)
        self._size, self._prefix = self._place, self._all.hexdigest()
        if left or self._prefix != taken.prefix or self._is_within_a_line(block):
            return False
        self._known = self._in_file = taken.in_file
        self._end = taken.end
        return True

    def _is_within_a_line(self, block: bytes) -> bool:
        """Whether the last line that was taken had no end, and has become longer since."""
        ahead = os.pread(self._descriptor, 1, self._place)
        return not block.endswith(b"\n") and ahead not in (b"", b"\n", b"\r")

    def _read(self, size: int) -> bytes:
        left = self._judged.st_size - self._place
        block = os.pread(self._descriptor, min(size, left), self._place)
        self._place += len(block)
        return block

    # ------------------------------------------------------------ reading

    def next(self) -> Piece:
        """The next piece; `done` tells whether it is the last one, which may hold no line.

        Raises:
            BlockingIOError: the file was changed other than by appending to it; look again.
        """
        text: list[bytes] = []
        size = 0
        while size < PIECE and (block := self._read(_BLOCK)):
            for line in self._lines(block):
                text.append(line)
                size += len(line)
        if size < PIECE:
            text += self._last()
            self.done = True
        self._check()
        return self._piece(text)

    def _piece(self, text: list[bytes]) -> Piece:
        end = self._end
        return Piece(
            text=b"".join(text),
            lines=len(text),
            known=self._known,
            in_file=self._in_file,
            size=self._size,
            prefix=self._prefix,
            whole=self._all.hexdigest() if self.done else None,
            end=end is not None,
            expected=end.get("count") if end is not None else None,
            rest=self.done and bool(self._line.strip(WHITE)),
        )

    def _lines(self, block: bytes) -> Iterator[bytes]:
        """The new lines that end in a block."""
        cut = block.rfind(b"\n") + 1
        if cut:
            self._all.update(block[:cut])
            self._size, self._prefix = self._place - len(block) + cut, self._all.hexdigest()
            first, *others = block[: cut - 1].split(b"\n")
            self._go_on(first)
            first, self._line = bytes(self._line), bytearray()
            yield from self._new([first, *others])
            block = block[cut:]
        self._all.update(block)
        self._go_on(block)

    def _go_on(self, part: bytes) -> None:
        """Take in more of the line that has begun, as far as it can be of use."""
        room = self._line_limit + 1 - len(self._line)
        self._line += part[: max(room, 0)]

    def _last(self) -> list[bytes]:
        """The last line, if it has no end and counts all the same."""
        if not self._settled or not self._line.strip(WHITE):
            return []
        line = bytes(self._line)
        try:
            parse_json(line)
        except BadRequest:
            return []
        self._line = bytearray()
        self._size, self._prefix = self._place, self._all.hexdigest()
        return list(self._new([line]))

    def _new(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """Those of some lines that are items and were not taken before, as a piece holds them."""
        for line in lines:
            self._number += 1
            content = line[: self._line_limit + 1].strip(WHITE)
            if not content:
                continue
            if (end := end_of(content)) is not None:
                self._end = end
                continue
            self._in_file += 1
            if self._before and self._before[(identity := _identity(content))] > 0:
                self._before[identity] -= 1
                self._known += 1
                continue
            yield b"%d\t%b\n" % (self._number, content)

    def _check(self) -> None:
        """Make sure that what was read still stands there, where the file has changed since."""
        now = os.fstat(self._descriptor)
        if signature_of(now) == signature_of(self._judged):
            return
        digest, place = hashlib.sha256(), 0
        while place < self._place:
            block = os.pread(self._descriptor, min(_BLOCK, self._place - place), place)
            if not block:
                break
            digest.update(block)
            place += len(block)
        if digest.hexdigest() != self._all.hexdigest():
            raise BlockingIOError("it was changed while it was read")
