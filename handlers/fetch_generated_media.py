"""Save the media that a provider returned, in whatever form it returned them.

An answer is given as text or JSON, as a page, as an address, or as a file. Every picture and clip
in it is saved, in order and each once; thumbnails and previews are no results. Nobody is asked and
nothing is paid: addresses are fetched without any key. What cannot be fetched stays in the result's
`references`, as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import Field

from handlers.answers.encoded import sniff
from handlers.answers.found import Found
from handlers.contract import Context, HandlerError, Medium, TaskRequest
from handlers.media.fields import InputField

_WAYS = ("response", "url", "file", "html")
_TINY = (
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAIAQMAAAD+wSzIAAAAA1BMVEUAAACnej3aAAAAC0lEQVR4"
    "2mNgQAUAABAAAaoZ+IIAAAAASUVORK5CYII="
)
"""A picture of 8 x 8 pixels."""


class Request(TaskRequest):
    """Save what a provider returned."""

    EXAMPLE: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "task": "fetch_generated_media",
            "response": {"data": [{"b64_json": _TINY}]},
        }
    )

    task: Literal["fetch_generated_media"] = "fetch_generated_media"
    response: Any = Field(None, description="What the provider answered: text, or any JSON.")
    url: str | None = Field(
        None,
        pattern=r"^https?://\S+$",
        description="The address of a medium, or of an answer or a page that holds some.",
    )
    file: InputField | None = Field(
        None, description="A file that holds a medium, an answer or a page."
    )
    html: str | None = Field(None, min_length=1, description="A page.")
    origin: str | None = Field(
        None,
        pattern=r"^https?://\S+$",
        description="What relative addresses in it are relative to.",
    )
    kind: Literal["image", "video"] | None = Field(
        None, description="What is wanted, where it holds both, or does not say."
    )

    @property
    def needs_download(self) -> str:
        """It does nothing else."""
        return "to fetch is all that this task does"

    def faults(self) -> Iterable[tuple[str, str]]:
        """One answer, in one way."""
        given = [name for name in _WAYS if getattr(self, name) is not None]
        if len(given) != 1:
            yield given[1] if given else "response", f"give one of {', '.join(_WAYS)}, and only one"


async def run(request: Request, context: Context) -> None:
    """Read the answer, fetch what it names, keep all of it."""
    found = await _found(request, context)
    for note in found.notes:
        context.warn(note)
    for reference in found.references:
        context.refer(reference)
    kept = 0
    for number, medium in enumerate(found.media, start=1):
        home = await _home(context, number, medium)
        if home is not None:
            await context.keep(f"medium {number}", home, prefix="fetched")
            kept += 1
    if not kept:
        raise _nothing(found)


async def _found(request: Request, context: Context) -> Found:
    """The media of the answer, whichever way it was given."""
    named = request.url if request.url is not None else request.file
    if isinstance(named, str) and named[:5].lower() == "data:":
        return await context.work(partial(_read, None, request.origin, request.kind, named))
    if named is not None:
        medium = await context.read("read the answer", named, text=True)
        if (media_type := sniff(await context.head(medium))) is not None:  # it may be large
            return Found([replace(medium, media_type=media_type)])
        base = request.origin or request.url
        return await context.work(partial(_read, medium.media_type, base, request.kind), medium)
    body, media_type = request.response, None
    if request.html is not None:
        body, media_type = request.html, "text/html"
    read = partial(_read, media_type, request.origin, request.kind, body)
    return await context.work(read)


def _read(
    media_type: str | None, base_url: str | None, kind: Literal["image", "video"] | None, body: Any
) -> Found:
    from handlers.answers.media import read_anything

    return read_anything(body, media_type=media_type, base_url=base_url, kind=kind)


async def _home(context: Context, number: int, medium: Medium) -> Medium | None:
    """A medium with its bytes; None where they cannot be had, which the result tells. An answer
    may name addresses, and none of our files."""
    if medium.url is None:
        return medium
    if not medium.url.lower().startswith(("https://", "http://")):
        context.refer({"reference": medium.url, "reason": "it is no address that can be fetched"})
        return None
    try:
        return await context.read(f"fetch {number}", medium.url)
    except HandlerError as error:
        context.refer({"reference": medium.url, "reason": f"{error.code}: {error.message}"})
        return None


def _nothing(found: Found) -> HandlerError:
    if found.media:
        return HandlerError(
            "download_failed",
            f"none of the {len(found.media)} media in it could be fetched",
            hints=["The result's references say why; use retry to fetch them again."],
            retryable=True,
        )
    return HandlerError(
        "no_media",
        "there is nothing in it that can be saved",
        hints=["The result's references list what was found and cannot be had."],
    )
