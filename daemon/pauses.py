"""PAUSE files: while one lies at the top of the inbox, nothing new starts.

`PAUSE` is for everybody, `PAUSE.local` for the provider of that name. A new one is found as
requests are: by being told, and by looking. Those that are known are looked at twice a second, so
that nobody has to be told when one is gone; where there are none, that costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from daemon.files import text_to_name

PAUSE = "PAUSE"
EVERY = 0.5
"""Seconds between two looks at known files."""

_log = structlog.get_logger(__name__)


class Pauses:
    """Knows which PAUSE files lie there.

    Args:
        inbox: where they lie.
        changed: called with the providers that are paused (None: all of them) when that changed.
    """

    def __init__(self, inbox: Path, changed: Callable[[frozenset[str | None]], None]) -> None:
        self._inbox = inbox
        self._changed = changed
        self._files: dict[str, str | None] = {}  # name -> provider

    def __bool__(self) -> bool:
        return bool(self._files)

    def begin(self, providers: Iterable[str]) -> None:
        """Before anything starts: look whether these are paused. The first scan comes later."""
        self.look([PAUSE, *(f"{PAUSE}.{provider}" for provider in providers)])

    def look(self, names: Iterable[str] = ()) -> None:
        """Look whether these files and the known ones are there."""
        there = {name: _provider(name) for name in {**self._files, **dict.fromkeys(names)}}
        there = {name: provider for name, provider in there.items() if self._is_there(name)}
        before, self._files = self._files, there
        for name in there.keys() - before.keys():
            _log.warning("starting is paused", provider=there[name] or "all", file=name)
        for name in before.keys() - there.keys():
            _log.info("starting goes on", provider=before[name] or "all", file=name)
        if there != before:
            self._changed(frozenset(there.values()))

    def _is_there(self, name: str) -> bool:
        """Whether anything has that name, a link that leads nowhere as well."""
        try:
            (self._inbox / text_to_name(name)).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:  # an inbox that cannot be looked into just now says nothing new
            return name in self._files
        return True


def _provider(name: str) -> str | None:
    return name[len(PAUSE) + 1 :] or None
