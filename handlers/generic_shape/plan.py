"""What an entry with `api = "generic"` says of its service: where calls go, how pictures go along,
and where things stand in an answer. Whatever it does not say is found by shape.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from handlers.answers.paths import Path, path_of
from handlers.contract import HandlerError, Json
from handlers.openai_shape.addresses import check_base_url, own_path
from handlers.openai_shape.dialects import Dialect
from handlers.wire import Entry

Form = Literal["data-url", "base64", "multipart"]
"""How a picture goes along: as a data URL or as base64 in JSON, or as a file of a form."""

OPTIONS: Mapping[str, str] = {
    "endpoint": 'where pictures are asked for, as "/generate"',
    "edit_endpoint": 'where edits of pictures are asked for, as "/edit"',
    "video_endpoint": 'where clips are asked for, as "/animate"',
    "image_field": 'the field that holds a picture, as "image"; "images[]" is always a list',
    "mask_field": 'the field that holds the mask, as "mask"',
    "mask_rule": '"white" or "alpha": what of a mask is changed, its white or its transparent part',
    "pictures": '"data-url", "base64" or "multipart": how pictures go along',
    "id_path": 'where in an answer the name of a job stands, as "job.id"',
    "status_path": 'where a job is asked for, as "/jobs/{id}", or where in an answer that address '
    'stands, as "links.status"',
    "state_path": 'where in an answer the word for its progress stands, as "job.state"',
    "result_path": 'where in an answer the media stand, as "job.files[*].href", or where the '
    'result of a job is asked for, as "/jobs/{id}/result"',
    "error_path": 'where in an answer it says what went wrong, as "job.failure"',
}
"""What an entry may say, and what it is for."""

_FIELD = re.compile(r"[^\s\[\]]{1,200}(?:\[\])?")
_ENDPOINT = re.compile(r"/[^\s#]{0,1000}")


@dataclass(frozen=True, slots=True)
class Plan:
    """How one service is spoken to."""

    entry: Entry
    endpoints: Mapping[str, str]
    """A path below the base URL, by operation; `{model}` stands for the model."""
    image_field: str = "image"
    """With "[]" at its end it holds a list, even of a single picture."""
    mask_field: str | None = None
    """None: it reads no masks, and none is sent."""
    mask_rule: Literal["alpha", "white"] | None = None
    pictures: Form = "data-url"
    id_at: Path | None = None
    state_at: Path | None = None
    error_at: Path | None = None
    status: str | Path | None = None
    """Where a job is asked for: a path of the service with `{id}`, or where an answer says it."""
    result: str | Path | None = None
    """Where the media are: a path of the service with `{id}`, or where in an answer."""

    @property
    def dialect(self) -> Dialect:
        """What the code that is shared with servers of the OpenAI shape goes by."""
        return Dialect("generic", self.entry.name, self.entry.base_url, mask=self.mask_rule)

    def address(self, path: str) -> str:
        """The address of a path: behind the base URL as that stands."""
        return self.entry.base_url + own_path(path)


def plan_of(entry: Entry) -> Plan:
    """The plan of an entry.

    Raises:
        HandlerError: `config_invalid`: its address or its options cannot be meant so.
    """
    check_base_url(entry)
    if entry.dialect is not None:
        raise _invalid(entry, "dialect", "Leave it out: options say how this service differs.")
    read = {name: _option(entry, name, value) for name, value in entry.options.items()}
    if ("mask_field" in read) != ("mask_rule" in read):
        missing = "mask_rule" if "mask_field" in read else "mask_field"
        told = f"mask_field and mask_rule go together; {missing} is {OPTIONS[missing]}."
        raise _invalid(entry, missing, told)
    return Plan(
        entry,
        _endpoints(read),
        read.get("image_field", "image"),
        read.get("mask_field"),
        read.get("mask_rule"),
        read.get("pictures", "data-url"),
        read.get("id_path"),
        read.get("state_path"),
        read.get("error_path"),
        read.get("status_path"),
        read.get("result_path"),
    )


def _endpoints(read: Mapping[str, Any]) -> dict[str, str]:
    """The path of each operation. A service of which none is said has one address: its base URL.
    Edits go where pictures are asked for, if it is said how a picture goes along."""
    named = ("endpoint", "edit_endpoint", "video_endpoint")
    generate = read.get("endpoint", None if any(name in read for name in named) else "")
    edit = read.get("edit_endpoint", generate if "image_field" in read else None)
    paths = {
        "generate_image": generate,
        "edit_image": edit,
        "generate_video": read.get("video_endpoint"),
    }
    return {operation: path for operation, path in paths.items() if path is not None}


# ---------------------------------------------------------------- options


def _option(entry: Entry, name: str, value: Json) -> Any:
    """The value of an option, read."""
    if name not in OPTIONS:
        raise _invalid(entry, name, f"Options are: {', '.join(OPTIONS)}.")
    try:
        if isinstance(value, str) and value:
            return _READ[name](value)
    except HandlerError as error:
        raise _invalid(entry, name, error.message, *error.hints) from None
    except ValueError:
        pass
    raise _invalid(entry, name, f"{name} is {OPTIONS[name]}.")


def _endpoint(value: str) -> str:
    if not _ENDPOINT.fullmatch(value):
        raise ValueError(value)
    return own_path(value)


def _field(value: str) -> str:
    if not _FIELD.fullmatch(value):
        raise ValueError(value)
    return value


def _one_of(*words: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value not in words:
            raise ValueError(value)
        return value

    return read


def _template_or_path(value: str) -> str | Path:
    if not value.startswith("/"):
        return path_of(value)
    if "{id}" not in value:
        raise ValueError(value)
    return _endpoint(value)


_READ: Mapping[str, Callable[[str], Any]] = {
    "endpoint": _endpoint,
    "edit_endpoint": _endpoint,
    "video_endpoint": _endpoint,
    "image_field": _field,
    "mask_field": _field,
    "mask_rule": _one_of("white", "alpha"),
    "pictures": _one_of("data-url", "base64", "multipart"),
    "id_path": path_of,
    "status_path": _template_or_path,
    "state_path": path_of,
    "result_path": _template_or_path,
    "error_path": path_of,
}


def _invalid(entry: Entry, name: str, *hints: str) -> HandlerError:
    return HandlerError(
        "config_invalid",
        f"the option {name} of the provider {entry.name} cannot be meant so",
        hints=[hint if hint.endswith(".") else f"{hint}." for hint in hints],
    )
