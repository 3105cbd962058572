"""Other processes: helpers that work beside the daemon, and what the kernel knows of one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path


@contextmanager
def helper() -> Iterator[Pool]:
    """A fresh process that has started and waits for work; it ends with the block."""
    with get_context("spawn").Pool(1) as pool:
        pool.apply(int)
        yield pool


def resident(pid: int) -> int:
    """Bytes of memory that a process holds now."""
    return _memory(pid, "VmRSS")


def peak(pid: int) -> int:
    """The most bytes of memory that a process ever held."""
    return _memory(pid, "VmHWM")


def _memory(pid: int, field: str) -> int:
    found = re.search(
        rf"^{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE
    )
    assert found is not None, f"process {pid} has ended"
    return int(found[1]) * 1024


def processor_seconds(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
