"""Files that may still be being written: each is looked at again until it has stood still."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from daemon.clock import Clock
from daemon.files import Signature

SOON = 0.05
"""Seconds until a file that was not whole is looked at again, at first."""


@dataclass(slots=True)
class _Rest:
    """A file that is not whole: since when it looks like this, and how long to wait next."""

    signature: Signature
    since: float
    wait: float


class Resting:
    """Knows which files are not whole, and since when they have looked as they do.

    Args:
        clock: for waiting.
        settle: seconds for which one must stand still.
        later: has a file looked at again after some seconds.
    """

    def __init__(self, clock: Clock, settle: float, later: Callable[[str, float], None]) -> None:
        self._clock = clock
        self._settle = settle
        self._later = later
        self._files: dict[str, _Rest] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def __len__(self) -> int:
        return len(self._files)

    def forget(self, name: str) -> None:
        """It is decided, or gone."""
        self._files.pop(name, None)

    def has_rested(self, name: str, signature: Signature | None) -> bool:
        """Whether a file has looked like this for long enough."""
        rest = self._files.get(name)
        if rest is None or rest.signature != signature:
            return False
        return self._clock.monotonic() - rest.since >= self._settle

    def wait(self, name: str, signature: Signature) -> bool:
        """Have a file looked at again; False where it has rested for as long as it must."""
        now, rest = self._clock.monotonic(), self._files.get(name)
        if rest is None or rest.signature != signature:
            rest = self._files[name] = _Rest(signature, now, SOON)
        left = rest.since + self._settle - now
        if left <= 0:
            return False
        self._later(name, min(rest.wait, left))
        rest.wait *= 2
        return True
