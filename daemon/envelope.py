"""The fields that every task takes. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
)

from daemon.clock import normal_rfc3339
from daemon.errors import BadRequest
from daemon.strictjson import parse_json
from handlers.contract import Json

MAX_LABELS = 8 << 10
"""Bytes of JSON in `labels`, which every event of the job's end carries."""

MAX_DEADLINE = 10 * 366 * 24 * 3600
"""Seconds: ten years."""

MAX_PROVIDERS = 10

MAX_ID = 200
"""Characters of a sender's id."""

MAX_AFTER = 100
"""Names in `after`."""

LONGEST_REFERENCE = 1000
"""Characters of a name in `after`, as of one in `from`."""


def _safe_prefix(text: str) -> str:
    """A file name's beginning out of what somebody typed: "hero shot.png" -> "hero-shot"."""
    if "/" in text or "\0" in text:
        raise ValueError("a prefix names no folder; use out_dir for that")
    stem = re.sub(r"\.(png|jpe?g|webp|mp4|webm|mov)$", "", text.strip(), flags=re.IGNORECASE)
    safe = re.sub(r"[^\w.+-]+", "-", stem).strip("-.")[:80]
    safe = safe.encode()[:160].decode("utf-8", "ignore")  # the name has other parts to hold
    if not safe:
        raise ValueError("nothing of it can be used in a file's name")
    return safe


def _small_labels(labels: dict[str, Json]) -> dict[str, Json]:
    if len(json.dumps(labels)) > MAX_LABELS:
        raise ValueError(f"larger than {MAX_LABELS} bytes")
    return labels


def _providers(value: Json) -> str | tuple[str, ...] | None:
    names = value if isinstance(value, list) else [value]
    if value is None:
        raise ValueError("must be a provider's name, or a list of names; leave it out for neither")
    if not all(isinstance(name, str) and name for name in names) or not names:
        raise ValueError("must be a provider's name, or a list of names")
    if len(names) > MAX_PROVIDERS:
        raise ValueError(f"names more than {MAX_PROVIDERS} providers")
    if len(set(names)) < len(names):
        raise ValueError("names a provider twice")
    return value if isinstance(value, str) else tuple(names)


def _after(value: Json) -> tuple[str, ...]:
    names = value if isinstance(value, list) else [value] if value is not None else []
    if not all(isinstance(name, str) and 0 < len(name) <= LONGEST_REFERENCE for name in names):
        raise ValueError('must be the name of a request, as "cat.json", or a list of names')
    if len(names) > MAX_AFTER:
        raise ValueError(f"names more than {MAX_AFTER} requests")
    return tuple(names)


def _fields_in(value: Json) -> dict[str, Json]:
    """An object, or the JSON text of one."""
    try:
        fields = parse_json(value.encode()) if isinstance(value, str) else value
    except BadRequest as error:
        raise ValueError(f"is no JSON text: {error.problem.message}") from None
    if not isinstance(fields, dict):
        raise ValueError("must be an object, or the JSON text of one")  # noqa: TRY004
    return fields


class Envelope(BaseModel):
    """The fields that every task takes."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    ALIASES: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"filename": "prefix", "timeoutMs": "timeout", "vars_json": "vars"}
    )

    id: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_ID,
        description="Your own id for this request: the same id and body is answered once.",
    )
    provider: Annotated[
        str | tuple[str, ...] | None,
        PlainValidator(_providers),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string", "minLength": 1},
                    {
                        "type": "array",
                        "items": {"type": "string", "minLength": 1},
                        "minItems": 1,
                        "maxItems": MAX_PROVIDERS,
                        "uniqueItems": True,
                    },
                ]
            }
        ),
    ] = Field(
        None,
        description="Which provider, by its name in the configuration; of a list the next is "
        "asked where one cannot answer.",
    )
    model: str | None = Field(None, min_length=1, description="Which of the provider's models.")
    endpoint: str | None = Field(None, min_length=1, description="The provider's path, if odd.")
    extra: dict[str, Any] | None = Field(
        None, description="Fields merged last into the provider's body, untouched."
    )
    extra_json: Annotated[
        dict[str, Any] | None,
        PlainValidator(_fields_in),
        WithJsonSchema({"type": ["object", "string"]}),
    ] = Field(None, description="The same as `extra`, also as JSON text; goes over it.")
    extra_json_file: str | None = Field(
        None,
        min_length=1,
        description="A file with such an object, as `inbox/extra.json`; goes over both.",
    )
    out_dir: str | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description='Where to save, as "tmp/images/shoes".',
    )
    prefix: Annotated[str, AfterValidator(_safe_prefix)] | None = Field(
        None, min_length=1, max_length=300, description="How the names of saved files begin."
    )
    max_attempts: int | None = Field(None, ge=1, le=100, description="Attempts before it fails.")
    timeout: float | None = Field(
        None, gt=0, le=86400, description="Seconds that one call may take."
    )
    poll_interval: float | None = Field(
        None,
        gt=0,
        le=3600,
        description="Seconds before the provider is first asked for what it works on, where it "
        "does not say itself.",
    )
    max_polls: int | None = Field(
        None, ge=1, le=1_000_000, description="How often it is asked for that, at the most."
    )
    priority: int = Field(0, ge=-100, le=100, description="Those with more go first.")
    not_before: Annotated[str, AfterValidator(normal_rfc3339)] | None = Field(
        None,
        max_length=100,
        description="When to start at the earliest, as 2026-11-22T10:00:00+01:00 (RFC 3339).",
    )
    deadline_seconds: float | None = Field(
        None,
        gt=0,
        le=MAX_DEADLINE,
        description="Seconds from its acceptance after which it is not wanted any more.",
    )
    download: bool = Field(
        True,
        description="Whether media are brought home; if not, the result lists where the provider "
        "has them.",
    )
    after: Annotated[
        tuple[str, ...],
        PlainValidator(_after),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string", "minLength": 1, "maxLength": LONGEST_REFERENCE},
                    {
                        "type": "array",
                        "items": {
                            "type": "string",
                            "minLength": 1,
                            "maxLength": LONGEST_REFERENCE,
                        },
                        "maxItems": MAX_AFTER,
                    },
                    {"type": "null"},
                ]
            }
        ),
    ] = Field(
        (),
        description="Requests of the same folder, or items of the same batch by their ids, that "
        'must succeed first, as "cat.json"; one, or a list.',
    )
    dry_run: bool = Field(False, description="Check everything, call nobody.")
    vars: Annotated[
        dict[str, Any] | None,
        PlainValidator(_fields_in),
        WithJsonSchema({"type": ["object", "string"]}),
    ] = Field(
        None,
        description="What `{name}` stands for in the strings of this request, or of all items of a "
        "batch; also as JSON text.",
    )
    labels: Annotated[dict[str, Any], AfterValidator(_small_labels)] = Field(
        default_factory=dict, description="Anything of yours; echoed in events and the result."
    )

    @property
    def providers(self) -> tuple[str, ...]:
        """The providers that were named, in order."""
        named = self.provider
        return (named,) if isinstance(named, str) else named or ()

    @property
    def body(self) -> Mapping[str, Json]:
        """What is merged last into the provider's body."""
        return {**(self.extra or {}), **(self.extra_json or {})}
