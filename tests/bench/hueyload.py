"""The anchor of durable queues: huey on SQLite, the fastest durable Python peer of ten measured.

Write-ahead log and synchronous=FULL, so three commits of a task reach the disk: enqueued, taken,
result kept. One worker that looks every millisecond (its default is ten seconds at the longest).
The consumer is huey's own command, in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from huey import SqliteHuey

from tests.bench.dropping import PATIENCE
from tests.support import REPOSITORY, environment, wait_until

_FILE = "HUEY_FILE"
_COMMAND = ["-m", "huey.bin.huey_consumer", f"{__name__}.queue", "--workers", "1", "--quiet"]
_POLLING = ["--delay", "0.001", "--max-delay", "0.001", "--backoff", "1", "--no-periodic"]


def open_queue(file: str) -> SqliteHuey:
    """A queue in a file; everything that was committed to it survives a power cut."""
    return SqliteHuey("bench", filename=file, journal_mode="wal", fsync=True, timeout=60)


def _nothing(number: int) -> float:
    """A task; when it was done."""
    return time.time()


queue = open_queue(os.environ.get(_FILE, ":memory:"))
"""What the consumer's command imports."""
queue.task()(_nothing)


def enqueue(file: str, count: int) -> float:
    """Enqueue so many tasks; the moment of the first."""
    task = open_queue(file).task()(_nothing)
    began = time.time()
    for number in range(count):
        task(number)
    return began


def wait(file: str, count: int) -> float:
    """Until so many tasks are done; the moment at which the last was.

    Each task says when it was done, so looking at the queue only now and then costs no accuracy.
    """
    storage, serializer = open_queue(file).storage, open_queue(file).serializer
    wait_until(
        lambda: storage.result_store_size() >= count or time.sleep(0.05), "every task", PATIENCE
    )
    return max(map(serializer.deserialize, storage.result_items().values()))


@contextmanager
def consuming(file: str) -> Iterator[None]:
    """huey's consumer, at work for as long as the block; it has done one task by then."""
    command = [sys.executable, *_COMMAND, *_POLLING]
    env = environment(**{_FILE: file})
    process = subprocess.Popen(command, env=env, cwd=REPOSITORY)
    try:
        enqueue(file, 1)
        wait(file, 1)
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)
