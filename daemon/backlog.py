"""Names that wait to be looked at, taken by turns between the inbox's folders. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice


class Backlog:
    """A queue of names. Those that were just told of go first, then each folder has its turn, so
    that a hundred thousand files in one keep nobody waiting in another."""

    def __init__(self) -> None:
        self._first: dict[str, None] = {}
        self._folders: dict[str, dict[str, None]] = {}
        self._turns: deque[str] = deque()

    def __len__(self) -> int:
        return len(self._first) + sum(map(len, self._folders.values()))

    def __bool__(self) -> bool:
        return bool(self._first or self._folders)

    def __contains__(self, name: str) -> bool:
        return name in self._first or name in self._folders.get(_folder(name), ())

    def put_first(self, names: Iterable[str]) -> None:
        """Have names looked at before all others."""
        self._first.update(dict.fromkeys(names))

    def add(self, names: Iterable[str]) -> None:
        """Have names wait for their folder's turn."""
        for name in names:
            folder = _folder(name)
            waiting = self._folders.get(folder)
            if waiting is None:
                waiting = self._folders[folder] = {}
                self._turns.append(folder)
            waiting[name] = None

    def take(self, most: int) -> list[str]:
        """The next names, at most so many."""
        taken: dict[str, None] = {}
        _move(self._first, most, taken)
        while self._turns and len(taken) < most:
            share = max(1, (most - len(taken)) // len(self._turns))
            self._take_turn(share, taken)
        return list(taken)

    def _take_turn(self, share: int, taken: dict[str, None]) -> None:
        """Take a folder's share; it goes to the end of the line, or out of it."""
        folder = self._turns.popleft()
        waiting = self._folders[folder]
        _move(waiting, share, taken)
        if waiting:
            self._turns.append(folder)
        else:
            del self._folders[folder]


def _move(names: dict[str, None], most: int, taken: dict[str, None]) -> None:
    for name in list(islice(names, most)):
        del names[name]
        taken[name] = None


def _folder(name: str) -> str:
    return name.rpartition("/")[0]
