"""A real daemon that asks a provider over HTTP, and kills itself with SIGKILL at a chosen boundary.

Besides the victim's own boundaries these: before and after each call and each download.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import httpx  # noqa: F401  imported before the fork, to save the time after it

import daemon.net
from tests.story.victim import FOUND, Boundaries, begin, live, spawn

KEY = "sk-canary-7f3a9c51e2d84b06"
"""The provider's key, which nothing on the disk may ever show."""

SENDING, SENT = "before Network.call", "after Network.call"


def configure(root: Path, base_url: str, **values: str) -> None:
    """Write the configuration of the provider `paper`."""
    lines = {"base_url": base_url, "api_key": "$PAPER_KEY", **values}
    text = "".join(f'{name} = "{value}"\n' for name, value in lines.items())
    (root / "darkroom.toml").write_text(f"[providers.paper]\n{text}")


def run(root: Path, kill_at: int = 0, only: str = "") -> int:
    """Run a victim to its end; its exit code, -9 if it was killed. With `only`, `kill_at` counts
    the boundaries of that name."""
    return spawn(root, kill_at, "tests.story.paid_victim", only=only)


def tally(root: Path) -> list[str]:
    """The boundaries that the last victim passed, in order."""
    return (root / "tally").read_text().splitlines()


def around_async(boundaries: Boundaries, where: type[Any], name: str) -> None:
    """Put a boundary before and after a method that is awaited."""
    real = getattr(where, name)

    @functools.wraps(real)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        boundaries.pass_by(f"before {where.__name__}.{name}")
        value = await real(*args, **kwargs)
        boundaries.pass_by(f"after {where.__name__}.{name}")
        return value

    setattr(where, name, wrapped)


def serve(root: str, kill_at: int, arguments: dict[str, Any]) -> None:
    """The victim's whole life; the target of a process."""
    path = Path(root)
    boundaries = begin(path, kill_at, arguments.pop("only"))
    os.environ["PAPER_KEY"] = KEY
    around_async(boundaries, daemon.net.Network, "call")
    around_async(boundaries, daemon.net.Network, "fetch")
    live(path, FOUND, poll_seconds=0.01, poll_seconds_max=0.02, **arguments)
