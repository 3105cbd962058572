"""The fields that several tasks share, once each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, PlainValidator, ValidationError, WithJsonSchema

from handlers.contract import Earlier, Input, Json, TaskRequest
from handlers.media.choices import Mode, Selection, box_of
from handlers.media.regions import MOST_PIXELS_FEATHERED, MOST_PIXELS_GROWN

MOST_PICTURES = 32
"""How many pictures one request may name. Most providers take fewer."""


def _boolean_text(value: Json) -> Json:
    """Old manifests write booleans as text."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


class MadeFields(TaskRequest):
    """The fields of every task that has something made."""

    ALIASES: ClassVar[Mapping[str, str]] = MappingProxyType({"aspectRatio": "aspect_ratio"})

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
    seed: int | None = Field(None, ge=0, description="The same seed makes the same.")
    negative_prompt: str | None = Field(None, description="What should not be in it.")
    preset: Annotated[bool | str | None, BeforeValidator(_boolean_text)] = Field(
        None, description="The provider's own preset."
    )


class ImageFields(MadeFields):
    """The fields of every task that makes pictures."""

    ALIASES: ClassVar[Mapping[str, str]] = MappingProxyType(
        {**MadeFields.ALIASES, "count": "n", "outputFormat": "output_format"}
    )

    quality: str | None = Field(None, description="The provider's own word for how good.")
    style: str | None = Field(None, description="The provider's own word for a style.")
    background: str | None = Field(
        None, description='"transparent", "opaque" or "auto", where a provider can.'
    )
    n: int | None = Field(None, ge=1, le=10, description="How many pictures, 1 to 10.")
    output_format: Literal["png", "jpeg", "webp"] | None = Field(
        None, description="The format of the file."
    )
    nsfw: Annotated[bool | None, BeforeValidator(_boolean_text)] = Field(
        None, description="The provider's switch for adult content."
    )

    @property
    def needs_download(self) -> str | None:
        """What `keep_outside` pastes the picture's own pixels into."""
        keeps = getattr(self, "keep_outside", False)  # of the tasks that edit
        return "keep_outside puts pixels back into what the provider made" if keeps else None


def for_provider(request: ImageFields) -> dict[str, Json]:
    """The fields of a request that go to its provider: those of pictures, and only those that the
    caller gave."""
    names = {"prompt", *ImageFields.model_fields}
    return request.model_dump(exclude_none=True, include=names)


# ---------------------------------------------------------------- inputs


def _input(value: Json) -> Input:
    """A path, an address, a data URL, or the artifact of another request."""
    if isinstance(value, str):
        if not value.strip():
            raise ValueError("is empty; name a picture")
        return value
    if not isinstance(value, dict):
        raise ValueError(_INPUT)  # noqa: TRY004 - the model's own kind of error
    try:
        return Earlier.model_validate(value)
    except ValidationError as error:
        told = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg'].lower()}" for one in error.errors()
        )
        raise ValueError(f"is not like this: {_EARLIER} ({told})") from None


_EARLIER = '{"from": "cat.json", "artifact": 0, "role": "output"}'
_INPUT = f"must be a path, an https address, a data URL, or an object like {_EARLIER}"
_INPUT_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {
            "type": "object",
            "properties": {
                "from": {"type": "string"},
                "artifact": {"type": "integer", "minimum": 0, "default": 0},
                "role": {"enum": ["output", "mask", "prepared_input", "poster"]},
            },
            "required": ["from"],
            "additionalProperties": False,
        },
    ]
}

InputField = Annotated[Input, PlainValidator(_input), WithJsonSchema(_INPUT_SCHEMA)]
"""The type of a field that names one input."""


def as_list(value: Json) -> Json:
    """One thing as a list of one: a caller may leave out the brackets."""
    return value if isinstance(value, list) else [value]


InputsField = Annotated[
    list[InputField],
    BeforeValidator(as_list, json_schema_input_type=InputField | list[InputField]),
    Field(min_length=1, max_length=MOST_PICTURES),
]
"""The type of a field that names one or several inputs."""

PROMPT = "What to make of it. Never changed on its way."


FEATHER = "Then make its edge soft: a Gaussian, in pixels."


class MaskFields(TaskRequest):
    """How a mask is worked over: grown, shrunk, made soft, in this order."""

    expand: int = Field(
        0, ge=0, le=MOST_PIXELS_GROWN, description="Grow the mask by so many pixels."
    )
    shrink: int = Field(
        0, ge=0, le=MOST_PIXELS_GROWN, description="Then shrink it by so many pixels."
    )
    feather: int = Field(8, ge=0, le=MOST_PIXELS_FEATHERED, description=FEATHER)


class SelectionFields(MaskFields):
    """How an object is told from what is around it."""

    threshold: int = Field(
        40,
        ge=0,
        le=442,
        description="corner-bg: how far a colour is at least from the backdrop's, in RGB; alpha: "
        "how opaque a pixel is at least, up to 255.",
    )
    sample_size: int = Field(
        8,
        ge=1,
        le=4096,
        description="corner-bg: the side of the squares in the corners, in pixels.",
    )
    box: str | None = Field(
        None,
        pattern=r"^-?\d{1,6}:-?\d{1,6}:\d{1,6}:\d{1,6}$",
        description='grabcut: around the object, "x:y:width:height" in pixels.',
    )
    fill_holes: int = Field(
        0, ge=0, description="Holes in the object of at most so many pixels become part of it."
    )
    remove_specks: int = Field(
        0, ge=0, description="Selected specks of at most so many pixels do not."
    )

    def selection(self, mode: Mode) -> Selection:
        """How to select, by one of the ways."""
        return Selection(
            mode,
            self.threshold,
            self.sample_size,
            box_of(self.box) if self.box is not None else None,
            self.fill_holes,
            self.remove_specks,
        )

    def faults_of(self, mode: Mode) -> Iterable[tuple[str, str]]:
        """What one of the ways needs, and the others do not take."""
        if mode == "grabcut" and self.box is None:
            yield "box", 'is missing: grabcut wants "x:y:width:height" around the object'
        if mode != "grabcut" and self.box is not None:
            yield "box", "goes with grabcut only"
        if mode == "alpha" and self.threshold > 255:
            yield "threshold", "alpha goes up to 255"
