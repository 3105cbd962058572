"""What a shell is told when somebody presses Tab.

It must be quick, so it imports little and asks no log: the names are those of files in the inbox.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

MOST = 200
"""Names that are offered; nobody reads more."""

_PLAIN = frozenset("-_./+,@")
"""What a name that is offered may hold besides letters and digits. Whoever drops a file chooses its
name, and a shell runs what it was completed to: `$(reboot).json` is not offered."""

_VARIABLE = "_DARKROOM_COMPLETE"
"""Where the shells' scripts say what they want to know; Typer looks for it under this name."""


def script(shell: str) -> str:
    """The script for a shell: "bash", "zsh" or "fish"."""
    from typer._completion_shared import get_completion_script

    return get_completion_script(prog_name="darkroom", complete_var=_VARIABLE, shell=shell)


def prepare() -> None:
    """Have Typer answer shells, where it is one that asks."""
    if _VARIABLE in os.environ:
        # Typer calls this itself only along with `--install-completion`, which edits ~/.bashrc.
        from typer._completion_classes import completion_init

        completion_init()


def names_of_requests(root: Path | None, beginning: str) -> list[str]:
    """Names of requests in the inbox, at most `MOST` of them.

    Args:
        root: the flag `--root`, where it was typed already.
        beginning: what was typed of the name, which may be in a sub-folder: "alice/hel".
    """
    chosen = root or Path(os.environ.get("DARKROOM_ROOT") or ".")
    return list(islice(_walk(chosen.expanduser() / "inbox", beginning), MOST))


def _walk(inbox: Path, beginning: str) -> Iterator[str]:
    below = [""]
    while below:
        folder = below.pop()
        try:
            with os.scandir(inbox / folder) as entries:
                for entry in entries:
                    name = folder + entry.name
                    if entry.name.startswith(".") or not _is_plain(name):
                        continue
                    if _is_request(name) and name.startswith(beginning):
                        yield name
                    elif _leads_to(f"{name}/", beginning) and entry.is_dir(follow_symlinks=False):
                        below.append(f"{name}/")
        except OSError:  # gone, or not ours to read: nothing to offer
            continue


def _is_plain(name: str) -> bool:
    return not name.startswith("-") and all(c.isalnum() or c in _PLAIN for c in name)


def _is_request(name: str) -> bool:
    return name.endswith(".json") and not name.endswith(".result.json")


def _leads_to(folder: str, beginning: str) -> bool:
    return folder.startswith(beginning) or beginning.startswith(folder)
