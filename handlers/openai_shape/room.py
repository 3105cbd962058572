"""How much may go along with a call: what the documentation of a server says, as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

MB, MIB = 10**6, 1 << 20


@dataclass(frozen=True, slots=True)
class Room:
    """What there is room for; None: nothing is said.

    Of bytes and characters there are always fewer, pixels may be just as many: of "below 50 MB"
    and "up to 50 MB" the first is safe.
    """

    picture: int | None = None
    """Bytes of one picture."""
    mask: int | None = None
    """Bytes of a mask."""
    url: int | None = None
    """Characters of a data URL."""
    body: int | None = None
    """Bytes of all that is sent at once."""
    longest: int | None = None
    """Pixels of the longer side of a picture."""
    pixels: int | None = None
    """Width times height of a picture."""
    webp: bool = True
    """Whether it reads WebP, which a picture with alpha becomes that has too many bytes."""

    def told(self) -> Iterator[str]:
        """Each limit in words, as they stand behind "takes"."""
        if self.picture is not None:
            yield f"pictures below {amount(self.picture)}"
        if self.mask is not None:
            yield f"masks below {amount(self.mask)}"
        if self.url is not None:
            yield f"data URLs below {self.url:,} characters"
        if self.body is not None:
            yield f"requests below {amount(self.body)}"
        if self.longest is not None:
            yield f"at most {self.longest:,} pixels a side"
        if self.pixels is not None:
            yield f"at most {self.pixels:,} pixels a picture"


UNKNOWN = Room()


@dataclass(frozen=True, slots=True)
class Fitted:
    """Pictures and a mask as they go along."""

    pictures: tuple[bytes, ...]
    mask: bytes | None = None
    """A PNG by the rule of the server."""
    warnings: tuple[str, ...] = ()
    """What was changed, and why."""


def amount(count: int) -> str:
    """A number of bytes as documentations write it."""
    for unit, name in ((MIB, "MiB"), (MB, "MB")):
        if count >= unit and count % unit == 0:
            return f"{count // unit} {name}"
    return f"{count:,} bytes"
