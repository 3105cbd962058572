"""The fields that tasks which make clips share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from handlers.contract import Json
from handlers.media.fields import MadeFields

MOST_SECONDS = 3600

_LENGTH = re.compile(r"\s*(-?\d{1,6})(?:\.0*)?\s*(?:s|sec|secs|seconds?)?\s*", re.IGNORECASE)


def _whole_seconds(value: Json) -> Json:
    """Whole seconds out of 6, 6.0, "6" or "5s"."""
    if isinstance(value, str) and (found := _LENGTH.fullmatch(value)):
        return int(found[1])
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise ValueError('must be whole seconds, as 6 or "6s"')


class VideoFields(MadeFields):
    """The fields of every task that makes clips."""

    ALIASES: ClassVar[Mapping[str, str]] = MappingProxyType(
        {**MadeFields.ALIASES, "durationSeconds": "seconds"}
    )

    resolution: str | None = Field(
        None, min_length=1, description='The provider\'s own word for how fine, as "720p".'
    )
    seconds: int | None = Field(None, ge=1, le=MOST_SECONDS, description="How long, in seconds.")
    duration: Annotated[
        int | None, BeforeValidator(_whole_seconds, json_schema_input_type=int | str | None)
    ] = Field(
        None,
        ge=1,
        le=MOST_SECONDS,
        description='The same, as 6 or "6s"; `seconds` wins.',
    )
    fps: int | None = Field(None, ge=1, le=240, description="Frames a second.")
    status_endpoint_template: str | None = Field(
        None,
        pattern=r"^/[^/\s]\S*\{id\}\S*$",
        description='Where the provider tells how far a job is, as "/videos/{id}".',
    )


def for_clip(request: VideoFields) -> dict[str, Json]:
    """The fields of a request that go to whoever makes the clip, and only those that the caller
    gave; how long it is to be is told in `seconds`."""
    names = {"prompt", *VideoFields.model_fields}
    fields = request.model_dump(exclude_none=True, include=names)
    duration = fields.pop("duration", None)
    if duration is not None:
        fields.setdefault("seconds", duration)
    return fields
