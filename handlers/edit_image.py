"""Edit one picture or several by a prompt, all over or where a mask says so.

The pictures are decoded and encoded again before they leave, so nothing of a file goes out but its
pixels. White of the mask is the part to change. Size, quality and the rest go along when they were
given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import Field

from handlers.contract import Context, Medium
from handlers.media.editing import Edit, edit
from handlers.media.fields import PROMPT, ImageFields, InputField, InputsField, for_provider
from handlers.media.inputs import read, read_all, ready
from handlers.media.masking import PLAIN, keep_mask, mask_of_file


class Request(ImageFields):
    """Edit pictures by a prompt."""

    ALIASES: ClassVar[Mapping[str, str]] = MappingProxyType(
        {**ImageFields.ALIASES, "images": "image", "input_image": "image"}
    )
    EXAMPLE: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "task": "edit_image",
            "image": "inbox/helmet.png",
            "prompt": "make the brass look old",
        }
    )

    task: Literal["edit_image"] = "edit_image"
    image: InputsField = Field(description="The picture to edit, or a list of them.")
    mask: InputField | None = Field(
        None, description="Where to change the first picture: white is changed, black is kept."
    )
    keep_outside: bool = Field(
        False, description="Whether every pixel outside of the mask stays what it was."
    )
    prompt: str = Field(min_length=1, description=PROMPT)

    def faults(self) -> Iterable[tuple[str, str]]:
        """A mask, where one is spoken of."""
        if self.keep_outside and self.mask is None:
            yield "keep_outside", "makes sense with a mask only; give one, or use mask_inpaint"


async def run(request: Request, context: Context) -> None:
    """Read the pictures and the mask, ask once, keep everything that came back."""
    sources = await read_all(context, "image", request.image)
    mask = await _mask(request, context, sources[0]) if request.mask is not None else None
    wanted = Edit(
        for_provider(request),
        await ready(context, "image", sources),
        mask,
        sources[0],
        keep_outside=request.keep_outside,
    )
    await edit(context, wanted, prefix="edited")


async def _mask(request: Request, context: Context, source: Medium) -> Medium:
    """The given mask at the picture's size, kept as an artifact."""
    given = await read(context, "mask", request.mask or "")
    make = partial(mask_of_file, context.max_pixels, PLAIN)
    return await keep_mask(context, await context.work(make, source, given))
