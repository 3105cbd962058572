"""What a dialect is: the differences between one server of the OpenAI shape and the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from handlers.contract import Json
from handlers.openai_shape.room import UNKNOWN, Room

Geometry = Literal["as_given", "openai", "pixels", "ratio"]
"""How a server is told the shape of a picture: with the fields as they are; with a `size` of its
list; with `width` and `height`; with an `aspect_ratio` of its list."""

Edits = Literal["form", "xai", "references", "localai"]
"""How pictures go along: as files of a form; as `image` or `images` in JSON; as
`input_references` in JSON; or as LocalAI wants them."""

Prompts = Literal["plain", "sdcpp", "localai"]
"""What the prompt carries besides: nothing; controls in a tag; a negative prompt behind a bar."""


@dataclass(frozen=True, slots=True)
class Videos:
    """How a server makes clips."""

    create: str = "/videos"
    poll: str = "/videos/{id}"
    content: str | None = "/videos/{id}/content"
    """Where the clip is once it is done, if the answer does not say."""
    fields: frozenset[str] | None = None
    """What it knows; None: whatever is given is sent."""
    length: str = "seconds"
    """The field for how long it is to be."""
    length_is_text: bool = True
    pictures: Literal["form", "free", "xai", "openrouter"] | None = "form"
    """How pictures go along: one as a file of a form; as the caller says; as objects in JSON; as
    frames with a role. None: there is no way."""
    form_alone: bool = False
    """Whether a call without a picture is a form too."""
    most_references: int | None = None


@dataclass(frozen=True, slots=True)
class Dialect:
    """One row: a server, and how it differs from OpenAI's own."""

    name: str
    title: str
    example: str
    """A base URL, for the documentation."""
    hosts: tuple[str, ...] = ()
    """Hosts, and all below them, that speak so."""
    names: tuple[str, ...] = ()
    """Names of entries that mean this server."""

    generate: str = "/images/generations"
    edit: str | None = "/images/edits"
    job: str = "/images/generations/{id}"
    """Where a job that makes pictures is asked for, if its answer does not say."""
    fields: frozenset[str] | None = None
    """What it knows of a task's fields; None: whatever is given is sent."""
    defaults: Mapping[str, Json] = field(default_factory=lambda: MappingProxyType({}))
    """What is sent unless the caller gives it."""
    unless_given: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """A warning for each field that had better be given."""
    geometry: Geometry = "as_given"
    prompts: Prompts = "plain"
    edits: Edits | None = "form"
    one_picture: str = "image"
    """The name of the form's field for a single picture."""
    references_edit: bool = False
    """Whether reference pictures make a generation an edit; else they go along as data URLs."""
    mask: Literal["alpha", "white"] | None = "alpha"
    """How it reads a mask: transparent is changed, or white is. None: it reads none, and none is
    sent."""
    mask_name: str = "mask"
    """The name of the form's field for a mask."""
    most_pictures: int | None = None
    """How many pictures may go along."""
    room: Room = UNKNOWN
    """How large they may be."""
    videos: Videos | None = None
    whole: float = 100.0
    """What its `progress` says at the end."""
    key_header: str = "authorization"
    key_prefix: str = "Bearer "
    models: str = "/models"
    """Where it lists its models."""
    models_are_all: bool = True
    """Whether a call's model is one of that list."""
    key_check: str | None = None
    """What only a good key may get, and for free; None: nothing is known to be so."""

    limits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()
    untried: frozenset[str] = frozenset()
    """The operations of which no source says that they work as here."""

    @property
    def operations(self) -> frozenset[str]:
        """What it can do, by the names of `Call.operation`."""
        edits = {"edit_image"} if self.edits else set()
        videos = {"generate_video"} if self.videos else set()
        return frozenset({"generate_image"} | edits | videos)
