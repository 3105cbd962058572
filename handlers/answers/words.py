"""Media in words that follow no grammar: addresses in a sentence, base64 on its own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from handlers.answers.encoded import decoded, sniff
from handlers.answers.references import LONGEST_URL, Mention, kind_of_name
from handlers.contract import Medium

_LONG = 100
"""Characters from which a bare text may be base64."""
_STOPS = r"\s\x00-\x1f\x7f\ufffd\\<>\"'`，。；：！？、）】》」』”’"
"""What ends an address in a sentence; Chinese leaves no space behind one."""
_WITHIN = re.compile(
    r"data:(?:image|video)/[\w.+-]+(?:;[\w=.+-]+)*;base64,[A-Za-z0-9+/_-]+={0,2}"
    rf"|(?:(?:https?|gs|s3|ftp|file)://|sandbox:/)[^{_STOPS}]+",
    re.IGNORECASE,
)
_NEXT = re.compile(r",(?=https?://)", re.IGNORECASE)
_NO_ASCII = re.compile(r"[^\x00-\x7f]")
_TRAILING = frozenset(").,;:!?]}*>\"'")
_PAIRS = {")": "(", "]": "[", "}": "{"}
_ONE_URL = re.compile(r"https?://[^\s\\<>\"']+", re.IGNORECASE)
_ONE_PATH = re.compile(r"/[^\s<>\"'/]+/[^\s<>\"']{1,2000}")
_MOST_URLS = 1000


def addresses(text: str) -> list[str]:
    """The addresses that a text is nothing but; empty where it is anything else."""
    parts = text.split(None, _MOST_URLS)
    if not parts or not _ONE_URL.fullmatch(parts[0]):
        return []
    return parts if all(_ONE_URL.fullmatch(part) for part in parts) else []


def is_path(text: str) -> bool:
    """Whether a text is a path of a server's own, and nothing else."""
    return _ONE_PATH.fullmatch(text) is not None


def bare(text: str) -> Medium | None:
    """Base64 under no name of its own: only where it is long and begins as a medium does."""
    head = decoded("".join(text[:64].split())[:40]) if len(text) > _LONG else None
    if head is None or sniff(head) is None:
        return None
    data = decoded(text)
    return Medium(data, media_type=sniff(data)) if data else None


def mentions(text: str, *, any_address: bool = False) -> Iterator[Mention]:
    """The data URLs and the addresses of media in a text, in order; those too that are of no web.

    Args:
        text: any text.
        any_address: whether one counts too that says nothing of media. Else it is left alone: a
            refusal names its rules in such a way.
    """
    for match in _WITHIN.finditer(text) if ":" in text else ():
        if match[0][:5].lower() == "data:":
            yield Mention(match[0])
            continue
        for part in _NEXT.split(match[0]):
            url = _named(trimmed(part), any_address=any_address)
            if url is not None:
                yield Mention(url, kind_of_name(url))


def trimmed(url: str) -> str:
    """An address without what is the sentence's: stops, quotes, and brackets it did not open."""
    end = len(url)
    if url[-1:] not in _TRAILING:
        return url
    balance = {close: url.count(close) - url.count(opened) for close, opened in _PAIRS.items()}
    while end and url[end - 1] in _TRAILING:
        sign = url[end - 1]
        if sign in balance and balance[sign] <= 0:
            break
        if sign in balance:
            balance[sign] -= 1
        end -= 1
    return url[:end]


def _named(url: str, *, any_address: bool) -> str | None:
    """The address of a medium, maybe with words in another script right behind it."""
    if len(url) > LONGEST_URL:
        return None
    if kind_of_name(url):
        return url
    latin = _NO_ASCII.split(url, maxsplit=1)[0]
    if kind_of_name(latin):
        return latin
    return url if any_address else None
