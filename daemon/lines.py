"""Events as lines of the log, and back.

A line is a CloudEvents 1.0 JSON object (https://github.com/cloudevents/spec). Its last member
`hash` is the SHA-256 of the line's bytes before it, and those bytes hold the hash of the line
before: a chain that `sed` and `sha256sum` can check.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from operator import attrgetter
from typing import NamedTuple

from pydantic_core import from_json, to_json

from daemon.errors import LogCorrupt
from daemon.events import (
    BY_TYPE,
    FIELDS,
    Event,
    JobAccepted,
    JobStarted,
    Recorded,
    RequestMatched,
    ResultEmitted,
)
from handlers.contract import Json

NO_HASH = "0" * 64
"""What the very first line names as the hash before it."""

MAX_LEVELS = 80
"""How deeply a line may nest: a request may do so 64 levels, and stands inside of it."""

_VALUES = {kind: attrgetter(*names, "TYPE") for kind, names in FIELDS.items()}
"""The values of an event's data; with its TYPE behind them, so that it is always a tuple."""

_OURS = frozenset({JobAccepted, JobStarted, RequestMatched, ResultEmitted})
"""Events of which every value is ours, or came through the strict door."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def compact(value: Json) -> str:
    """JSON on one line, as short as it goes; the one way digests are taken of."""
    return _ENCODER.encode(value)


class Draft(NamedTuple):
    """An event and its data as JSON, ready to become a line."""

    event: Event
    data: bytes


def draft(event: Event) -> Draft:
    """An event as a log can hold it.

    Where a plug-in or a provider put in what is no JSON (NaN, half a surrogate pair, an object of
    its own), what comes nearest to it stands instead: no answer is lost because of what is in it,
    and nothing else that waits to be written either.
    """
    kind = type(event)
    data = dict(zip(FIELDS[kind], _VALUES[kind](event), strict=False))
    try:
        written = to_json(data)
        sound = kind in _OURS or _is_sound(data, written)
    except (TypeError, ValueError, RecursionError):
        sound = False
    if not sound:
        data = {name: _nearest(value) for name, value in data.items()}
        event, written = replace(event, **data), to_json(data)
    return Draft(event, written)


def _is_sound(data: Mapping[str, Json], written: bytes) -> bool:
    """Whether data are JSON and nothing else: they read back as they were."""
    if written.count(b"[") + written.count(b"{") > MAX_LEVELS and _is_too_deep(data):
        return False
    return bool(from_json(written, allow_inf_nan=False) == data)


def _is_too_deep(data: Json) -> bool:
    """Whether it nests deeper than a line may; walked level by level, without recursion."""
    level = [data]
    for _ in range(MAX_LEVELS):
        below = [list(item.values()) if isinstance(item, Mapping) else item for item in level]
        level = [
            item for items in below for item in items if isinstance(item, Mapping | list | tuple)
        ]
        if not level:
            return False
    return True


def _nearest(value: object, levels: int = 64) -> Json:
    """The JSON value that comes nearest to some value."""
    if value is None or isinstance(value, int) or not levels:
        return value if isinstance(value, int) else None
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(_nearest(str(k))): _nearest(v, levels - 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_nearest(item, levels - 1) for item in value]
    return str(value).encode("utf-8", "backslashreplace").decode()


def encode(
    recorded: Recorded, source: str, prevhash: str, data: bytes | None = None
) -> tuple[bytes, str]:
    """The line of an event, with its newline, and the line's hash.

    Args:
        recorded: the event; its `event` must not be None.
        source: the CloudEvents source, "/darkroom/<root id>".
        prevhash: the hash of the line before.
        data: the event's data, where it is JSON already.
    """
    event = recorded.event
    if event is None:
        raise ValueError("an event of an unknown type cannot be written")
    data = draft(event).data if data is None else data
    subject = (
        f'"subject":{to_json(recorded.subject).decode()},' if recorded.subject is not None else ""
    )
    job = f'"job":"{recorded.job}",' if recorded.job is not None else ""
    head = (
        f'{{"specversion":"1.0","id":"{recorded.id}","source":"{source}","type":"{event.TYPE}",'
        f'{subject}"time":"{recorded.time}","sequence":"{recorded.sequence:016d}",{job}"data":'
    )
    body = b'%b%b,"prevhash":"%b"' % (head.encode(), data, prevhash.encode())
    digest = hashlib.sha256(body).hexdigest()
    return b'%b,"hash":"%b"}\n' % (body, digest.encode()), digest


def decode(line: bytes, where: str, prevhash: str | None = None) -> tuple[Recorded, str]:
    """Read a line back, and its hash.

    Args:
        line: the bytes, with or without the newline.
        where: segment and line, for the message.
        prevhash: the hash of the line before; None leaves the chain unchecked.

    Raises:
        LogCorrupt: it is no line of a log, its hash is wrong, it does not follow the one before,
            or it is of a type that this version must not ignore.
    """
    body, mark, _ = line.rpartition(b',"hash":"')
    try:
        fields_ = from_json(line, allow_inf_nan=False)
        digest = fields_["hash"]
        if not mark or hashlib.sha256(body).hexdigest() != digest:
            raise LogCorrupt(where, "the line's hash does not fit its bytes")
        if prevhash is not None and fields_["prevhash"] != prevhash:
            raise LogCorrupt(where, "the line does not follow the one before it")
        return _recorded(fields_, where), digest
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LogCorrupt(where, f"not an event: {type(error).__name__}: {error}") from None


def _recorded(line: Mapping[str, Json], where: str) -> Recorded:
    kind = BY_TYPE.get(line["type"])
    if kind is None and not line.get("mayignore", False):
        raise LogCorrupt(
            where,
            f"this version does not know the event type {line['type']!r}; "
            "a newer darkroom wrote it, so run that one",
        )
    event = kind(**line["data"]) if kind is not None else None
    get = line.get
    return Recorded(
        int(line["sequence"]), line["id"], line["time"], get("subject"), get("job"), event
    )
