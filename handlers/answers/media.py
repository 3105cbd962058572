"""Pictures and clips out of an answer, in whichever shape they come: where readers begin.

`media_of` reads the JSON of a provider that is known, by the keys that providers use.
`read_anything` reads an answer of which nothing is known. `media_at` reads what stands at places
that a configuration names.
"""

from __future__ import annotations

from collections.abc import Iterable

from handlers.answers.bodies import main_type, read_body, read_string
from handlers.answers.found import MOST, Found, Gathering, Names
from handlers.answers.paths import path_of, values_at
from handlers.answers.references import LONGEST_URL, Mention, absolute, is_address, kind_of
from handlers.answers.texts import read_text
from handlers.answers.walking import DEPTH, walk
from handlers.answers.words import bare
from handlers.contract import Json, Kind, Medium

__all__ = ["Found", "absolute", "media_at", "media_of", "read_anything"]


def media_of(answer: Json, base_url: str, kind: Kind | None = None) -> Found:
    """All the media of an answer, in order.

    Args:
        answer: parsed JSON.
        base_url: what relative addresses are relative to.
        kind: what was asked for; of several media that stand side by side it counts first.
    """
    gathering = Gathering(base_url, kind)
    walk(answer, gathering, DEPTH, read_text)
    return gathering.found


def media_at(answer: Json, paths: Iterable[str], base_url: str, kind: Kind | None = None) -> Found:
    """The media that stand at given places of an answer.

    Args:
        answer: parsed JSON.
        paths: where they stand, as "data.items[*].href"; all of them are read, in order.
        base_url: what relative addresses are relative to.
        kind: what was asked for.

    Raises:
        HandlerError: `config_invalid`: a path cannot be read.
    """
    gathering = Gathering(base_url, kind, all_kinds=kind is None)
    for path in paths:
        for value in values_at(answer, path_of(path)):
            if isinstance(value, str) and _is_reference(value):
                gathering.take(Mention(value.strip()))
            else:
                walk(value, gathering, DEPTH, read_text)
    return gathering.found


def read_anything(
    body: bytes | str | Json,
    *,
    media_type: str | None = None,
    base_url: str | None = None,
    kind: Kind | None = None,
) -> Found:
    """All the media of an answer of which nothing is known, in order and without doubles.

    It is read by the keys that providers use, and where those hold nothing, by all others. What is
    neither fetched nor held is in `references`, as it stands in the answer.

    Args:
        body: a medium, or text, or JSON, as bytes, as text, or parsed.
        media_type: its Content-Type, with its parameters, where there is one.
        base_url: where it was, or what relative addresses are relative to.
        kind: what is wanted. Then the other kind only counts where none of this one is found, and
            an address that does not say what it is counts where nothing else is found.
    """
    base = base_url.strip() if base_url and is_address(base_url.strip()) else None
    first = gathering = _gathered(body, media_type or "", base, kind, Names.KNOWN)
    if first.saw_json and not first.found.count():
        gathering = _gathered(body, media_type or "", base, kind, Names.ANY)
        gathering.found.texts = first.found.texts
    for spare in gathering.spares if kind and not gathering.found.count() else ():
        gathering.take(spare)
    return _settled(gathering.found, kind)


def _gathered(
    body: bytes | str | Json,
    content_type: str,
    base_url: str | None,
    kind: Kind | None,
    names: Names,
) -> Gathering:
    gathering = Gathering(base_url, kind, all_kinds=kind is None, names=names)
    if isinstance(body, (bytes, bytearray)):
        read_body(bytes(body), content_type, gathering)
    elif isinstance(body, str):
        read_string(body, main_type(content_type), gathering)
    else:
        walk(body, gathering, DEPTH, read_text)
    return gathering


def _settled(found: Found, kind: Kind | None) -> Found:
    """What was found without the same bytes twice, and without the other kind, if it holds any of
    the one that is wanted."""
    unique: dict[bytes | str | None, Medium] = {}
    for one in found.media:
        unique.setdefault(one.data or one.url, one)
    media = list(unique.values())
    wanted = [one for one in media if kind_of(one) == kind]
    unknown = [one for one in media if kind_of(one) in (None, kind)]
    found.media = unknown if kind and wanted else media
    if found.count() >= MOST:
        found.notes.append(f"only the first {MOST} media of the answer were taken")
    found.references += found.unreadable
    found.unreadable = []
    return found


def _is_reference(text: str) -> bool:
    """Whether a text at a place that somebody named is an address, or a part of one."""
    plain = text.strip()
    return (
        0 < len(plain) <= LONGEST_URL
        and not any(sign.isspace() for sign in plain)
        and plain[0] not in '{[<"'
        and "](" not in plain
        and bare(plain) is None
    )
