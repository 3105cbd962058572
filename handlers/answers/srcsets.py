"""The candidates of a picture on a page, and the largest of them.

Source: the HTML standard, "4.8.4.2.1 Srcset attributes". A width tells more than a density, and a
density more than nothing; what a decoder here is likely not to know comes last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_CANDIDATE = re.compile(r"([^\s,]\S*(?<!,))(?:\s+([^,]*))?")
_SIZE = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,7})?)([wx])\Z")
_WELCOME = frozenset({"", "image/png", "image/jpeg", "image/webp"})
_MOST = 100
"""Candidates of one attribute that are looked at."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of several files that show the same."""

    reference: str
    rank: tuple[bool, bool, float]
    """Whether its type is common, whether its width is known, and width or density."""


def candidates(srcset: str, media_type: str = "") -> Iterator[Candidate]:
    """The candidates of a `srcset`."""
    welcome = media_type.strip().lower() in _WELCOME
    for count, match in enumerate(_CANDIDATE.finditer(srcset)):
        if count == _MOST:
            return
        size = _SIZE.match((match[2] or "").strip())
        value, unit = (float(size[1]), size[2]) if size else (1.0, "x")
        yield Candidate(match[1], (welcome, unit == "w", value))


def alone(src: str) -> Candidate:
    """The candidate that a `src` is."""
    return Candidate(src, (True, False, 1.0))


def largest(choice: Iterable[Candidate]) -> str | None:
    """The largest of some candidates, the first of equals; None where there is none."""
    best = max(choice, key=lambda one: one.rank, default=None)
    return best.reference if best else None
