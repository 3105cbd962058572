"""Where the items of a batch come from."""

from __future__ import annotations

import asyncio
from pathlib import Path

from daemon.batch import Batch, extended
from daemon.blobs import BlobStore
from daemon.events import QueueExtended
from daemon.items import Wanted
from daemon.sources import QueueSource
from daemon.testing import FrozenClock, MemoryEventLog


def piece(first: int, lines: int) -> QueueExtended:
    """So many lines of a queue, each a number that tells which it is."""
    numbers = range(first, first + lines)
    text = "".join(f'{number}\t{{"item": {number}}}\n' for number in numbers)
    in_file = first + lines - 1
    return QueueExtended("", 1, "p", lines, 0, in_file, text, None, False, None, rest=False)


def taken(blobs: BlobStore, admitted: int, most: int, *lines: int) -> list[int]:
    """The numbers of the items that are taken of a queue that came in such pieces."""

    async def take() -> list[int]:
        log, batch, first = MemoryEventLog(FrozenClock()), Batch("q", 0), 1
        for count in lines:
            (recorded,) = await log.append(None, None, [piece(first, count)])
            batch = extended(batch, "q", recorded.sequence, piece(first, count))
            first += count
        source = QueueSource("q.jsonl", log, blobs, 1000, lambda value, n: Wanted(n, value))
        found = source.take(batch._replace(admitted=admitted), most)
        assert [item.value for item in found] == [{"item": item.number} for item in found]
        return [item.number for item in found]

    return asyncio.run(take())


def test_items_are_taken_over_the_ends_of_pieces(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path, tmp_path, lambda _: True)
    assert taken(blobs, 0, 10, 1, 1, 1, 1) == [1, 2, 3, 4]
    assert taken(blobs, 1, 4, 2, 1, 5) == [2, 3, 4, 5]
    assert taken(blobs, 3, 4, 2, 1, 5) == [4, 5, 6, 7]
    assert taken(blobs, 8, 4, 2, 1, 5) == []
