"""The pictures that a request names: read, opened, and made ready to leave.

What leaves was decoded and is encoded again here, so that nothing which is no picture goes out, and
nothing but its pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from handlers.answers.encoded import of_data_url
from handlers.contract import Context, HandlerError, Input, Medium

if TYPE_CHECKING:
    from handlers.media.pictures import Picture


@dataclass(frozen=True, slots=True)
class Ready:
    """A picture that may leave, and what should be said about it."""

    medium: Medium
    notes: tuple[str, ...] = ()


async def read(context: Context, name: str, source: Input) -> Medium:
    """The bytes of an input, as they were found.

    Args:
        context: whose work it is.
        name: of the field, for messages.
        source: what it holds.

    Raises:
        HandlerError: as `Context.read`; `unreadable_media` where a data URL cannot be read.
    """
    if isinstance(source, str) and source[:5].lower() == "data:":
        return await context.work(partial(_of_data_url, source, name))
    return await context.read(f"read {name}", source)


async def read_all(context: Context, name: str, sources: Sequence[Input]) -> list[Medium]:
    """The same of several inputs, in their order."""
    numbered = enumerate(sources, start=1)
    return [await read(context, _nth(name, number), source) for number, source in numbered]


async def ready(context: Context, name: str, pictures: Sequence[Medium]) -> list[Medium]:
    """Pictures that were read, as they go to a provider; their notes become warnings.

    Args:
        context: whose work it is.
        name: of the field, for messages.
        pictures: as `read` gave them.
    """
    made = []
    for number, picture in enumerate(pictures, start=1):
        prepare = partial(_ready, _nth(name, number), context.max_pixels)
        one = await context.work(prepare, picture)
        tell(context, one.notes)
        made.append(one.medium)
    return made


def _nth(name: str, number: int) -> str:
    """How messages call one of several pictures of a field."""
    return name if number == 1 else f"{name} {number}"


def tell(context: Context, notes: Sequence[str]) -> None:
    """Have notes stand among the result's warnings."""
    for note in notes:
        context.warn(note)


def recipe(what: str, *made_of: bytes) -> str:
    """What tells a medium that was made here from another: what was made, and of which inputs. The
    rest is the request's, which never changes."""
    return " ".join([what, "of", *(hashlib.sha256(data).hexdigest() for data in made_of)])


def leaving(picture: Picture, what: str, *made_of: bytes) -> Medium:
    """A picture as it goes to a provider: encoded anew.

    Args:
        picture: what is to be seen.
        what: it is.
        made_of: the inputs of which it was made.
    """
    from handlers.media.pictures import upload_of

    data, media_type = upload_of(picture)
    return Medium(data, media_type=media_type, recipe=recipe(what, *made_of))


def _ready(name: str, max_pixels: int, data: bytes) -> Ready:
    from handlers.media.pictures import open_picture

    picture = open_picture(data, max_pixels=max_pixels, name=name)
    return Ready(leaving(picture, "a picture", data), picture.notes)


def _of_data_url(url: str, name: str) -> Medium:
    medium = of_data_url(url)
    if medium is None:
        raise HandlerError(
            "unreadable_media",
            f"the data URL of {name} cannot be read",
            hints=["Write it like data:image/png;base64,..."],
        )
    return medium
