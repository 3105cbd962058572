"""The pictures that go along with a call: as files of a form or as data URLs."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.answers.encoded import EXTENSIONS, sniff, to_data_url
from handlers.contract import Call, HandlerError, Medium
from handlers.openai_shape.dialects import Dialect
from handlers.openai_shape.room import Fitted
from handlers.wire import FilePart


def bytes_of(media: Sequence[Medium]) -> list[bytes]:
    """The bytes of a call's pictures.

    Raises:
        HandlerError: `internal`: one came without.
    """
    if any(medium.data is None for medium in media):
        raise HandlerError("internal", "a picture of the call came without its bytes")
    return [medium.data for medium in media if medium.data is not None]


def pictures_of(call: Call) -> list[bytes]:
    """What is to be edited or referred to, in the order in which a mask counts: for the first."""
    names = ("image", "input_reference", "reference_images")
    return [data for name in names for data in bytes_of(call.inputs.get(name, ()))]


def mask_of(call: Call) -> bytes | None:
    """The mask of a call; 255 where the picture is to be changed."""
    return next(iter(bytes_of(call.inputs.get("mask", ()))), None)


def data_urls(pictures: Sequence[bytes]) -> list[str]:
    """Pictures as they stand in JSON."""
    return [to_data_url(data) for data in pictures]


def file_part(name: str, stem: str, data: bytes) -> FilePart:
    """One file of a form. Its name and type are those of its content: some servers go by them.

    Args:
        name: of the form's field.
        stem: the file's name without its ending.
        data: the picture.
    """
    media_type = sniff(data) or "application/octet-stream"
    return FilePart(name, stem + EXTENSIONS.get(media_type, ".bin"), media_type, data)


def picture_parts(pictures: Sequence[bytes], single: str = "image") -> list[FilePart]:
    """Pictures as files of a form: `image[]`, unless it is a single one.

    Args:
        pictures: in order.
        single: the field's name for a single one.
    """
    name = single if len(pictures) == 1 else "image[]"
    return [file_part(name, f"image-{number}", data) for number, data in enumerate(pictures, 1)]


def mask_part(name: str, mask: bytes) -> FilePart:
    """A mask as a file of a form, by the server's rule already."""
    return FilePart(name, "mask.png", "image/png", mask)


def fitted(
    dialect: Dialect, pictures: Sequence[bytes], *, as_text: bool, mask: bytes | None = None
) -> Fitted:
    """Pictures as there is room for them at a server, and a mask by its rule.

    Args:
        dialect: of the server.
        pictures: in order.
        as_text: whether they go along as base64.
        mask: of the first picture, for a server that reads one.

    Raises:
        HandlerError: `too_large`, `unreadable_media`.
    """
    if not pictures:
        return Fitted(())
    from handlers.openai_shape.fitting import fit

    rule = dialect.mask or "alpha"
    return fit(pictures, dialect.room, dialect.title, as_text=as_text, mask=mask, rule=rule)
