"""Which field of a call a provider refuses, where it says so only in a sentence.

OpenAI names it in `param` and FastAPI in `loc`, which `complaints` reads. Others write "Argument
not supported: image" (xAI), "reference_images: Extra inputs are not permitted" (pydantic),
'json: unknown field "file"' (Go), or "No endpoints found that support image input" (OpenRouter).
What is looked for is therefore known beforehand: the names of what was sent.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from handlers.answers.complaints import Complaint, pointer_of
from handlers.contract import HandlerError

PICTURE_FIELDS = frozenset(
    {
        *("image", "images", "image_url", "image_urls", "input_image", "input_images"),
        *("reference_image", "reference_images", "input_reference", "input_references"),
        *("ref_images", "file", "files"),
    }
)
"""The names by which servers know the pictures that go along."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a call had in it, by the names of its fields as they were sent."""

    names: frozenset[str] = frozenset()
    pictured: tuple[str, ...] = ()
    """Those that hold pictures."""


NOTHING = Sent()
_MOST, _LONGEST = 100, 100
"""Names that are looked for, and the characters of one: the caller may have made them up."""

_QUOTES = "'\"`\u2018\u2019\u201c\u201d"
_PLACE = r"(?:\[\w*\]|\.\w+)*"
"""What may stand behind a name: of "images[0].url" all but the first word."""
_KIND = r"(?:parameter|field|argument|key|property|attribute|input|name)(?:s|\(s\))?"
_WRONG = (
    r"(?:unknown|unexpected|unrecogni[sz]ed|unsupported|invalid|extra|additional|undefined"
    r"|not\s+(?:supported|permitted|allowed|recogni[sz]ed|accepted|available))"
)
_SENTENCES = (
    # in quotes: Unknown parameter: 'image'
    rf"[{_QUOTES}]NAME{_PLACE}[{_QUOTES}]",
    # behind a colon: Argument not supported: image
    rf"(?i:\b{_KIND}(?:\s+\w+){{0,3}}\s?:\s*)(?:[\w.\[\]]+,\s*){{0,9}}NAME{_PLACE}(?!\w)",
    # behind what is wrong: unknown field image
    rf"(?i:\b{_WRONG}\s+(?:\w+\s+){{0,2}}{_KIND}\s+)NAME{_PLACE}(?!\w)",
    # before what is wrong: image: Extra inputs are not permitted
    rf"(?<![\w-])NAME{_PLACE}(?i:\s?:?\s+(?:(?:is|are)\s+)?(?:an?\s+)?{_WRONG})\b",
)
_WHAT_IS_TAKEN = re.compile(
    r"\bexpected one of\b|\b(?:supported|allowed|valid|known) (?:parameter|field|argument|key)s\b",
    re.IGNORECASE,
)
"""Where a sentence goes on to list what would be right."""
_WITH_PICTURES = (
    r"(?:(?:image|vision|multimodal)[ -]inputs?|(?:input|reference)[ -]images?"
    r"|image[ -]references?|image[ -]to[ -]image|img2img)"
)
_NO_PICTURES = re.compile(
    rf"""(?: \bno\b | \bnot\b | n't\b )[^.]{{0,60}}? \b(?:support|accept|allow|take)\w*\s+
         (?:\w+\s+){{0,2}} {_WITH_PICTURES}\b
       | \b{_WITH_PICTURES}\b [^.]{{0,40}}? (?: \bnot\b | n't\b ) \s+ (?:\w+\s+)?
         (?:support|accept|allow|permit|available|enabled)""",
    re.IGNORECASE | re.VERBOSE,
)


def blamed(complaint: Complaint, sent: Sent) -> Complaint:
    """A complaint with the faults that its words come to, where it has none yet.

    Args:
        complaint: what a provider says is wrong.
        sent: what the call had in it.
    """
    if complaint.faults or not complaint.message:
        return complaint
    pointers = dict.fromkeys(map(pointer_of, _named(complaint.message, sent)))
    return replace(
        complaint, faults=tuple((pointer, complaint.message) for pointer in pointers if pointer)
    )


def names_field(error: HandlerError, names: Collection[str]) -> bool:
    """Whether a provider refused a field of one of these names, so that the same call without it
    may do.

    Refused content is none, and neither is a provider that is busy or out of money: only what is
    `provider_rejected` counts.

    Args:
        error: why the call failed.
        names: as they may have been sent: `PICTURE_FIELDS`, and the caller's own.
    """
    wanted = {pointer_of(name) for name in names}
    return error.code == "provider_rejected" and any(
        place in wanted for pointer, _ in error.faults for place in _places(pointer)
    )


def _named(message: str, sent: Sent) -> Iterator[str]:
    """The fields of a call that a sentence names, in the order of their names."""
    told = _WHAT_IS_TAKEN.split(message)[0]
    names = sorted(name for name in sent.names if len(name) <= _LONGEST)
    yield from (name for name in names[:_MOST] if _is_named(name.removesuffix("[]"), told))
    if sent.pictured and _NO_PICTURES.search(message):
        yield from sent.pictured


def _is_named(name: str, message: str) -> bool:
    if name not in message:
        return False
    bare = re.escape(name)
    # A name of several words is no word of any language; a single one may be.
    sentences = (r"(?<!\w)NAME(?!\w)",) if "_" in name else _SENTENCES
    return any(re.search(sentence.replace("NAME", bare), message) for sentence in sentences)


def _places(pointer: str) -> Iterable[str]:
    """Each name of a pointer, as a pointer of its own: of "/a/0/b" these are "/a", "/0", "/b"."""
    return ("/" + part for part in pointer.split("/")[1:])
