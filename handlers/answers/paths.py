"""Paths into an answer, as a configuration writes them: `data.items[*].href`.

Names with dots between, `[n]` for a place in a list (`[-1]` is the last), `[*]` for all that a list
or an object holds, and `["a.b"]` for a name that holds signs of this grammar. It is a small part of
JSONPath (RFC 9535) without its `$`, which may stand in front.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from handlers.contract import HandlerError, Json

_LONGEST = 500
"""Characters of a path."""
_STEP = re.compile(
    r"""(?P<dot>\.)? (?P<name>[^.\[\]"'\s*]+)
      | \[ (?: (?P<place>-?[0-9]{1,6}) | (?P<all>\*) | (?P<quoted>"(?:[^"\\]|\\.)*") ) \]""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Path:
    """Where something stands in an answer.

    Args:
        text: as it was written.
        steps: a name, a place in a list, or None for all there is.
    """

    text: str
    steps: tuple[str | int | None, ...]


def path_of(text: str) -> Path:
    """A path as it was written, read.

    Raises:
        HandlerError: `config_invalid`: it is none; the message says where.
    """
    written = text.strip()
    start = at = 1 if written.startswith("$") else 0
    steps: list[str | int | None] = []
    while at < len(written) <= _LONGEST:
        step = _STEP.match(written, at)
        if step is None or (step["name"] and bool(step["dot"]) == (at == 0)):
            break
        steps.append(_step(step))
        at = step.end()
    if at < len(written) or at == start:
        raise _invalid(written, at)
    return Path(written, tuple(steps))


def values_at(answer: Json, path: Path) -> list[Json]:
    """What stands at a path, in order; empty where nothing does."""
    values = [answer]
    for step in path.steps:
        values = [inner for value in values for inner in _below(value, step)]
    return values


def value_at(answer: Json, path: Path) -> Json:
    """The one value that stands at a path, or the first of several.

    Raises:
        HandlerError: `provider_failed`: there is none; the message says how far the answer goes.
    """
    values = values_at(answer, path)
    if values:
        return values[0]
    place, here = _reached(answer, path)
    raise HandlerError(
        "provider_failed",
        f"the answer has nothing at {path.text!r}: {place} is {_described(here)}",
        hints=["Look at an answer of this provider, and correct the path in its entry."],
        retryable=False,
    )


def _step(match: re.Match[str]) -> str | int | None:
    if match["name"]:
        return match["name"]
    if match["place"]:
        return int(match["place"])
    return None if match["all"] else _unquoted(match["quoted"])


def _unquoted(quoted: str) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError:
        return quoted[1:-1]


def _invalid(written: str, at: int) -> HandlerError:
    if len(written) > _LONGEST:
        what = f"it is longer than {_LONGEST} characters"
    elif at >= len(written):
        what = "it is empty"
    else:
        what = f"it goes wrong at character {at + 1}, {written[at : at + 20]!r}"
    return HandlerError(
        "config_invalid",
        f"{written[:100]!r} is no path into an answer: {what}",
        hints=['Write it like "data.items[*].href" or "output[0]".'],
    )


def _below(value: Json, step: str | int | None) -> list[Json]:
    """What is one step below a value."""
    if step is None:
        inner = value.values() if isinstance(value, dict) else value
        return list(inner) if isinstance(value, (dict, list)) else []
    if isinstance(step, str):
        return [value[step]] if isinstance(value, dict) and step in value else []
    is_there = isinstance(value, list) and -len(value) <= step < len(value)
    return [value[step]] if is_there else []


def _reached(answer: Json, path: Path) -> tuple[str, Json]:
    """The last place of a path that is there, and what stands at it."""
    place, values = "the answer", [answer]
    for step in path.steps:
        deeper = [inner for value in values for inner in _below(value, step)]
        if not deeper:
            break
        written = f".{step}" if isinstance(step, str) else "[*]" if step is None else f"[{step}]"
        place = written.lstrip(".") if place == "the answer" else place + written
        values = deeper
    return place, values[0]


def _described(value: Json) -> str:
    match value:
        case dict():
            names = ", ".join(str(name)[:40] for name in list(value)[:10])
            return f"an object with {names}" if names else "an empty object"
        case list():
            return f"a list of {len(value)}"
        case None:
            return "null"
        case str():
            return "a text"
        case _:
            return "a number or a truth value"
