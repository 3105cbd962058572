"""Requests, dropped as clients do it: written aside, then renamed in; and their answers."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import wait_until

PATIENCE = 120.0
"""Seconds without any new answer, after which none is expected any more."""


@dataclass(frozen=True, slots=True)
class Inbox:
    """An inbox under a root, and a folder beside it to write in."""

    root: Path

    @property
    def folder(self) -> Path:
        return self.root / "inbox"

    @property
    def aside(self) -> Path:
        return self.root / "aside"

    def make(self) -> Inbox:
        """Make both folders."""
        self.folder.mkdir(exist_ok=True)
        self.aside.mkdir(exist_ok=True)
        return self

    def write(self, name: str) -> None:
        """Write a request aside."""
        body = {"task": "generate_image", "prompt": f"a lighthouse, {name}", "dry_run": True}
        file = os.open(f"{self.aside}/{name}.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(file, json.dumps(body).encode())
        os.close(file)

    def rename(self, name: str) -> None:
        """Rename a request in."""
        os.rename(f"{self.aside}/{name}.json", f"{self.folder}/{name}.json")

    def answer(self, name: str) -> Path:
        """Where the answer to a request will lie."""
        return self.folder / f"{name}.result.json"

    def wait(self, names: Sequence[str]) -> float:
        """Until all are answered; the moment at which the last answer appeared.

        One answer after the other is waited for, which costs the two cores next to nothing.
        """
        for name in names:
            wait_until(self.answer(name).exists, f"an answer to {name}", PATIENCE)
        # Its inode changed last when it was renamed in.
        return max(self.answer(name).stat().st_ctime for name in names)


def names(count: int) -> list[str]:
    """Names of requests."""
    return [f"r{number:06d}" for number in range(count)]


def drop(inbox: Inbox, wanted: Sequence[str]) -> float:
    """Drop requests as fast as it goes; the moment at which the first was dropped."""
    began = time.time()
    for name in wanted:
        inbox.write(name)
        inbox.rename(name)
    return began


def rename_all(inbox: Inbox, wanted: Sequence[str]) -> float:
    """Drop requests that are written already, faster still; the moment of the first."""
    began = time.time()
    for name in wanted:
        inbox.rename(name)
    return began


def write_all(inbox: Inbox, wanted: Sequence[str]) -> None:
    """Write requests aside."""
    for name in wanted:
        inbox.write(name)


def drop_first(inbox: Inbox) -> None:
    """Drop one request and wait for its answer: whoever gives it has started by then."""
    drop(inbox, ["first"])
    inbox.wait(["first"])
