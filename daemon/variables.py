"""Variables in the texts of a configuration. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daemon.configfiles import missing
from handlers.contract import HandlerError

_VARIABLE = re.compile(r"\$(\$?)\{([A-Z_][A-Z0-9_]*)(:-([^${}]*))?\}")


@dataclass(frozen=True, slots=True)
class Expanded:
    """A text whose variables were put in."""

    text: str
    used: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    """Names that nothing was found for; their places are left as they were."""


def expand(text: str, environment: Mapping[str, str]) -> Expanded:
    """Put in `${NAME}` and `${NAME:-text}`; `$${NAME}` becomes `${NAME}`. Pure.

    A variable that is empty counts as missing where there is a text to take instead.
    """
    used: list[str] = []
    absent: list[str] = []

    def put(found: re.Match[str]) -> str:
        escaped, name, otherwise = found[1], found[2], found[4]
        if escaped:
            return found[0][1:]
        value = environment.get(name)
        if value or (value is not None and otherwise is None):
            used.append(name)
            return value
        if otherwise is not None:
            return otherwise
        absent.append(name)
        return found[0]

    return Expanded(_VARIABLE.sub(put, text), tuple(used), tuple(absent))


def unset(place: str, names: tuple[str, ...]) -> HandlerError:
    """A value needs variables that are not set."""
    told = ", ".join(f"${name}" for name in names)
    return missing(
        f"{place} needs {told}, which is not set",
        f"Set {told} where the daemon is started.",
    )


def origin_of(names: Sequence[str]) -> str:
    """How it is told that a value came from variables: ", from $NAME"; nothing for none."""
    return ", from " + ", ".join(f"${name}" for name in names) if names else ""
