"""Files that hold secrets: read only where nobody else can read or change them."""

from __future__ import annotations

import os
from pathlib import Path

from daemon.configfiles import Gathered, decoded, invalid, missing, read_file
from handlers.contract import HandlerError, Json

MAX_BYTES = 1 << 20
"""The largest such file, if nothing else is said."""


def read_secret_file(path: Path, place: str, gathered: Gathered, limit: int = MAX_BYTES) -> str:
    """The text of a file that holds a secret.

    Args:
        path: where it lies; links are followed.
        place: what in the configuration names it.
        gathered: where the file is told.
        limit: bytes.

    Raises:
        HandlerError: `config_missing` where it is not there; `config_invalid` where it cannot be
            read, or can be by others.
    """
    gathered.looked(path)
    try:
        data, status = read_file(path, limit)
    except FileNotFoundError:
        raise missing(
            f"{place} needs the file {str(path)!r}, which is not there", "Write the secret there."
        ) from None
    except HandlerError as error:
        raise invalid(f"{place}: {error.message}") from None
    if status.st_uid not in (0, os.geteuid()):
        raise invalid(f"{place}: {path} belongs to somebody else", f"Run `chown $USER {path}`.")
    others = 0o077 if status.st_uid == os.geteuid() else 0o022
    if status.st_mode & others:
        raise invalid(
            f"{place}: {path} can be read or changed by others", f"Run `chmod 600 {path}`."
        )
    return decoded(data, f"{place}: {path}")


def at_pointer(document: Json, pointer: str) -> Json:
    """What stands at a JSON pointer (RFC 6901) in a document; None where nothing does. Pure."""
    if pointer and not pointer.startswith("/"):
        return None
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict):
            document = document.get(name)
        elif isinstance(document, list) and name.isascii() and name.isdigit() and len(name) < 10:
            document = document[int(name)] if int(name) < len(document) else None
        else:
            return None
    return document
