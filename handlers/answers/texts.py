"""A text that holds media, whatever it is: an address, base64, JSON, a page, Markdown, or words.

What it is, is told by how it begins; Markdown is made into a page, and read as one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from handlers.answers.folding import folded
from handlers.answers.found import Gathering
from handlers.answers.references import Mention, kind_of_name
from handlers.answers.tiers import Page, Tiers
from handlers.answers.walking import walk
from handlers.answers.words import addresses, bare, is_path
from handlers.contract import Json

_PAGES = ("<!doctype html", "<html", "<head", "<body", "<svg", "<?xml", "<!doctype svg")
_TORN = re.compile(r"[\[{]\s*(?:\"|\{\s*\")")
"""How a text begins that would be JSON if it were whole."""
_MOST_LINES = 1000


def read_text(text: str, gathering: Gathering, depth: int) -> None:
    """Gather the media of a text.

    Args:
        text: any text.
        gathering: where they go.
        depth: how much deeper may be looked: JSON in a text in JSON.
    """
    text = text.strip().removeprefix("\ufeff").strip()
    if not text or depth <= 0 or gathering.is_full or _take_whole(text, gathering):
        return
    value = json_of(text)
    if value is not None:
        walk(value, gathering, depth - 1, read_text)
    elif _TORN.match(text):
        gathering.note("JSON in the answer is damaged, cut short, or nested too deeply")
        gathering.heard(text)
    else:
        before = gathering.found.count()
        _read_markup(text, gathering, depth)
        if gathering.found.count() == before:
            gathering.heard(text)


def read_page_text(text: str, gathering: Gathering, depth: int) -> None:
    """Gather the media of a text that is known to be a web page."""
    from handlers.answers.pages import read_page

    folds = folded(text.strip())
    html = gathering.page(folds.text)
    page = read_page(html, gathering.base_url)
    Tiers(page, html, folds, gathering, _block_reader(gathering, depth)).take()


def is_page(text: str) -> bool:
    """Whether a text begins as a page of its own."""
    return text[:200].lstrip("\ufeff \t\r\n").lower().startswith(_PAGES)


def json_of(text: str) -> Json:
    """What a text says that is JSON, or JSON in each line; None where it is none."""
    if text[:1] not in ("{", "[", '"'):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _lines(text)


def _lines(text: str) -> Json:
    first, newline, _ = text.partition("\n")
    if not newline or not first.rstrip().endswith(("}", "]")):
        return None
    try:
        return [json.loads(line) for line in text.splitlines()[:_MOST_LINES] if line.strip()]
    except (ValueError, RecursionError):
        return None


def is_reference(text: str) -> bool:
    """Whether a text is nothing but a reference."""
    if addresses(text) or is_path(text):
        return True
    return text[:5].lower() == "data:" and "," in text[:200] and " " not in text


def _take_whole(text: str, gathering: Gathering) -> bool:
    """Take a text that is nothing but references, or a medium itself; whether it was."""
    found = addresses(text) or ([text] if is_reference(text) else [])
    for one in found:
        gathering.take(Mention(one, kind_of_name(one)))
    medium = None if found else bare(text)
    if medium is not None:
        gathering.add(medium)
    return bool(found) or medium is not None


def _block_reader(gathering: Gathering, depth: int) -> Callable[[str], None]:
    """Reads a text that stands in another one as it is: a medium or JSON; else it is words."""

    def read_block(text: str) -> None:
        value = None if _take_whole(text, gathering) else json_of(text)
        if value is not None:
            walk(value, gathering, depth - 1, read_text)

    return read_block


def _read_markup(text: str, gathering: Gathering, depth: int) -> None:
    """The media of a page, of Markdown, or of plain words."""
    if is_page(text):
        read_page_text(text, gathering, depth)
        return
    from handlers.answers.pages import read_page
    from handlers.answers.prose import as_html, is_marked_up

    folds = folded(text)
    html, page = "", Page(words=[folds.text])
    read = gathering.words(folds.text) if is_marked_up(folds.text) else ""
    if read:
        html = as_html(read)
        page = read_page(html, gathering.base_url, is_page=False)
        page.words.append(folds.text[len(read) :])
    Tiers(page, html, folds, gathering, _block_reader(gathering, depth)).take()
