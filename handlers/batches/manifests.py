"""Manifests: bytes or lists -> the items of a batch, each as it was written. Pure.

A manifest is a JSON array, or JSONL with one object a line. A line that is no good is an item that
carries its fault, and stops no other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from handlers.contract import ErrorCode, Json

Parse = Callable[[bytes], Json]
"""Bytes -> the JSON value that they are; raises ValueError whose text says what is wrong."""

_LINES: Final = (".jsonl", ".ndjson")
_KINDS: Final = {dict: "an object", list: "a list", str: "a text", bool: "a boolean"}
_WHITE: Final = b" \t\r\n"


class ManifestUnreadable(ValueError):
    """A manifest, or a file of names, is no good as a whole; the message says why."""


class ItemFault(NamedTuple):
    """What is wrong with one item."""

    code: ErrorCode
    message: str
    pointer: str = ""
    """Where in the item, as a JSON pointer."""


class Entry(NamedTuple):
    """One item of a manifest, as it was written: its value, or what is wrong with it."""

    value: Mapping[str, Json] | None
    fault: ItemFault | None = None
    line: int | None = None
    """Its line in the file, from 1, where it has a line to itself."""


def plain_json(data: bytes) -> Json:
    """Parse JSON, without what its readers disagree on: names given twice, and NaN. The daemon has
    a door that is stricter still, and hands that in.

    Raises:
        ValueError: it is no such JSON.
    """
    try:
        return json.loads(data.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"not JSON: {error.msg.lower()} at {where}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: byte {error.start}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a name is given more than once in one object")
    return value


def _no_constant(text: str) -> Json:
    raise ValueError(f"{text} is no JSON")


def items_in(data: bytes, name: str, parse: Parse = plain_json) -> Iterator[Entry]:
    """Read a manifest.

    What begins with `[` is an array. Anything else is read by lines where the name ends in
    `.jsonl` or its first line is a JSON value by itself; blank lines do not count. One object over
    several lines is one item. A manifest of nothing has no items.

    Args:
        data: the file's bytes.
        name: of the file, for its ending and for messages.
        parse: how JSON is parsed.

    Raises:
        ManifestUnreadable: it is neither of both. It is raised at once, and not while items are
            read.
    """
    content = data.strip(_WHITE)
    by_lines = name.lower().endswith(_LINES)
    if not content:
        return iter(())
    if content.startswith(b"[") or not by_lines:
        try:
            return entries_of(parse(data))
        except ValueError as error:
            if not by_lines and not _is_json(content.split(b"\n", 1)[0], parse):
                message = f"{name} is no JSON array and no JSONL: {error}"
                raise ManifestUnreadable(message) from None
    return _lines(data, parse)


def entries_of(value: Json) -> Iterator[Entry]:
    """The items that a request holds itself, as a list or as a single object."""
    items: Iterable[Json] = value if isinstance(value, list) else [value]
    return map(_entry, items)


def vars_in(data: bytes, name: str, parse: Parse = plain_json) -> Mapping[str, Json]:
    """Read a file of names.

    Args:
        data: the file's bytes: a JSON object.
        name: of the file, for messages.
        parse: how JSON is parsed.

    Raises:
        ManifestUnreadable: it holds no object.
    """
    try:
        value = parse(data)
    except ValueError as error:
        raise ManifestUnreadable(f"{name} is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise ManifestUnreadable(f"{name} must hold an object, not {kind_of(value)}")
    return value


def _lines(data: bytes, parse: Parse) -> Iterator[Entry]:
    """The items of JSONL, one at a time: the bytes are there, but not all values at once."""
    number, start = 0, 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        number, line, start = number + 1, data[start:end].strip(_WHITE), end + 1
        if line:
            yield _entry_of_line(line, number, parse)


def _entry_of_line(line: bytes, number: int, parse: Parse) -> Entry:
    try:
        value, fault, _ = _entry(parse(line))
    except ValueError as error:
        value, fault = None, ItemFault("invalid_json", str(error))
    if fault is not None:
        fault = fault._replace(message=f"line {number}: {fault.message}")
    return Entry(value, fault, number)


def _entry(value: Json) -> Entry:
    if isinstance(value, dict):
        return Entry(value)
    return Entry(None, ItemFault("invalid_request", f"an item is an object, not {kind_of(value)}"))


def _is_json(data: bytes, parse: Parse) -> bool:
    try:
        parse(data)
    except ValueError:
        return False
    return True


def kind_of(value: Json) -> str:
    """What a value is, in words."""
    return _KINDS.get(type(value), "null" if value is None else "a number")
