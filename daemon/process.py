"""What a daemon does to its own process: no core dumps, a calm collector, signals."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import signal
from collections.abc import Callable, Iterator


def leave_no_core() -> None:
    """Have a crash of this process leave no image of its memory on the disk: there are keys in
    it."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def calm_collector() -> None:
    """Have Python look for reference cycles seldom: jobs leave none, and to walk a hundred thousand
    that wait, again and again, would take a third of the time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    gc.enable()


@contextlib.contextmanager
def signals(asked: Callable[[signal.Signals], None]) -> Iterator[None]:
    """SIGTERM and SIGINT ask for a stop."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked, number)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
