"""Make pictures or a clip after reference pictures.

The references go to the provider in its own way, or as data URLs under `reference_key` where that
is named. Where `transport` is auto, a provider that refuses them is asked once more without, and
the result says so; where it is none, they stay here. To make a clip they always go along, in the
provider's own way, and `roles` may say what each is to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import Field

from handlers.answers.blame import PICTURE_FIELDS, names_field
from handlers.contract import Call, Context, HandlerError, Json, Kind, Medium, Outcome
from handlers.media.clipfields import VideoFields, for_clip
from handlers.media.fields import PROMPT, ImageFields, InputsField, MadeFields, for_provider
from handlers.media.inputs import read_all, ready
from handlers.media.keeping import keep_all, keep_clips

KEY = "reference_images"

_OF_PICTURES = sorted(ImageFields.model_fields.keys() - MadeFields.model_fields.keys())
_OF_CLIPS = (*sorted(VideoFields.model_fields.keys() - MadeFields.model_fields.keys()), "roles")
_INPUTS = {"first_frame": "image", "last_frame": "last_frame", "reference": KEY}
"""What a picture goes along as, by its role."""


class Request(ImageFields, VideoFields):
    """Make pictures or a clip after reference pictures."""

    ALIASES: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            **ImageFields.ALIASES,
            **VideoFields.ALIASES,
            "reference_image": "reference_images",
            "imageRoles": "roles",
        }
    )
    EXAMPLE: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "task": "reference_media",
            "reference_images": ["inbox/helmet.png"],
            "prompt": "the same helmet under water",
        }
    )

    task: Literal["reference_media"] = "reference_media"
    mode: Literal["image", "video"] = Field("image", description="What to make.")
    reference_images: InputsField = Field(description="The pictures, one or a list of them.")
    roles: list[Literal["first_frame", "last_frame", "reference"]] | None = Field(
        None,
        description="What each picture is to a clip, in their order, where a provider knows the "
        "difference.",
    )
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
    prompt: str = Field(min_length=1, description=PROMPT)

    @property
    def makes(self) -> Kind:
        return self.mode

    def faults(self) -> Iterable[tuple[str, str]]:
        """Fields of the other kind, and roles that do not fit the pictures."""
        of_others = _OF_PICTURES if self.mode == "video" else _OF_CLIPS
        for name in of_others:
            if getattr(self, name) is not None:
                yield name, f"is nothing that goes with the mode {self.mode}"
        if self.roles is None:
            return
        if len(self.roles) != len(self.reference_images):
            yield "roles", f"must name one role for each of {len(self.reference_images)} pictures"
        for role in ("first_frame", "last_frame"):
            if self.roles.count(role) > 1:
                yield "roles", f"names {role} more than once"


async def run(request: Request, context: Context) -> None:
    """Ask with the references, or without, and keep everything that came back."""
    if request.mode == "video":
        await _clip(request, context)
    else:
        await _pictures(request, context)


async def _clip(request: Request, context: Context) -> None:
    """Ask for a clip with all of the references."""
    spoken_of = sorted({"transport", "reference_key"} & request.model_fields_set)
    if spoken_of:
        context.warn(f"made no use of, as a clip was asked for: {', '.join(spoken_of)}")
    pictures = await ready(context, KEY, await read_all(context, KEY, request.reference_images))
    inputs: dict[str, list[Medium]] = {}
    for role, picture in zip(request.roles or ["reference"] * len(pictures), pictures, strict=True):
        inputs.setdefault(_INPUTS[role], []).append(picture)
    outcome = await context.ask("generate", Call("generate_video", for_clip(request), inputs))
    await keep_clips(context, outcome, prefix="reference-video")


async def _pictures(request: Request, context: Context) -> None:
    """Ask for pictures, with the references or without."""
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
