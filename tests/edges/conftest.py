"""Fixtures of the edges."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Mount = Callable[..., None]


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mount something for the time of a test; skips where that is not allowed."""
    mounted: list[Path] = []

    def do(place: Path, *arguments: str) -> None:
        place.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run(["mount", *arguments, place], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"mounting needs root and its rights: {error}")
        mounted.append(place)

    yield do
    for place in reversed(mounted):
        subprocess.run(["umount", "--lazy", place], check=True)
