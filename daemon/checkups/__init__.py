"""What `darkroom doctor` looks at: one module a topic, one function a check.

A check takes the settings and gives a `Finding`. It changes nothing, but for hidden files that it
removes again, and what it raises is a finding as well: `daemon.doctor` sees to that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from daemon.settings import Settings

State = Literal["ok", "warning", "fault"]

PROBE = ".doctor-"
"""How the names of files begin that a check makes: hidden, so that no daemon looks at them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, and where that is not well, what to do."""

    state: State
    found: str
    hint: str | None = None


def ok(found: str) -> Finding:
    return Finding("ok", found)


def warning(found: str, hint: str) -> Finding:
    """It works, but not as well as somebody may think."""
    return Finding("warning", found, hint)


def fault(found: str, hint: str) -> Finding:
    """It does not work."""
    return Finding("fault", found, hint)


def folders_of(settings: Settings) -> dict[str, Path]:
    """The folders of a root, by the names that findings call them."""
    return {
        "inbox": settings.inbox,
        "events": settings.events,
        ".darkroom": settings.private,
        "output": settings.output,
    }
