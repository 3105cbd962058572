"""The commands, by what they are for; this module holds what they share.

- `serving`   run
- `asking`    submit, retry, cancel
- `looking`   status, events
- `tending`   doctor, verify, rebuild
- `tools`     schema, completion

`docs/commands.md` is made of their docstrings by `make docs`. There, and on a terminal, a paragraph
stays one; what follows "Examples:" or "Exit codes:" is one line each, with a blank line between.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from daemon.settings import Settings

EXIT_FAILED, EXIT_USAGE, EXIT_BUSY, EXIT_LOG = 1, 2, 4, 5


def no_names() -> list[str]:
    """Nothing to complete with: so the shell completes with its own, the names of files."""
    return []


def requests(context: typer.Context, incomplete: str) -> list[str]:
    """What a request's name may be completed to, in the root that was typed before it."""
    from daemon.completion import names_of_requests

    return names_of_requests(context.params.get("root"), incomplete)


Root = Annotated[
    Path | None,
    typer.Option(
        help="The folder everything lives under: inbox/, tmp/, events/. "
        "Default: $DARKROOM_ROOT, or the working directory.",
        show_default=False,
        autocompletion=no_names,
    ),
]

Json = Annotated[bool, typer.Option("--json", help="For programs.")]


def settings_of(root: Path | None, **flags: object) -> Settings:
    """Settings of flags over environment over defaults."""
    from daemon.settings import load_settings

    return load_settings({"root": root, **flags})
