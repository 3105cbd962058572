"""Server-sent events: what a stream ended with, as if it had been one JSON answer.

The format is that of the HTML standard, "9.2.6 Interpreting an event stream". Pictures on the way
(`…partial_image`) are left out: only what is completed counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from handlers.contract import Json

_LINES = re.compile(r"\r\n|\n|\r")


def events(body: bytes) -> Iterator[tuple[str, str]]:
    """The name and the data of each event; the name is "message" where none is given."""
    name = "message"
    lines: list[str] = []
    for line in [*_LINES.split(body.decode("utf-8", "replace").removeprefix("\ufeff")), ""]:
        if not line:
            if lines:
                yield name, "\n".join(lines)
            name, lines = "message", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            lines.append(value)


def final_answer(body: bytes) -> dict[str, Json]:
    """What a stream of events comes to: `data` of all that were completed, `choices` of a chat,
    `error` where one came, and the `usage` that was told last."""
    answer: dict[str, Json] = {}
    done: list[Json] = []
    pieces: list[Json] = []
    for name, data in events(body):
        if data.strip() == "[DONE]":
            break
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            continue
        kind = str(value.get("type", name)) if isinstance(value, dict) else name
        if kind == "error" or (isinstance(value, dict) and value.get("error")):
            answer["error"] = value.get("error", value) if isinstance(value, dict) else value
        elif isinstance(value, dict):
            done += [value] if kind.endswith(".completed") or "data" in value else []
            pieces += value["choices"] if isinstance(value.get("choices"), list) else []
            answer |= {key: value[key] for key in ("usage", "model") if value.get(key)}
    if done:
        answer["data"] = [part for value in done for part in _parts(value)]
    if pieces:
        answer["choices"] = [{"message": _message(pieces), "finish_reason": _finish(pieces)}]
    return answer


def _parts(value: dict[str, Json]) -> list[Json]:
    return value["data"] if isinstance(value.get("data"), list) else [value]


def _message(pieces: list[Json]) -> dict[str, Json]:
    """One message of the pieces of a chat that came one after the other."""
    text = ""
    images: list[Json] = []
    for piece in pieces:
        delta = piece.get("delta") or piece.get("message") if isinstance(piece, dict) else None
        if isinstance(delta, dict):
            text += delta["content"] if isinstance(delta.get("content"), str) else ""
            images += delta["images"] if isinstance(delta.get("images"), list) else []
            images += delta["content"] if isinstance(delta.get("content"), list) else []
    return {"content": text, "images": images}


def _finish(pieces: list[Json]) -> Json:
    reasons = [piece.get("finish_reason") for piece in pieces if isinstance(piece, dict)]
    return next((reason for reason in reversed(reasons) if reason), None)
