"""Queue files: each line is taken once, by its content and how often it stands there."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon import queuefiles
from daemon.files import Unreadable
from daemon.queuefiles import Piece, QueueFile, Taken, end_of, lines_of
from tests.examples import examples


class Reader:
    """Reads one queue again and again, and remembers what was taken, as the daemon does."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "q.jsonl"
        self.pieces: list[Piece] = []

    @property
    def taken(self) -> Taken | None:
        if not self.pieces:
            return None
        last = self.pieces[-1]
        total = sum(piece.lines for piece in self.pieces)
        end: Any = None
        if last.end:
            end = {"end": True} | ({} if last.expected is None else {"count": last.expected})
        texts = [piece.text for piece in self.pieces]
        return Taken(last.size, last.prefix, last.in_file, total, end, lambda: texts)

    def read(self, *, settled: bool = True, limit: int = 1 << 30) -> list[tuple[int, bytes]]:
        """What is new."""
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            status = os.stat(self.path)
            new: list[Piece] = []
            with QueueFile(
                folder, "q.jsonl", status, self.taken, limit=limit, line_limit=50, settled=settled
            ) as file:
                while not file.done:
                    new.append(file.next())
        finally:
            os.close(folder)
        self.pieces += new
        return [line for piece in new for line in lines_of(piece.text)]

    def write(self, data: bytes) -> None:
        self.path.write_bytes(data)

    def lines(self) -> list[bytes]:
        return [line for _, line in self.read()]


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


def test_lines_come_with_their_numbers_and_blank_ones_do_not_count(reader: Reader) -> None:
    reader.write(b'{"a":1}\n\n  \r\n {"a":2} \r\n')
    assert reader.read() == [(1, b'{"a":1}'), (4, b'{"a":2}')]


def test_only_what_was_appended_is_new(reader: Reader) -> None:
    reader.write(b"1\n2\n")
    reader.read()
    reader.write(b"1\n2\n2\n3\n")
    assert reader.read() == [(3, b"2"), (4, b"3")]
    assert (reader.pieces[-1].known, reader.pieces[-1].in_file) == (2, 4)


def test_the_same_file_again_holds_nothing_new(reader: Reader) -> None:
    reader.write(b"1\n2\n")
    reader.read()
    assert reader.read() == []
    whole = hashlib.sha256(b"1\n2\n").hexdigest()
    assert [piece.whole for piece in reader.pieces] == [whole, whole]


def test_the_same_line_twice_is_two_and_a_third_time_one_more(reader: Reader) -> None:
    reader.write(b"1\n1\n")
    assert len(reader.read()) == 2
    reader.write(b"2\n1\n1\n1\n")  # rewritten
    assert reader.read() == [(1, b"2"), (4, b"1")]
    assert reader.pieces[-1].known == 2


def test_a_file_that_is_written_anew_piece_by_piece_repeats_nothing(reader: Reader) -> None:
    reader.write(b"1\n2\n3\n")
    reader.read()
    for part in (b"", b"1\n", b"1\n2\n", b"1\n2\n3\n4\n"):
        reader.write(part)
        new = reader.lines()
    assert new == [b"4"]


def test_a_last_line_without_an_end_counts_once_it_parses_and_has_rested(reader: Reader) -> None:
    reader.write(b'1\n{"a"')
    assert reader.lines() == [b"1"]
    assert reader.pieces[-1].rest
    reader.write(b'1\n{"a":1}')
    assert reader.read(settled=False) == []
    assert reader.lines() == [b'{"a":1}']
    assert not reader.pieces[-1].rest
    reader.write(b'1\n{"a":1}\n2\n')
    assert reader.read() == [(3, b"2")]


def test_an_end_is_no_item_and_is_remembered(reader: Reader) -> None:
    reader.write(b'1\n{"end": true, "count": 3}\n')
    assert reader.lines() == [b"1"]
    assert (reader.pieces[-1].end, reader.pieces[-1].expected) == (True, 3)
    reader.read()
    assert (reader.pieces[-1].end, reader.pieces[-1].expected) == (True, 3)
    reader.write(b"1\n2\n")
    reader.read()
    assert not reader.pieces[-1].end


@pytest.mark.parametrize(
    "line",
    [
        b'{"end": false}',
        b'{"end": true, "prompt": "the end"}',
        b'{"end": true, "count": -1}',
        b'{"end": true, "count": true}',
        b'{"prompt": "\\"end\\""}',
        b'["end"]',
        b'{"end": true',
    ],
)
def test_what_only_looks_like_an_end_is_an_item(line: bytes) -> None:
    assert end_of(line) is None


def test_a_line_that_is_too_long_is_cut_where_that_can_be_seen(reader: Reader) -> None:
    reader.write(b"1\n" + b"x" * 5000 + b"\n2\n")
    assert [len(line) for line in reader.lines()] == [1, 51, 1]


def test_a_large_queue_comes_in_pieces(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queuefiles, "PIECE", 100)
    monkeypatch.setattr(queuefiles, "_BLOCK", 64)
    lines = [b"%d" % number for number in range(200)]
    reader.write(b"\n".join(lines) + b"\n")
    assert reader.lines() == lines
    assert len(reader.pieces) > 5
    for piece in reader.pieces:
        size = piece.size
        assert piece.prefix == hashlib.sha256(reader.path.read_bytes()[:size]).hexdigest()
    assert [piece.whole is None for piece in reader.pieces[:-1]] == [True] * (
        len(reader.pieces) - 1
    )


def test_a_file_that_was_changed_under_its_reader_is_read_again(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queuefiles, "PIECE", 4)
    monkeypatch.setattr(queuefiles, "_BLOCK", 4)
    reader.write(b"11\n22\n33\n")
    folder = os.open(reader.path.parent, os.O_RDONLY)
    status = os.stat(reader.path)
    options: Any = {"limit": 100, "line_limit": 50, "settled": True}
    with QueueFile(folder, "q.jsonl", status, None, **options) as file:
        file.next()
        with reader.path.open("ab") as more:  # it grew: what was read still stands
            more.write(b"44\n")
        assert file.next().in_file > 0
        reader.write(b"99\n22\n33\n")
        with pytest.raises(BlockingIOError):
            file.next()
    os.close(folder)


def test_a_queue_that_is_too_large_is_not_read(reader: Reader) -> None:
    reader.write(b"1\n" * 100)
    with pytest.raises(Unreadable, match="larger than the limit of 100 bytes"):
        reader.read(limit=100)


LINES = st.sampled_from([b"1", b"2", b"3", b'{"a":1}', b"no json", b"", b'{"end":true}'])


@settings(max_examples=examples(200), deadline=None)
@given(
    st.lists(st.tuples(st.lists(LINES, max_size=8), st.integers(0, 40), st.booleans()), max_size=8),
    st.integers(1, 9),
)
def test_no_line_is_taken_twice_and_none_is_lost(
    tmp_path_factory: pytest.TempPathFactory,
    steps: Sequence[tuple[list[bytes], int, bool]],
    block: int,
) -> None:
    """Whatever is appended, rewritten or cut at any byte: of each content as many were taken as
    ever stood there at once."""
    reader = Reader(tmp_path_factory.mktemp("queue"))
    taken: Counter[bytes] = Counter()
    wanted: Counter[bytes] = Counter()
    data = b""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queuefiles, "PIECE", block)
        patch.setattr(queuefiles, "_BLOCK", block)
        for lines, cut, append in steps:
            new = b"".join(line + b"\n" for line in lines)
            data = data + new if append else new[: max(0, len(new) - cut)]
            reader.write(data)
            taken.update(reader.lines())
            wanted |= _items_in(data)
            assert taken == wanted


def _items_in(data: bytes) -> Counter[bytes]:
    *whole, rest = data.split(b"\n")
    lines = [line for line in whole if line and end_of(line) is None]
    if rest in (b"1", b"2", b"3", b'{"a":1}'):  # it parses
        lines.append(rest)
    return Counter(lines)
