"""How every edit of a picture is asked for and brought home, with or without a mask.

A provider that takes no mask is asked for the whole picture, and what it made outside of the mask
is taken back here. `keep_outside` does the same with one that takes masks: then the edit provably
changes nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from handlers.contract import Call, Context, HandlerError, Json, Medium, Outcome
from handlers.media.inputs import Ready, tell
from handlers.media.keeping import check


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit that is ready to be asked for."""

    fields: Mapping[str, Json]
    """What goes to the provider besides pictures."""
    pictures: Sequence[Medium]
    """To be edited; the mask is for the first."""
    mask: Medium | None = None
    """255 where the picture is to be changed."""
    source: Medium | None = None
    """What is pasted back outside of the mask: the first picture as it was, before it was encoded
    to leave."""
    fading: Medium | None = None
    """By what it is pasted back; the mask itself, if left out."""
    keep_outside: bool = False
    whole_serves: bool = False
    """Whether an answer that cannot be pasted back is of use all the same, as it came."""
    instead: Call | None = None
    """The same by an operation of its own, for a provider that has one."""


async def edit(context: Context, wanted: Edit, *, prefix: str) -> None:
    """Ask for an edit, and keep what came of it.

    Raises:
        HandlerError: the provider refused or failed; `provider_failed` where its answer has another
            shape than the picture into which it is to be pasted.
    """
    outcome = await _asked(context, wanted)
    left_out = "mask" in outcome.left_out
    if left_out:
        back = "was put back" if outcome.media else "was not put back, as it stayed there"
        context.warn(
            "the provider takes no mask: it was asked for the whole picture, and what it changed "
            f"outside of the mask {back}"
        )
    for number, medium in enumerate(outcome.media, start=1):
        if wanted.mask is not None and (left_out or wanted.keep_outside):
            medium = await _pasted(context, wanted, medium, number, prefix)  # noqa: PLW2901
        await context.keep(f"picture {number}", medium, prefix=prefix)


async def _asked(context: Context, wanted: Edit) -> Outcome:
    inputs = {"image": tuple(wanted.pictures)}
    if wanted.mask is not None:
        inputs["mask"] = (wanted.mask,)
    call = Call("edit_image", wanted.fields, inputs)
    calls = [call] if wanted.instead is None else [wanted.instead, call]
    outcome = await context.ask("edit", *calls)
    check(outcome)
    return outcome


async def _pasted(
    context: Context, wanted: Edit, answer: Medium, number: int, prefix: str
) -> Medium:
    """One answer, with the source's own pixels outside of the mask. Where the two do not fit, it is
    kept as it came, for it was paid for."""
    paste = partial(_paste, str(wanted.fields.get("output_format", "png")), context.max_pixels)
    mask = wanted.fading or wanted.mask
    others = [medium for medium in (wanted.source, mask) if medium is not None]
    try:
        pasted = await context.work(paste, answer, *others)
    except HandlerError as error:
        if wanted.whole_serves and not wanted.keep_outside:
            context.warn(f"kept as it came: {error.message}")
            return answer
        await context.keep(f"picture {number} as it came", answer, prefix=prefix)
        raise
    tell(context, pasted.notes)
    return pasted.medium


def _paste(form: str, max_pixels: int, answer: bytes, source: bytes, mask: bytes) -> Ready:
    """An answer with the source's own pixels outside of the mask, in a format that keeps them."""
    from handlers.media.compositing import fitted, pasted_back
    from handlers.media.pictures import encoded, holds, mask_in, open_picture
    from handlers.media.toning import toned

    made = open_picture(answer, max_pixels=max_pixels, name="the answer").image
    below, where = open_picture(source, max_pixels=max_pixels).image, mask_in(mask)
    made, notes = fitted(made, below.size)
    image, _ = pasted_back(toned(made, below, where), below, where)
    keeps = form == "png" or (form == "webp" and holds("webp", image.size))
    if not keeps:
        notes.append(f"saved as PNG: a {form} could not keep the pixels outside of the mask")
    data = encoded(image, "webp" if keeps and form == "webp" else "png", lossless=True)
    return Ready(Medium(data), tuple(notes))
