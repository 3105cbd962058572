"""Strict JSON: what two readers could take two ways is a fault, with a pointer to it. Pure.

JSON (RFC 8259) has corners in which readers disagree: duplicate keys, NaN, numbers that do not
fit, half characters. A request that means one thing to its sender and another to us could cost
money, so all of them are refused.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice

from daemon.errors import BadRequest, Fault
from handlers.contract import Json

MAX_DEPTH = 64
"""How deeply lists and objects may nest."""

MAX_FAULTS = 50
"""How many faults of one request are told; a hostile one may hold millions."""

WHITE = b" \t\r\n"
"""JSON's white space."""

_INTEGERS = range(-(1 << 63), 1 << 64)


def pointer_of(parts: Collection[str]) -> str:
    """A JSON pointer (RFC 6901) of its unescaped parts."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def fault_at(parts: Collection[str], message: str) -> Fault:
    """A fault and the pointer to it, which is cut where a name on the way is endless."""
    pointer = pointer_of(parts)
    return Fault(pointer if len(pointer) <= 200 else pointer[:199] + "…", message)


@dataclass(frozen=True, slots=True)
class _Bad:
    """Stands in a parsed value for what JSON's readers disagree on."""

    message: str


class _Doubled(dict[str, Json]):
    """An object in which keys came more than once."""

    keys_twice: tuple[str, ...] = ()


def _pairs(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    doubled = _Doubled(value)
    counts = Counter(name for name, _ in pairs)
    doubled.keys_twice = tuple(name for name, count in counts.items() if count > 1)
    return doubled


def _integer(text: str) -> int | _Bad:
    # Judged by its length first: int() of a long text takes time, and refuses past 4,300 digits.
    if len(text) <= 20 and (number := int(text)) in _INTEGERS:
        return number
    return _Bad("a whole number that does not fit 64 bits")


def _float(text: str) -> float | _Bad:
    number = float(text)
    return number if abs(number) != float("inf") else _Bad("a number too large")


def _constant(text: str) -> _Bad:
    return _Bad(f"{text} is no JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_integer, parse_float=_float, parse_constant=_constant
)


def parse_json(data: bytes) -> Json:
    """Parse JSON strictly.

    Raises:
        BadRequest: it is no JSON, or holds what readers of JSON disagree on: a byte order mark,
            duplicate keys, NaN and infinities, numbers that do not fit, half surrogate pairs, or
            more than `MAX_DEPTH` levels.
    """
    text = _decoded(data)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _invalid(f"not JSON: {error.msg.lower()} at {where}") from None
    except RecursionError:
        raise _too_deep() from None
    faults = list(islice(_faults(value), MAX_FAULTS))
    if faults:
        raise _invalid("; ".join(f"{f.pointer or '/'} {f.message}" for f in faults[:3]), faults)
    return value


def _decoded(data: bytes) -> str:
    if not data.strip(WHITE + b"\0"):
        raise _invalid("the file is empty")
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise _invalid("begins with a byte order mark; save it as plain UTF-8")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _invalid(f"not UTF-8: byte {error.start} (line {line})") from None


def _faults(item: Json, place: tuple[str, ...] = ()) -> Iterator[Fault]:
    """What is wrong inside a parsed value, in its order. Memory and recursion grow with the depth
    alone, as a list may have millions of items."""
    if isinstance(item, _Bad):
        yield fault_at(place, item.message)
    elif isinstance(item, str):
        if _half_character(item):
            yield fault_at(place, "half of a surrogate pair is no character")
    elif isinstance(item, dict | list):
        if len(place) >= MAX_DEPTH:
            raise _too_deep()
        if isinstance(item, _Doubled):
            for name in item.keys_twice:
                yield fault_at([*place, _readable(name)], "given more than once")
        for key, below in item.items() if isinstance(item, dict) else enumerate(item):
            if isinstance(key, str) and _half_character(key):
                yield fault_at(place, "a name with half of a surrogate pair")
            elif not _is_plain(below):
                yield from _faults(below, (*place, str(key)))


def _is_plain(item: Json) -> bool:
    """Whether nothing can be wrong with it."""
    return item is None or isinstance(item, int | float) or (type(item) is str and item.isascii())


def _half_character(text: str) -> bool:
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _readable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _invalid(message: str, faults: Collection[Fault] = ()) -> BadRequest:
    return BadRequest("invalid_json", message, tuple(faults), ["A request is one JSON object."])


def _too_deep() -> BadRequest:
    return BadRequest("limit_exceeded", f"nested more than {MAX_DEPTH} levels deep")
