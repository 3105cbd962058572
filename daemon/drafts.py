"""What one file says of providers, before the files are merged: values by name, each with where it
came from, and judgements that hold wherever a value stands.

The names of values are those of `daemon.entries`: "base_url", "key", "headers.x-foo",
"models.image", ...
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from daemon.budgets import Money
from daemon.configfiles import Gathered, invalid, is_open_to_others
from daemon.errors import Problem

STAND_IN = "local"
"""The embedded provider's name, which no entry may take."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
"""A header's name (RFC 9110, 5.6.2)."""
_VISIBLE = re.compile(r"[\x20-\x7e]*")
_NO_TEXT = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters, half characters, and what ends a line."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value, or why there is none."""

    source: str
    """Where it stands, for people; empty for what is no value of a provider's."""
    value: Any = None
    problem: Problem | None = None
    is_literal: bool = False
    """Whether it is a secret that stands in the file itself."""


Values = Mapping[str, Value]
"""What is said of one provider, by the names of the values."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What one file says."""

    providers: Mapping[str, Values] = field(default_factory=dict)
    """In the order of the file."""
    extras: Mapping[str, Values] = field(default_factory=dict)
    """What is said of providers elsewhere; it makes none, and yields to what is said above."""
    preferred: Mapping[str, str] = field(default_factory=dict)
    """Kind -> provider."""
    problem: Problem | None = None
    money: Money | None = field(default_factory=Money)
    """What it says of prices and budgets; None where that cannot be known."""


def judged(place: str, text: str, judge: Callable[[str], str]) -> str:
    """A text as a judge, which raises a ValueError, lets it pass.

    Raises:
        HandlerError: `config_invalid`: it did not; what was wrong is told, the text is not.
    """
    try:
        return judge(text)
    except ValueError as error:
        raise invalid(f"{place} {error}") from None


def warn_of_readers(path: Path, providers: Mapping[str, Values], gathered: Gathered) -> None:
    """Note where secrets stand in a file that others can read."""
    holds = any(value.is_literal for values in providers.values() for value in values.values())
    if holds and is_open_to_others(path):
        gathered.note(f"{path} holds a key, and others can read it: run `chmod 600 {path}`")


# ---------------------------------------------------------------- judgements


def is_name(text: str) -> bool:
    """Whether a provider may be called so."""
    return 0 < len(text) <= 100 and is_line(text)


def is_line(text: str) -> bool:
    """Whether a text is one line of whole characters, without control characters."""
    return not any(unicodedata.category(character) in _NO_TEXT for character in text)


def clean_line(text: str) -> str:
    """One line.

    Raises:
        ValueError: it is not.
    """
    if not is_line(text):
        raise ValueError("holds control characters")
    return text


def is_header_name(text: str) -> bool:
    return _TOKEN.fullmatch(text) is not None


def clean_header_value(text: str) -> str:
    """What may stand in a header.

    Raises:
        ValueError: it cannot.
    """
    if _VISIBLE.fullmatch(text) is None:
        raise ValueError("holds characters that no header can carry")
    return text


def clean_url(text: str) -> str:
    """The address below which a provider answers, without slashes at its end.

    Raises:
        ValueError: it is none; the message says why, and holds nothing of it.
    """
    if not is_line(text) or any(character.isspace() for character in text):
        raise ValueError("holds a blank or a control character")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is no address") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("is no http or https address")
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds a user or a password, which belongs into the key")
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        raise ValueError("holds a query or a fragment")
    return text.rstrip("/")


def clean_proxy(text: str) -> str:
    """The address of a proxy; a user and a password may stand in it.

    Raises:
        ValueError: as for `clean_url`.
    """
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is no address") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("is no address of a proxy")
    if " " in clean_header_value(text):
        raise ValueError("holds a blank")
    return text
