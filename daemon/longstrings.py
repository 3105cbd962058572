"""Long strings of a request, which are too much for a line of the log. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from daemon.strictjson import pointer_of
from handlers.contract import Json

LONG = 4 << 10
"""Characters from which a request's string goes to a blob."""


def without_long_strings(value: Mapping[str, Json]) -> tuple[dict[str, Json], dict[str, str]]:
    """A request with its long strings taken out.

    Returns:
        The request with "" in their place, and the strings by JSON pointer.
    """
    taken: dict[str, str] = {}

    def thin(item: Json, place: tuple[str, ...]) -> Json:
        if isinstance(item, str):
            if len(item) < LONG:
                return item
            taken[pointer_of(place)] = item
            return ""
        if isinstance(item, dict):
            return {name: thin(below, (*place, name)) for name, below in item.items()}
        if isinstance(item, list):
            return [thin(below, (*place, str(index))) for index, below in enumerate(item)]
        return item

    thinned: dict[str, Json] = thin(dict(value), ())
    return thinned, taken


def with_long_strings(value: Mapping[str, Json], strings: Mapping[str, str]) -> dict[str, Json]:
    """The inverse of `without_long_strings`."""

    def fill(item: Json, place: tuple[str, ...]) -> Json:
        if isinstance(item, str):
            return strings.get(pointer_of(place), item) if item == "" else item
        if isinstance(item, dict):
            return {name: fill(below, (*place, name)) for name, below in item.items()}
        if isinstance(item, list):
            return [fill(below, (*place, str(index))) for index, below in enumerate(item)]
        return item

    filled: dict[str, Json] = fill(dict(value), ())
    return filled


def placeholders(value: Json, digests: Mapping[str, str]) -> Json:
    """A request as rows show it: in the place of each long string stands its digest."""
    if not digests or not isinstance(value, Mapping):
        return value
    return with_long_strings(value, {place: f"sha256:{one}" for place, one in digests.items()})
