"""Make pictures or a clip after reference pictures.

The references go to the provider in its own way, or as data URLs under `reference_key` where that
is named. With `transport: auto` a provider that refuses them is asked once more without, and the
result says so; with `none` they stay here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import Field

from handlers.answers.blame import PICTURE_FIELDS, names_field
from handlers.contract import Call, Context, HandlerError, Json, Medium, Outcome
from handlers.media.fields import ImageFields, InputsField, for_provider
from handlers.media.inputs import read_all, ready
from handlers.media.keeping import keep_all

KEY = "reference_images"


class Request(ImageFields):
    """Make pictures after reference pictures."""

    ALIASES: ClassVar[Mapping[str, str]] = MappingProxyType(
        {**ImageFields.ALIASES, "reference_image": "reference_images"}
    )
    EXAMPLE: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "task": "reference_media",
            "reference_images": ["inbox/helmet.png"],
            "prompt": "the same helmet under water",
        }
    )

    task: Literal["reference_media"] = "reference_media"
    mode: Literal["image"] = Field("image", description="What to make.")
    reference_images: InputsField = Field(description="The pictures, one or a list of them.")
    reference_key: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="The provider's field for them, as data URLs in JSON; its own way, if left "
        "out.",
    )
    transport: Literal["auto", "provider-json", "none"] = Field(
        "auto",
        description="auto: send them, and where the provider refuses them ask without; "
        "provider-json: send them; none: do not.",
    )
    consistent: bool | None = Field(None, description="Old manifests say it; no effect.")
    prompt: str = Field(min_length=1, description="What to make. Never changed on its way.")


async def run(request: Request, context: Context) -> None:
    """Ask with the references, or without, and keep everything that came back."""
    references: list[Medium] = []
    if request.transport != "none":
        read = await read_all(context, KEY, request.reference_images)
        references = await ready(context, KEY, read)
    outcome = await _asked(request, context, references)
    await keep_all(context, outcome, prefix="reference")


async def _asked(request: Request, context: Context, references: list[Medium]) -> Outcome:
    fields = for_provider(request)
    if not references:
        return await context.ask("without references", Call("generate_image", fields))
    key: dict[str, Json] = {"reference_key": request.reference_key} if request.reference_key else {}
    call = Call("generate_image", {**fields, **key}, {KEY: tuple(references)})
    try:
        return await context.ask("generate", call)
    except HandlerError as error:
        names = {*PICTURE_FIELDS, *key.values()}
        if request.transport != "auto" or not names_field(error, names):
            raise
        context.warn(f"made without the references: the provider refused them: {error.message}")
        return await context.ask("without references", Call("generate_image", fields))
