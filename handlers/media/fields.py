"""The fields that several tasks share, once each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from handlers.contract import Json, TaskRequest


def _boolean_text(value: Json) -> Json:
    """Old manifests write booleans as text."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


class ImageFields(TaskRequest):
    """The fields of every task that makes pictures."""

    ALIASES: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"count": "n", "aspectRatio": "aspect_ratio", "outputFormat": "output_format"}
    )

    size: str | None = Field(
        None,
        pattern=r"^([1-9]\d{0,4}x[1-9]\d{0,4}|auto)$",
        description='Width and height in pixels, as "1024x1536", or "auto".',
    )
    aspect_ratio: str | None = Field(
        None,
        pattern=r"^[1-9]\d{0,2}:[1-9]\d{0,2}$",
        description='Width to height, as "16:9", for providers that choose the pixels themselves.',
    )
    quality: str | None = Field(None, description="The provider's own word for how good.")
    style: str | None = Field(None, description="The provider's own word for a style.")
    background: str | None = Field(
        None, description='"transparent", "opaque" or "auto", where a provider can.'
    )
    n: int | None = Field(None, ge=1, le=10, description="How many pictures, 1 to 10.")
    seed: int | None = Field(None, ge=0, description="The same seed gives the same picture.")
    output_format: Literal["png", "jpeg", "webp"] | None = Field(
        None, description="The format of the file."
    )
    negative_prompt: str | None = Field(None, description="What should not be in the picture.")
    nsfw: Annotated[bool | None, BeforeValidator(_boolean_text)] = Field(
        None, description="The provider's switch for adult content."
    )
    preset: Annotated[bool | str | None, BeforeValidator(_boolean_text)] = Field(
        None, description="The provider's own preset."
    )
