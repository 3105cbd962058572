"""Run many requests as one, and sum up what became of them.

Its items stand in a manifest, a JSON array or JSONL with an object a line, or in the request
itself. `{name}` anywhere in their strings is filled in, from `vars`, the item's own `vars`, `index`
and `mode`, and a matrix makes one of each item for every combination of its values. Items run side
by side, as many as their provider takes; unless `continue_on_error` is true, the first failure
cancels those that have not begun.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, NoReturn

from pydantic import BeforeValidator, Field, WithJsonSchema

from handlers.batches.manifests import Entry, Parse, entries_of, items_in, plain_json
from handlers.batches.matrix import faults_in
from handlers.contract import Context, HandlerError, Json, TaskRequest


def _opened(value: Json) -> Json:
    """What JSON text holds; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return plain_json(value.encode("utf-8", "surrogatepass"))
    except ValueError as error:
        raise ValueError(f"is no JSON text: {error}") from None


def _listed(value: Json) -> Json:
    """Items, where one of them is a list of one."""
    opened = _opened(value)
    return [opened] if isinstance(opened, dict) else opened


def _given(value: Json) -> Json:
    """A manifest: the path to one, or what it would hold."""
    if isinstance(value, str):
        if not value.strip():
            raise ValueError("must be a path, or the items themselves")
        return value
    return _listed(value)


_ITEMS = {"type": "array", "items": {"type": "object"}}


class Request(TaskRequest):
    """Run many requests as one."""

    EXAMPLE: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "task": "generate_batch_media",
            "items": [{"prompt": "a {subject} on a white table", "prefix": "{subject}-{index}"}],
            "matrix": {"subject": ["cup", "bowl"], "size": ["1024x1024", "1536x1024"]},
        }
    )

    task: Literal["generate_batch_media"] = "generate_batch_media"
    manifest: Annotated[
        str | list[Any] | None,
        BeforeValidator(_given),
        WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1}, _ITEMS]}),
    ] = Field(
        None,
        description="The path to a manifest, as `tmp/shoes.jsonl`: a JSON array, or an object a "
        "line; in the inbox it would be a request itself. Or the items themselves.",
    )
    items: Annotated[
        list[Any] | None,
        BeforeValidator(_listed),
        WithJsonSchema({"anyOf": [_ITEMS, {"type": "object"}, {"type": "string"}]}),
    ] = Field(
        None,
        description="The requests, also as JSON text; a single one is enough where a matrix makes "
        "many of it.",
    )
    vars_file: str | None = Field(
        None,
        min_length=1,
        description="A file with an object of names, as `tmp/names.json`; goes over `vars`.",
    )
    matrix: dict[str, list[Any]] | None = Field(
        None,
        description="Lists of values by name: each item is made for every combination of them, "
        "which fills in `{name}`, is echoed in `labels`, and becomes a field that the item leaves "
        "out where it is called like one. The last name changes fastest.",
    )
    continue_on_error: bool = Field(
        False,
        description="Whether to go on after an item failed; else those to come are cancelled.",
    )
    summary_out: str | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="Where to write the summary as well, as `tmp/images/summary.json`.",
    )
    contact_sheet: bool = Field(
        False, description="Whether to save a picture of all that was made, labelled by prompt."
    )

    @property
    def manifest_path(self) -> str | None:
        """The path to the manifest, where it is a file; else the items are `inline`."""
        text = self.manifest
        return text if isinstance(text, str) and not text.lstrip().startswith(("[", "{")) else None

    def inline(self, parse: Parse = plain_json) -> Iterator[Entry]:
        """The items that stand in the request itself.

        Args:
            parse: how JSON is parsed, where the manifest is text.

        Raises:
            ManifestUnreadable: that text is none.
        """
        if isinstance(self.manifest, str):
            return items_in(self.manifest.encode("utf-8", "surrogatepass"), "manifest", parse)
        return entries_of(self.manifest if self.items is None else self.items)

    def faults(self) -> Iterable[tuple[str, str]]:
        """No items, items twice, and what is wrong with the matrix."""
        if self.manifest is None and self.items is None:
            yield "items", "is missing: give items, or the path to a manifest"
        if self.manifest is not None and self.items is not None:
            yield "items", "goes with no manifest: give one of both"
        for message in faults_in(self.matrix or {}):
            yield "matrix", message


async def run(request: Request, context: Context) -> NoReturn:  # noqa: ARG001
    """A batch is nothing to be run: its items are.

    Raises:
        HandlerError: `internal`, always.
    """
    raise HandlerError("internal", "a batch was run as if it were one of its items")
