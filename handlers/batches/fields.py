"""Which fields an item may have, and which of them hold numbers. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Final

from handlers.contract import Json

_NUMBERS: Final = """n count seed seconds durationSeconds fps timeout timeoutMs poll_interval
max_polls priority max_attempts deadline_seconds x y x2 y2 width height left right top bottom expand
shrink feather threshold sample_size fill_holes remove_specks blur_radius"""
_SHARED: Final = """task id provider model endpoint extra extra_json extra_json_file out_dir prefix
max_attempts timeout poll_interval max_polls priority not_before deadline_seconds dry_run
download"""

NUMBERS: Final = frozenset(_NUMBERS.split())
"""Fields that hold a number in every task that has them, by all of their spellings."""

SHARED: Final[Mapping[str, str]] = {
    **{name: name for name in _SHARED.split()},
    "filename": "prefix",
    "timeoutMs": "timeout",
}
"""Fields of every task that a matrix may set, each by its spellings."""

_OLD_NAMES: Final = {"generate_consistent_media": "reference_media"}
_REFERENCES: Final = ("reference_image", "reference_images", "consistent")
_NUMBER: Final = re.compile(r"[+-]?\d{1,18}(\.\d{1,18})?", re.ASCII)


def left_out(item: Mapping[str, Json], values: Mapping[str, Json]) -> dict[str, Json]:
    """Those of the values whose names are fields of the item that it leaves out, however they are
    spelled."""
    fields = _fields_of({**values, **item})
    given = {fields.get(name, name) for name in item}
    return {
        name: value
        for name, value in values.items()
        if name in fields and fields[name] not in given
    }


def _fields_of(item: Mapping[str, Json]) -> Mapping[str, str]:
    """Spelling -> field, of the task that an item is for."""
    task = item.get("task") or routed(item)
    return {**SHARED, **_own_fields().get(_OLD_NAMES.get(str(task), str(task)), {})}


def routed(item: Mapping[str, Json]) -> str:
    """The task of an item that names none, as the door infers it."""
    if any(item.get(name) for name in _REFERENCES):
        return "reference_media"
    return "generate_video" if item.get("mode") == "video" else "generate_image"


@cache
def _own_fields() -> Mapping[str, Mapping[str, str]]:
    """Of each task, spelling -> field."""
    from handlers import find_handlers  # which imports the modules of all tasks

    return {
        task: {**{name: name for name in model.model_fields}, **model.ALIASES}
        for task, model in ((task, one.request) for task, one in find_handlers().items())
    }


def number_of(value: Json) -> Json:
    """The number that a text is; anything else as it is."""
    text = value.strip() if isinstance(value, str) else ""
    if not _NUMBER.fullmatch(text):
        return value
    return float(text) if "." in text else int(text)
