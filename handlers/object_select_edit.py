"""Select an object, and edit it, or what is around it.

The mask is derived as by `prepare_object_mask`, turned round where the background is the target,
and the rest is as with `mask_inpaint`. The mask becomes an artifact as well, and `prepare_only`
stops there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import Field

from handlers.contract import Context
from handlers.media.choices import Mode
from handlers.media.editing import Edit, edit
from handlers.media.fields import (
    PROMPT,
    ImageFields,
    InputField,
    SelectionFields,
    for_provider,
)
from handlers.media.inputs import read, ready
from handlers.media.masking import Refinement, keep_mask, mask_of_selection


class Request(ImageFields, SelectionFields):
    """Edit an object, or its background."""

    ALIASES: ClassVar[Mapping[str, str]] = MappingProxyType(
        {**ImageFields.ALIASES, "input_image": "image"}
    )
    EXAMPLE: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "task": "object_select_edit",
            "image": "inbox/helmet.png",
            "edit_target": "background",
            "prompt": "a workbench in a harbour, at dusk",
        }
    )

    task: Literal["object_select_edit"] = "object_select_edit"
    image: InputField = Field(description="The picture with the object.")
    selection_mode: Mode = Field(
        "corner-bg", description="How the object is told from what is around it."
    )
    edit_target: Literal["object", "background"] = Field(
        "object", description="What is edited: the object, or everything else."
    )
    prepare_only: bool = Field(False, description="Whether to make the mask and ask nobody.")
    keep_outside: bool = Field(
        False, description="Whether every pixel outside of the mask stays what it was."
    )
    prompt: str | None = Field(None, min_length=1, description=PROMPT)

    def faults(self) -> Iterable[tuple[str, str]]:
        """What one mode needs, and a prompt where somebody is asked."""
        yield from self.faults_of(self.selection_mode)
        if self.prompt is None and not self.prepare_only:
            yield "prompt", "is missing"


async def run(request: Request, context: Context) -> None:
    """Make the mask, then ask for the edit, and keep both."""
    source = await read(context, "image", request.image)
    flipped = request.edit_target == "background"
    how = Refinement(request.expand, request.shrink, request.feather, flipped)
    selection = request.selection(request.selection_mode)
    select = partial(mask_of_selection, context.max_pixels, how, selection)
    mask = await keep_mask(context, await context.work(select, source))
    if request.prepare_only:
        return
    (picture,) = await ready(context, "image", [source])
    fields = for_provider(request)
    wanted = Edit(fields, [picture], mask, source, keep_outside=request.keep_outside)
    await edit(context, wanted, prefix="object-edit")
