"""Derive the mask of an object, and save it.

By transparency (`alpha`), by how far a colour is from that of the four corners (`corner-bg`), or
with a box around the object on any backdrop (`grabcut`, which takes the extra `vision`). White of
the mask is the object; nobody is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import Field

from handlers.contract import Context
from handlers.media.choices import Mode
from handlers.media.fields import FEATHER, InputField, SelectionFields
from handlers.media.inputs import read
from handlers.media.masking import Refinement, keep_mask, mask_of_selection
from handlers.media.regions import MOST_PIXELS_FEATHERED


class Request(SelectionFields):
    """Derive the mask of an object."""

    ALIASES: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"selection_mode": "mode", "input_image": "image"}
    )
    EXAMPLE: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"task": "prepare_object_mask", "image": "inbox/helmet.png", "mode": "corner-bg"}
    )

    task: Literal["prepare_object_mask"] = "prepare_object_mask"
    image: InputField = Field(description="The picture with the object.")
    mode: Mode = Field("corner-bg", description="How the object is told from what is around it.")
    feather: int = Field(4, ge=0, le=MOST_PIXELS_FEATHERED, description=FEATHER)
    invert: bool = Field(False, description="Whether white of the mask is the background instead.")

    def faults(self) -> Iterable[tuple[str, str]]:
        """What one mode needs, and the others do not."""
        return self.faults_of(self.mode)


async def run(request: Request, context: Context) -> None:
    """Read the picture, select, keep the mask."""
    source = await read(context, "image", request.image)
    how = Refinement(request.expand, request.shrink, request.feather, request.invert)
    select = partial(mask_of_selection, context.max_pixels, how, request.selection(request.mode))
    await keep_mask(context, await context.work(select, source))
