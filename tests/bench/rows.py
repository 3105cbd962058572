"""A row of the table: what was measured, beside what, and whether the goal is met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, as it stands on the page."""

    what: str
    darkroom: str
    durable: str
    """What is on the disk when, for both sides; one sentence a line."""
    anchor: str = ""
    ratio: str = ""
    goal: str = ""
    met: bool | None = None
    """None where there is no goal."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The same measured on darkroom and on an anchor, in one round."""

    darkroom: float
    anchor: float

    @property
    def ratio(self) -> float:
        return self.darkroom / self.anchor


def rate(what: str, pairs: Sequence[Pair], anchor: str, at_least: float, durable: str) -> Row:
    """A row of jobs a second: the more the better."""
    ratio = median(pair.ratio for pair in pairs)
    return Row(
        what,
        f"{median(pair.darkroom for pair in pairs):,.0f} a second",
        durable,
        f"{anchor}: {median(pair.anchor for pair in pairs):,.0f} a second",
        f"{ratio:.2f}",
        f"at least {at_least:g}",
        ratio >= at_least,
    )


def duration(what: str, pairs: Sequence[Pair], anchor: str, at_most: float, durable: str) -> Row:
    """A row of seconds: the fewer the better."""
    ratio = median(pair.ratio for pair in pairs)
    return Row(
        what,
        seconds(median(pair.darkroom for pair in pairs)),
        durable,
        f"{anchor}: {seconds(median(pair.anchor for pair in pairs))}",
        f"{ratio:.2f}",
        f"at most {at_most:g}",
        ratio <= at_most,
    )


def seconds(value: float) -> str:
    """Seconds as people read them."""
    return f"{value * 1e3:.2f} ms" if value < 0.1 else f"{value:.2f} s"


def megabytes(value: float) -> str:
    """Bytes as people read them."""
    return f"{value / 1e6:,.0f} MB"
