"""Keys: a type that does not show them, and a sieve that takes them out of any text.

What a provider says may repeat the key that it was shown, so whatever comes from outside goes
through the sieve before it reaches an event, a result or the diagnostics: by value, in the
spellings in which a key travels, and by the patterns that keys commonly have.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable
from typing import TypeVar
from urllib.parse import quote_plus

from handlers.contract import Json

STARS = "***"

SHORTEST = 6
"""Characters of the shortest value that is looked for: what is shorter is a word like any other."""
CUT = "…"
"""Where a text was cut short."""
_SHORTEST_REST, _LONGEST_REST = 8, 500
"""Characters of a secret that may be left where a text was cut short; fewer tell little."""

_PATTERNS = re.compile(
    r"""
    \b(?:sk|pk|rk|xai|gsk|fal|r8|hf|key)[-_][A-Za-z0-9_*-]{12,}  # as providers begin their keys
    | (?<=bearer\s)[A-Za-z0-9._~+/=*-]{8,}
    | (?<=[?&]key=)[^&\s"']{8,}
    | (?<=[?&]api_key=)[^&\s"']{8,}
    | (?<=://)[^/\s@"']+:[^/\s@"']+(?=@)         # a name and a password in an address
    """,
    re.IGNORECASE | re.VERBOSE,
)

Value = TypeVar("Value")


class Secret:
    """A text that is shown to nobody: its `repr` and `str` are stars.

    Args:
        value: what it is.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself; for what sends it to the one who may have it."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({STARS})"

    def __str__(self) -> str:
        return STARS

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> str:
        raise TypeError("a secret is not to be stored")


class Sieve:
    """Takes the known secrets, and what looks like a key, out of texts."""

    def __init__(self) -> None:
        self._patterns: set[str] = set()
        self._known: re.Pattern[str] | None = None
        self._beginnings: tuple[str, ...] = ()

    def learn(self, secrets: Iterable[Secret]) -> None:
        """Know these from now on, besides those that are known."""
        beginnings = set(self._beginnings)
        for secret in secrets:
            self._patterns |= spellings(secret.reveal())
            beginnings |= _beginnings(secret.reveal())
        longest_first = sorted(self._patterns, key=len, reverse=True)
        self._known = re.compile("|".join(longest_first), re.IGNORECASE) if longest_first else None
        self._beginnings = tuple(sorted(beginnings, key=len, reverse=True))

    def text(self, text: str) -> str:
        """A text without them."""
        if self._known is not None:
            text = self._known.sub(STARS, text)
            text = CUT.join(map(self._without_rest, text.split(CUT)))
        return _PATTERNS.sub(STARS, text)

    def json(self, value: Json) -> Json:
        """A JSON value without them, in keys and values at any depth."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(name)): self.json(below) for name, below in value.items()}
        if isinstance(value, list | tuple):
            return [self.json(below) for below in value]
        return value

    def _without_rest(self, text: str) -> str:
        """A text without the beginning of a secret at its end, where it was cut short."""
        end = text[-_LONGEST_REST:].lower()
        if not end.endswith(self._beginnings):
            return text
        rest = next(one for one in self._beginnings if end.endswith(one))
        return text[: -len(rest)] + STARS


def spellings(value: str) -> set[str]:
    """Patterns of a secret as it may turn up: as it is, sign by sign in the ways of JSON, HTML,
    URLs and JSON pointers, and in base64 (as in Basic authorization, from each of the three places
    at which it may begin there)."""
    if len(value) < SHORTEST:
        return set()
    found = {"".join(map(_in_any_way, value))}
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + value.encode()).decode()
        start = (before * 4 + 2) // 3  # characters that also tell of the bytes before
        whole = encoded[start:].rstrip("=")
        core = whole[:-1] if (before + len(value.encode())) % 3 else whole
        if len(core) >= SHORTEST:
            found.add("".join(_IN_BASE64.get(sign, sign) for sign in core))
    return found


_IN_BASE64 = {"+": "[+-]", "/": "[/_]"}
"""The alphabet for URLs has other signs in two places (RFC 4648 §5)."""
_IN_POINTERS = {"~": "~0", "/": "~1", ".": "/", "[": "/", "]": "/"}
"""How a provider's name of a field becomes a JSON pointer."""


def _in_any_way(sign: str) -> str:
    """A pattern for one sign of a secret, in all the ways in which it travels."""
    if sign.isascii() and sign.isalnum():
        return sign
    coded = "".join(f"%{byte:02X}" for byte in sign.encode())
    ways = {sign, coded, quote_plus(sign), json.dumps(sign)[1:-1], html.escape(sign)}
    ways.add(_IN_POINTERS.get(sign, sign))
    return f"(?:{'|'.join(re.escape(way) for way in sorted(ways, key=len, reverse=True))})"


def _beginnings(value: str) -> set[str]:
    """What may be left of a secret where a text was cut short, in small letters."""
    if len(value) < SHORTEST:
        return set()
    return {value[:size].lower() for size in range(_SHORTEST_REST, min(len(value), _LONGEST_REST))}


SIEVE = Sieve()
"""The one of this process: whoever reads a key from somewhere teaches it here."""
