"""`{name}` in the strings of a JSON value becomes what the name stands for. Pure.

A name is letters, digits and underscores, and nothing else may stand in its braces: `{x.y}`,
`{x[0]}`, `{x!r}` and `{x:>9}` stay as they are, as does a name that nobody gave. `{{` and `}}` are
single braces. What was filled in is not looked at again, so one name cannot use another, and the
time is linear in what goes in and comes out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from handlers.contract import Json

MOST_FILLED: Final = 4 << 20
"""How many characters the names of one value may put into it, unless the caller says otherwise."""

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
"""What may be a name, as a whole."""

_BRACES: Final = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*+)\}", re.ASCII)


class FilledTooLarge(ValueError):
    """The names put more into a value than may come of it; the message says how much may."""


def render(value: Json, names: Mapping[str, Json], *, most: int = MOST_FILLED) -> Json:
    """Fill in the names in every string of a value, at any depth; the names of an object's fields
    stay as they are, and so does what is no string.

    Args:
        value: any JSON value; it is not changed.
        names: what the names stand for. A text is put in as it is, anything else as JSON writes
            it: `true`, `3`, `1.5`, `null`, `["a","b"]`.
        most: how many characters the names may put in.

    Raises:
        FilledTooLarge: they put in more.
    """
    return _Filling(names, most).of(value)


class _Filling:
    """One value being filled in."""

    def __init__(self, names: Mapping[str, Json], most: int) -> None:
        self._names = names
        self._most = self._left = most
        self._shown: dict[str, str] = {}
        """The names that were needed, as texts."""

    def of(self, value: Json) -> Json:
        if isinstance(value, str):
            return _BRACES.sub(self._filled, value) if "{" in value or "}" in value else value
        if isinstance(value, list):
            return [self.of(item) for item in value]
        if isinstance(value, dict):
            return {key: self.of(item) for key, item in value.items()}
        return value

    def _filled(self, match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return match[0][0]  # one brace of two
        if name not in self._names:
            return match[0]
        text = self._shown.get(name)
        if text is None:
            text = self._shown[name] = shown(self._names[name])
        self._left -= len(text)
        if self._left < 0:
            raise FilledTooLarge(
                f"its names put more than {self._most:,} characters into it, the last of them "
                f"{{{name[:80]}}}; give them less to put in"
            )
        return text


def shown(value: Json) -> str:
    """A value as the text that a name puts in."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
