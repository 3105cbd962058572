"""Edit the part of a picture that a mask says, given as a picture or drawn of regions.

Regions are rectangles, ellipses, polygons and soft brush strokes, in pixels or percent, as many as
wanted. They are drawn, grown, shrunk, made soft and inverted, in this order; a given mask is
inverted first. The mask becomes an artifact as well, and `mask_only` stops there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from handlers.contract import Context, Medium
from handlers.media.editing import Edit, edit
from handlers.media.fields import (
    PROMPT,
    ImageFields,
    InputField,
    MaskFields,
    as_list,
    for_provider,
)
from handlers.media.inputs import read, ready
from handlers.media.masking import Refinement, keep_mask, mask_of_file, mask_of_regions
from handlers.media.regions import MOST_REGIONS, Region, RegionField, single_region

_SINGLE = ("x", "y", "width", "height", "x2", "y2")
_ONE_WAY = "give where to change it in one way: mask, regions, or x, y, width and height"


_Regions = Annotated[
    list[RegionField],
    BeforeValidator(as_list, json_schema_input_type=RegionField | list[RegionField]),
    Field(min_length=1, max_length=MOST_REGIONS),
]


class Request(ImageFields, MaskFields):
    """Edit a part of a picture."""

    ALIASES: ClassVar[Mapping[str, str]] = MappingProxyType(
        {**ImageFields.ALIASES, "region": "regions", "input_image": "image"}
    )
    EXAMPLE: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "task": "mask_inpaint",
            "image": "inbox/helmet.png",
            "regions": ["ellipse-pct:30:20:40:40"],
            "prompt": "a window with a fish behind it",
        }
    )

    task: Literal["mask_inpaint"] = "mask_inpaint"
    image: InputField = Field(description="The picture to edit.")
    mask: InputField | None = Field(
        None, description="Where to change it: white is changed, black is kept."
    )
    regions: _Regions | None = Field(
        None,
        description='Where to change it: "rect:x:y:w:h", "box:x1:y1:x2:y2", "ellipse:x:y:w:h", '
        '"polygon:x,y;x,y;x,y", "stroke:radius:x,y;x,y", each also with "-pct"; one or a list.',
    )
    x: float | None = Field(None, description="The older form of a single region, in pixels.")
    y: float | None = Field(None, description="As `x`.")
    width: float | None = Field(None, gt=0, description="As `x`.")
    height: float | None = Field(None, gt=0, description="As `x`.")
    x2: float | None = Field(None, description="As `x`, instead of `width`.")
    y2: float | None = Field(None, description="As `x`, instead of `height`.")
    ellipse: bool = Field(False, description="Whether that single region is an ellipse.")
    invert: bool = Field(False, description="Whether everything else is changed instead.")
    mask_only: bool = Field(False, description="Whether to make the mask and ask nobody.")
    keep_outside: bool = Field(
        False, description="Whether every pixel outside of the mask stays what it was."
    )
    prompt: str | None = Field(None, min_length=1, description=PROMPT)

    def faults(self) -> Iterable[tuple[str, str]]:
        """A mask in exactly one way, and a prompt where somebody is asked."""
        single = [name for name in _SINGLE if getattr(self, name) is not None]
        ways = [self.mask is not None, self.regions is not None, bool(single)]
        if sum(ways) != 1:
            yield "mask" if sum(ways) else "regions", _ONE_WAY
        elif single:
            try:
                self.drawn()
            except ValueError as error:
                yield single[0], str(error)
        if self.ellipse and not single:
            yield "ellipse", 'goes with x, y, width and height; among regions write "ellipse:..."'
        if self.prompt is None and not self.mask_only:
            yield "prompt", "is missing"

    def drawn(self) -> list[Region]:
        """All regions, whichever form they have.

        Raises:
            ValueError: the older form is not whole.
        """
        if self.regions is not None:
            return self.regions
        single = {name: getattr(self, name) for name in _SINGLE}
        return [single_region(**single, ellipse=self.ellipse)]


async def run(request: Request, context: Context) -> None:
    """Make the mask, then ask for the edit, and keep both."""
    source = await read(context, "image", request.image)
    pictures = [] if request.mask_only else await ready(context, "image", [source])
    mask = await _mask(request, context, source)
    if request.mask_only:
        return
    fields = for_provider(request)
    wanted = Edit(fields, pictures, mask, source, keep_outside=request.keep_outside)
    await edit(context, wanted, prefix="inpaint")


async def _mask(request: Request, context: Context, source: Medium) -> Medium:
    how = Refinement(request.expand, request.shrink, request.feather, request.invert)
    limit = context.max_pixels
    if request.mask is not None:
        given = await read(context, "mask", request.mask)
        made = await context.work(partial(mask_of_file, limit, how), source, given)
    else:
        at = "/regions" if request.regions is not None else None
        draw = partial(mask_of_regions, limit, how, request.drawn(), at)
        made = await context.work(draw, source)
    return await keep_mask(context, made)
