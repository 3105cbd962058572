"""How far batches are, drawn for people: bars on a terminal, lines elsewhere.

All of it goes to stderr where a command has an answer to print.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from daemon.client import Dropped
from daemon.following import Following
from daemon.settings import Settings
from daemon.showing import plain
from daemon.tally import Pace, Tally

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PATIENCE = 0.5
"""Seconds in which a batch may be answered without a word."""

EVERY = 0.2
"""Seconds between two looks, at the least: to look takes a tenth of the time at the most."""

LINE = 1.0
"""Seconds between two lines."""


class _Shown(Protocol):
    """Shows how far a batch is."""

    def show(self, tally: Tally, pace: Pace) -> None:
        """It is so far."""
        ...

    def close(self) -> None:
        """Nothing more will be shown."""
        ...


@contextmanager
def shown(settings: Settings, dropped: Dropped) -> Iterator[Callable[[], None]]:
    """Show how far a batch is, while somebody waits for its answer.

    Args:
        settings: which root.
        dropped: what was dropped.

    Yields:
        What is to be called again and again.
    """
    bar = Progress(settings, dropped)
    try:
        yield bar.look
        bar.look(at_last=True)
    finally:
        bar.close()


class Progress:
    """Looks at a batch now and then, and shows how far it is.

    Args:
        settings: which root.
        dropped: what was dropped.
    """

    def __init__(self, settings: Settings, dropped: Dropped) -> None:
        self._following = Following(settings, dropped.name, dropped.sha256)
        self._name = plain(dropped.name)
        self._next = time.monotonic() + PATIENCE
        self._pace = Pace()
        self._shown: _Shown | None = None

    def look(self, *, at_last: bool = False) -> None:
        """Look, if it is time to.

        Args:
            at_last: look in any case where something was shown before.
        """
        began = time.monotonic()
        if (at_last and self._shown is None) or (not at_last and began < self._next):
            return
        tally = self._following.look()
        if tally is not None:
            if self._shown is None:
                self._shown = _shown_on_stderr(self._name)
            self._pace.add(began, tally.done)
            self._shown.show(tally, self._pace)
        self._next = began + max(EVERY, 10 * (time.monotonic() - began))

    def close(self) -> None:
        """Leave it as it is."""
        if self._shown is not None:
            self._shown.close()


def _shown_on_stderr(name: str) -> _Shown:
    if sys.stderr.isatty():
        from rich.console import Console

        console = Console(stderr=True, markup=False, highlight=False)
        if console.is_terminal and not console.is_dumb_terminal:
            return Bar(console, name)
    return Lines(name)


def words(tally: Tally, pace: Pace) -> str:
    """How far a batch is, how fast it goes and what is left."""
    speed = pace.in_words(tally)
    return f"{tally.in_words()}; {speed}" if speed else tally.in_words()


class Lines:
    """A line on stderr now and then, when something changed.

    Args:
        name: of the batch.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._next = 0.0
        self._before: Tally | None = None
        self._latest: Tally | None = None
        self._last = ""

    def show(self, tally: Tally, pace: Pace) -> None:
        """It is so far."""
        self._latest, self._last = tally, words(tally, pace)
        now = time.monotonic()
        if now >= self._next and tally != self._before:
            self._next = now + LINE
            self._print()

    def close(self) -> None:
        """A last line, if there was a first and something changed since."""
        if self._before not in (None, self._latest):
            self._print()

    def _print(self) -> None:
        self._before = self._latest
        print(f"{self._name}: {self._last}", file=sys.stderr, flush=True)


class Bar:
    """A bar on a terminal.

    Args:
        console: where.
        name: of the batch.
    """

    def __init__(self, console: Console, name: str) -> None:
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Drawn

        self._drawn = Drawn(
            TextColumn("{task.description}", markup=False),
            BarColumn(None),
            TextColumn("{task.fields[words]}", markup=False),
            console=console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            expand=True,
        )
        self._task = self._drawn.add_task(name, total=None, words="")
        self._drawn.start()

    def show(self, tally: Tally, pace: Pace) -> None:
        """It is so far."""
        total = tally.total or None
        said = words(tally, pace)
        self._drawn.update(self._task, completed=tally.done, total=total, words=said)
        self._drawn.refresh()

    def close(self) -> None:
        """Leave the bar as it is."""
        self._drawn.stop()


def table(batches: Sequence[tuple[str, Tally, Pace]]) -> Table:
    """Bars of several batches, for `darkroom watch`.

    Args:
        batches: the name of each, how far it is and how fast it goes.
    """
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    drawn = Table("batch", box=None, header_style="bold", expand=True)
    drawn.add_column("", ratio=1)
    drawn.add_column("done", no_wrap=True)
    for name, tally, pace in batches:
        bar = ProgressBar(tally.total or 1, tally.done)
        drawn.add_row(plain(name), bar, words(tally, pace))
    return drawn
