"""The items of a batch: multiplied by its matrix, with their names filled in. Pure.

An old manifest comes out as the old skill sent it: what was `null` there was not given, the text of
a number was a number to whoever took it, and `print_json` had no effect on what was made.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from handlers.batches.fields import NUMBERS, left_out, number_of
from handlers.batches.manifests import Entry, ItemFault, kind_of, plain_json
from handlers.batches.matrix import Combination, Matrix, TooManyItems, combinations, size_of
from handlers.batches.templating import FilledTooLarge, render
from handlers.contract import Json

MOST_ITEMS: Final = 100_000
"""How many items one batch may have, unless the caller says otherwise."""

_JSON_TEXTS: Final = ("extra_json", "response")
"""Fields that hold an object, or the JSON text of one."""

_NO_BATCH: Final = "a batch is no item of a batch; list its items here, or drop it by itself"
_NO_CONFIGURATION: Final = (
    "an item cannot choose the configuration; name one of the providers in it with provider"
)


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a batch as it is to be run, or what is wrong with it."""

    index: int
    """From 1, over everything that comes of the batch."""
    value: dict[str, Json] | None
    """The request that it is, for the door to judge."""
    fault: ItemFault | None = None
    line: int | None = None
    """Its line in the manifest, from 1, where it has one."""


def shared_names(inline: Mapping[str, Json] | None, file: Mapping[str, Json]) -> dict[str, Json]:
    """The names that all items share: those of `vars`, and over them those of `vars_file`, as it
    was in the old skill, and as it is with `extra_json_file`."""
    return {**(inline or {}), **file}


def expand(
    matrix: Matrix | None,
    entries: Iterable[Entry],
    shared: Mapping[str, Json],
    *,
    most: int = MOST_ITEMS,
) -> Iterator[Item]:
    """Make the items of a batch, in order: each as often as the matrix has combinations.

    A name stands for what the item's own `vars` say, else the combination, else the shared names;
    `index` and `mode` are the item's number and what it makes, where nobody gave them otherwise. A
    combination becomes the item's `labels` too, and where one of its names is a field that the item
    leaves out, it becomes that field.

    Args:
        matrix: lists of values, by name.
        entries: the items as they were written.
        shared: what names stand for in all of them.
        most: how many items may come of it.

    Raises:
        TooManyItems: more would come of it; at once where `entries` has a length, or else at the
            first item that is too many.
    """
    combinations(matrix, most)
    if isinstance(entries, Sequence):
        count = sum(1 if entry.value is None else size_of(matrix) for entry in entries)
        if count > most:
            raise TooManyItems(f"{count:,} items come of it; {most:,} may be")
    return _expanded(matrix, entries, dict(shared), most)


def _expanded(
    matrix: Matrix | None, entries: Iterable[Entry], shared: dict[str, Json], most: int
) -> Iterator[Item]:
    index = 0
    for entry in entries:
        once: Iterable[Combination] = ({},)
        for combination in once if entry.value is None else combinations(matrix, most):
            index += 1
            if index > most:
                raise TooManyItems(f"more than {most:,} items come of it, which is the most")
            yield item_of(index, entry, combination, shared)


def item_of(index: int, entry: Entry, combination: Combination, shared: dict[str, Json]) -> Item:
    """One item, or what is wrong with it."""
    if entry.value is None:
        return Item(index, None, entry.fault, entry.line)
    made = _request(index, entry.value, combination, shared)
    if isinstance(made, ItemFault):
        return Item(index, None, made, entry.line)
    return Item(index, made, None, entry.line)


def _request(
    index: int, written: Mapping[str, Json], combination: Combination, shared: dict[str, Json]
) -> dict[str, Json] | ItemFault:
    """The request that an item is, or what is wrong with it."""
    own = written.get("vars") or {}
    if not isinstance(own, dict):
        return ItemFault("invalid_request", f"must be an object, not {kind_of(own)}", "/vars")
    try:
        filled = _filled(index, written, ChainMap(own, combination, shared))
    except FilledTooLarge as error:
        return ItemFault("limit_exceeded", str(error))
    except RecursionError:
        return ItemFault("limit_exceeded", "nested too deeply")
    value = _as_fields(filled, combination)
    if value.get("task") == "generate_batch_media":
        return ItemFault("invalid_request", _NO_BATCH, "/task")
    if "config" in value:
        return ItemFault("invalid_request", _NO_CONFIGURATION, "/config")
    return value


def _filled(index: int, item: Mapping[str, Json], names: ChainMap[str, Json]) -> dict[str, Json]:
    """An item with its names filled in, and without its own `vars`."""
    written = {name: _opened(name, value) for name, value in item.items() if name != "vars"}
    names.maps.append({"index": index})
    mode = render(written.get("mode"), names) or _made_by(written.get("task"))
    names.maps.append({"mode": mode})
    filled: dict[str, Json] = render(written, names)
    return filled


def _made_by(task: Json) -> str:
    return "video" if task == "generate_video" else "image"


def _opened(name: str, value: Json) -> Json:
    """What a field is that holds JSON text: there two braces in a row are no literal one."""
    if name not in _JSON_TEXTS or not isinstance(value, str):
        return value
    if "{{" not in value and "}}" not in value:
        return value
    try:
        inside = plain_json(value.encode("utf-8", "surrogatepass"))
    except ValueError:
        return value
    return inside if isinstance(inside, dict | list) else value


def _as_fields(item: dict[str, Json], combination: Combination) -> dict[str, Json]:
    """A filled item as the door takes it: with what the matrix adds, and without what only the old
    skill understood."""
    value = {name: given for name, given in item.items() if given is not None}
    value.pop("print_json", None)
    if value.get("reference_images"):
        value.pop("reference_image", None)  # the old skill took the first of both
    if combination:
        value.update(left_out(value, combination))
    for name in NUMBERS & value.keys():
        value[name] = number_of(value[name])
    labels = value.get("labels", {})
    if combination and isinstance(labels, dict):
        value["labels"] = {**labels, **combination}
    return value
