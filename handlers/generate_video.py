"""Make a short clip from a prompt, from a picture, or after one.

A provider works on a clip for minutes: it is asked how far it is until the clip is there, through
restarts. The clip is decoded before it counts, and a picture that stands for it is saved beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import Field

from handlers.contract import Call, Context, Input, Json, Kind, Medium
from handlers.media.clipfields import VideoFields, for_clip
from handlers.media.fields import PROMPT, InputField
from handlers.media.inputs import read, ready
from handlers.media.keeping import keep_clips


class Request(VideoFields):
    """Make a clip."""

    EXAMPLE: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "task": "generate_video",
            "prompt": "the helmet turns slowly, bubbles rise",
            "image": "inbox/helmet.png",
            "seconds": 4,
        }
    )

    task: Literal["generate_video"] = "generate_video"
    mode: Literal["text", "animate", "reference", "video"] = Field(
        "text",
        description="animate: `image` is the first frame; reference: the clip is made after it. "
        "Old manifests say video, which is text.",
    )
    image: InputField | None = Field(
        None, description="A picture to begin with, or with mode reference to go by."
    )
    last_frame: InputField | None = Field(
        None, description="A picture to end with, where a provider can."
    )
    image_field: (
        Literal["image", "input_image", "first_frame_image", "reference_images", "input_reference"]
        | None
    ) = Field(
        None,
        description="The field in which a server that nobody knows wants the picture; by `mode`, "
        "if left out.",
    )
    image_transport: Literal["auto", "path", "data-url", "multipart"] = Field(
        "auto",
        description="How such a server gets it: as a file of a form, as text in JSON, or by its "
        "path, which the provider's entry must allow.",
    )
    prompt: str = Field(min_length=1, description=PROMPT)

    @property
    def makes(self) -> Kind:
        return "video"

    def faults(self) -> Iterable[tuple[str, str]]:
        """A picture where one is spoken of, and a path where one is to be sent."""
        if self.mode in ("animate", "reference") and self.image is None:
            yield "image", f"is missing: the mode {self.mode} needs one"
        if self.mode == "reference" and self.last_frame is not None:
            yield "last_frame", "goes with a first frame, and the mode reference has none"
        if self.image_transport == "path" and self.image is not None and not _is_path(self.image):
            yield "image", "must be a path where image_transport is path"


async def run(request: Request, context: Context) -> None:
    """Read the pictures, ask once, keep the clip."""
    fields = {**for_clip(request), **_about_picture(request)}
    call = Call("generate_video", fields, await _pictures(request, context))
    outcome = await context.ask("generate", call)
    await keep_clips(context, outcome, prefix="generated-video")


async def _pictures(request: Request, context: Context) -> dict[str, Sequence[Medium]]:
    """The pictures that go along, by what they are to the clip."""
    first = "reference_images" if request.mode == "reference" else "image"
    named = {first: ("image", request.image), "last_frame": ("last_frame", request.last_frame)}
    return {
        role: await ready(context, field, [await read(context, field, source)])
        for role, (field, source) in named.items()
        if source is not None
    }


def _about_picture(request: Request) -> dict[str, Json]:
    """What is said about how the picture goes along, to whoever phrases the call."""
    if request.image is None:
        return {}
    told: dict[str, Json] = {}
    if request.mode in ("animate", "reference"):
        told["mode"] = request.mode
    if request.image_field is not None:
        told["image_field"] = request.image_field
    if request.image_transport != "auto":
        told["image_transport"] = request.image_transport
    if request.image_transport == "path":
        told["image_path"] = request.image if isinstance(request.image, str) else ""
    return told


def _is_path(source: Input) -> bool:
    return isinstance(source, str) and not source.lower().startswith(("data:", "https:", "http:"))
