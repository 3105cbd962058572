"""The body of an answer of whichever kind: a medium, parts, a stream of events, a page, a text."""

from __future__ import annotations

import json

from handlers.answers.encoded import sniff
from handlers.answers.found import Gathering
from handlers.answers.parts import Part, parts_of
from handlers.answers.streams import events, final_answer
from handlers.answers.texts import is_page, is_reference, read_page_text, read_text
from handlers.answers.walking import DEPTH, walk
from handlers.contract import Json, Medium

_CHARSETS = {
    name: name
    for name in (
        *("utf-16", "utf-16le", "utf-16be", "gbk", "gb18030", "big5", "shift_jis", "euc-jp"),
        *("euc-kr", "windows-1251", "windows-1252", "koi8-r"),
    )
} | dict.fromkeys(("iso-8859-1", "latin-1", "latin1", "us-ascii", "ascii"), "windows-1252")
"""Encodings that are read besides UTF-8, as the Encoding standard names them. Python has others,
and some of those take their time."""
_MARKS = {b"\xff\xfe": "utf-16le", b"\xfe\xff": "utf-16be"}
_EVENTS = ("event:", "data: ", "data:{", "data:[", ": ")
_HTML = ("text/html", "application/xhtml+xml", "image/svg+xml")
_MOST_EVENTS = 1000
"""Events, the last of a stream, that are looked at one by one."""
_NESTED = 2
"""Parts within parts that are looked into."""


def read_body(
    body: bytes,
    content_type: str,
    gathering: Gathering,
    nested: int = _NESTED,
) -> None:
    """Gather the media of bytes: by what they are, and then by what they are said to be.

    Args:
        body: all of it.
        content_type: the header, with its parameters; "" where there is none.
        gathering: where the media go.
        nested: how many parts within parts may still be looked into.
    """
    named = main_type(content_type)
    if sniff(body) is not None:
        gathering.add(Medium(body, media_type=sniff(body)))
    elif named.startswith("multipart/"):
        if nested > 0:
            _read_parts(list(parts_of(body, content_type)), gathering, nested - 1)
    elif body and named.startswith(("image/", "video/")) and not _begins_as_text(body):
        gathering.add(Medium(body, media_type=named))
    else:
        read_string(_text_of(body, content_type), named, gathering)


def read_string(text: str, named: str, gathering: Gathering) -> None:
    """Gather the media of a text that is all of an answer.

    Args:
        text: all of it.
        named: its media type, without parameters; "" where nobody says.
        gathering: where the media go.
    """
    begins = text[:200].lstrip("\ufeff \t\r\n")
    if named == "text/event-stream" or begins.startswith(_EVENTS):
        _read_stream(text, gathering)
    elif named in _HTML and begins[:1] == "<" and not is_page(text):
        read_page_text(text, gathering, DEPTH)
    else:
        read_text(text, gathering, DEPTH)


def main_type(content_type: str) -> str:
    """A media type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def _begins_as_text(body: bytes) -> bool:
    return body[:512].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"<", b"{", b"[")


def _text_of(body: bytes, content_type: str) -> str:
    """A body as text, by its own mark, by the type's `charset`, or as UTF-8."""
    _, _, told = content_type.lower().partition("charset=")
    told = told.partition(";")[0].strip().strip("\"'")
    charset = _MARKS.get(body[:2]) or _CHARSETS.get(told, "utf-8")
    return body.decode(charset, "replace")


def _read_parts(parts: list[Part], gathering: Gathering, nested: int) -> None:
    """The media among the parts; where none is one, what the parts say."""
    media = [part for part in parts if _is_medium(part)]
    for part in media or parts:
        read_body(part.data, part.content_type, gathering, nested)


def _is_medium(part: Part) -> bool:
    named = main_type(part.content_type).startswith(("image/", "video/"))
    return sniff(part.data) is not None or (named and not _begins_as_text(part.data))


def _read_stream(text: str, gathering: Gathering) -> None:
    """What a stream of events ended with; else the last event that holds media; else its words."""
    body = text.encode("utf-8", "replace")
    told = list(events(body))[-_MOST_EVENTS:]
    if not told:
        read_text(text, gathering, DEPTH)
    before = gathering.found.count()
    walk(final_answer(body), gathering, DEPTH, read_text)
    words: list[str] = []
    for name, data in reversed(told):
        if gathering.found.count() > before:
            return
        value = _parsed(data)
        if value is None:
            words += [data] if name in ("message", "output") else []
        elif not _is_draft(name, value):
            walk(value, gathering, DEPTH, read_text)
    words.reverse()
    are_many = all(is_reference(one.strip()) for one in words)  # else they are pieces of one text
    for one in words if are_many else ["".join(words)]:
        read_text(one, gathering, DEPTH)


def _parsed(data: str) -> Json:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _is_draft(name: str, value: Json) -> bool:
    """Whether an event is about a picture on its way, or an error."""
    kind = f"{name} {value.get('type', '')}" if isinstance(value, dict) else name
    return "partial" in kind or "error" in kind
