"""Extend a picture beyond its borders.

The canvas is prepared here: larger by `left right top bottom expand`, or of a target `size` or
`aspect_ratio`; transparent, or filled with a colour, the blurred picture, its border or its mirror.
A mask of the new area goes along, with an overlap into the picture. A provider that extends
pictures by itself is asked for just that. Canvas and mask become artifacts as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from handlers.contract import Call, Context, HandlerError, Medium
from handlers.media.editing import Edit, edit
from handlers.media.fields import ImageFields, InputField, for_provider
from handlers.media.frames import Anchor, Extension, Frame, frame_of
from handlers.media.inputs import read, ready, recipe, tell


class Request(ImageFields):
    """Extend a picture beyond its borders."""

    ALIASES: ClassVar[Mapping[str, str]] = MappingProxyType(
        {**ImageFields.ALIASES, "input_image": "image"}
    )
    EXAMPLE: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "task": "outpaint_image",
            "image": "inbox/helmet.png",
            "left": 256,
            "right": 256,
            "mode": "blur",
            "prompt": "the rest of the workbench",
        }
    )

    task: Literal["outpaint_image"] = "outpaint_image"
    image: InputField = Field(description="The picture to extend.")
    left: int = Field(0, ge=0, description="Pixels to add on the left; so with the next three.")
    right: int = Field(0, ge=0, description="On the right.")
    top: int = Field(0, ge=0, description="Above.")
    bottom: int = Field(0, ge=0, description="Below.")
    expand: int = Field(0, ge=0, description="Pixels to add on each side, besides.")
    anchor: Anchor | None = Field(
        None, description="Where the picture lies in a canvas of a `size` or an `aspect_ratio`."
    )
    mode: Literal["transparent", "blur", "solid", "edge", "reflect"] = Field(
        "transparent", description="What the new area holds when the provider gets it."
    )
    bg: str = Field(
        "#00000000",
        pattern=r"^#([0-9a-fA-F]{6}|[0-9a-fA-F]{8})$",
        description='The colour of mode `solid`, as "#rrggbb" or "#rrggbbaa".',
    )
    blur_radius: float = Field(24, ge=0, le=1024, description="Of mode `blur`, in pixels.")
    keep_outside: bool = Field(
        False, description="Whether the picture itself stays what it was, pixel by pixel."
    )
    prompt: str | None = Field(
        None, description="What to make around it. Never changed on its way; may be left out."
    )

    def faults(self) -> Iterable[tuple[str, str]]:
        """An extension that extends, said in one way."""
        try:
            self.extension  # noqa: B018 - it judges
        except HandlerError as error:
            yield from (
                [(pointer[1:], message) for pointer, message in error.faults]
                or [("expand", error.message)]
            )

    @property
    def extension(self) -> Extension:
        """How it is to be extended.

        Raises:
            HandlerError: `invalid_request`: not at all, or in two ways at once.
        """
        names = ("left", "right", "top", "bottom", "expand", "size", "aspect_ratio", "anchor")
        return Extension(**{name: getattr(self, name) for name in names})


class _Prepared(NamedTuple):
    """What is made before anybody is asked."""

    canvas: Medium
    mask: Medium
    """Of the new area, and of the overlap."""
    fading: Medium
    """The same, coming to nothing within the overlap."""
    frame: Frame
    notes: tuple[str, ...]


async def run(request: Request, context: Context) -> None:
    """Prepare canvas and mask, keep both, ask for the rest."""
    source = await read(context, "image", request.image)
    made = await context.work(partial(_prepare, request, context.max_pixels), source)
    tell(context, made.notes)
    await context.keep("canvas", made.canvas, prefix="canvas", role="prepared_input")
    await context.keep("mask", made.mask, prefix="mask", role="mask")
    (picture,) = await ready(context, "image", [source])
    wanted = Edit(
        for_provider(request),
        [made.canvas],
        made.mask,
        made.canvas,
        fading=made.fading,
        keep_outside=request.keep_outside,
        whole_serves=True,
        instead=_by_sides(request, made.frame, picture),
    )
    await edit(context, wanted, prefix="outpaint")


def _by_sides(request: Request, frame: Frame, picture: Medium) -> Call:
    """The call to a provider that extends pictures by itself."""
    sides = {name: getattr(frame, name) for name in ("left", "right", "top", "bottom")}
    target = {"size", "aspect_ratio"}
    fields = {name: one for name, one in for_provider(request).items() if name not in target}
    return Call("outpaint_image", {**fields, **sides}, {"image": (picture,)})


def _prepare(request: Request, max_pixels: int, data: bytes) -> _Prepared:
    from handlers.media.canvas import extended, fading_area, new_area
    from handlers.media.pictures import encoded, open_picture

    picture = open_picture(data, max_pixels=max_pixels)
    frame = frame_of(request.extension, picture.image.size, max_pixels)
    canvas = extended(
        picture.image, frame, request.mode, bg=request.bg, blur_radius=request.blur_radius
    )
    return _Prepared(
        Medium(encoded(canvas, "png"), media_type="image/png", recipe=recipe("a canvas", data)),
        Medium(encoded(new_area(frame), "png"), recipe=recipe("its mask", data)),
        Medium(encoded(fading_area(frame), "png")),
        frame,
        picture.notes,
    )
