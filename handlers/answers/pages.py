"""Web pages, read by an HTML parser: the media that a page shows, links to, or tells of.

Only what the page itself gives for a picture or a clip is taken. Of several files for the same one
(`srcset`, `source`) it is the largest, or the first; a clip counts and not its poster; a link
around a picture counts and not the picture, which is then the small one.

`justhtml` is imported at the top: import this module where a page is at hand, for it takes a
while.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from justhtml import stream

from handlers.answers.references import (
    Mention,
    ending_of,
    joined,
    kind_of_name,
    kind_of_type,
)
from handlers.answers.srcsets import Candidate, alone, candidates, largest
from handlers.answers.tiers import TOLD, Page
from handlers.contract import Kind

_UNSEEN = frozenset({"script", "style", "textarea", "title", "iframe", "noembed", "noframes"})
"""Elements whose text nobody sees; the parser hands it out as text."""
_FOLDS = re.compile(r"[\t\r\n]+")

Attributes = dict[str, str]


def read_page(html: str, base_url: str | None = None, *, is_page: bool = True) -> Page:
    """Read a page, or a piece of one.

    Args:
        html: its text.
        base_url: where it was, for what is relative.
        is_page: whether it is a page of its own, and relative references are so to it.
    """
    reading = _Reading(base_url, is_page=is_page)
    reading.read(html)
    reading.end()
    return reading.page


class _Text(str):
    """A text that remembers where a comment ends.

    At each comment the parser asks for the next of two ends, and looks through all the rest of the
    page for the one that is not there: with many comments that is quadratic.
    """

    __slots__ = ("_ends",)

    def __init__(self, _: str) -> None:
        self._ends: dict[str, tuple[int, int]] = {}

    def find(self, sub: str, start: Any = 0, end: Any = None, /) -> int:
        if sub not in ("-->", "--!>") or end != len(self):
            return super().find(sub, start, end)
        since, at = self._ends.get(sub, (len(self), -1))
        if start < since or 0 <= at < start:
            at = super().find(sub, start)
            self._ends[sub] = int(start), at
        return at


@dataclass(slots=True)
class _Clip:
    """A `video` that is open: where it stands in what is shown, and what was taken for it."""

    at: int
    mention: Mention | None


class _Reading:
    """A page being read, event by event; what matters of what is open is kept, and no tree."""

    def __init__(self, base_url: str | None, *, is_page: bool) -> None:
        self.page = Page()
        self._url = base_url
        self._base = base_url if is_page else None
        self._is_based = False
        self._link: tuple[Mention, int] | None = None
        self._clip: _Clip | None = None
        self._picture: list[Candidate] | None = None
        self._block: list[str] | None = None
        self._in_sound = False
        self._templates = 0
        self._raw: str | None = None
        self._starts: dict[str, Callable[[Attributes], None]] = {
            "base": self._rebase,
            "img": self._img,
            "picture": self._open_picture,
            "video": self._open_clip,
            "source": self._source,
            "audio": self._open_sound,
            "a": self._open_link,
            "meta": self._meta,
            "embed": self._embed,
            "object": self._embed,
            "pre": self._open_block,
        }
        self._ends: dict[str, Callable[[], None]] = {
            "picture": self._close_picture,
            "video": self._close_clip,
            "audio": self._close_sound,
            "a": self._close_link,
            "pre": self._close_block,
        }

    def read(self, html: str, *, scripted: bool = True) -> None:
        """Read a piece of HTML; what is for those without scripts (`noscript`) is read, too."""
        for event, data in stream(_Text(html)):
            if event == "start" and isinstance(data, tuple):
                self._start(str(data[0]), data[1] if isinstance(data[1], dict) else {})
            elif event == "end":
                self._end(str(data))
            elif event == "text" and isinstance(data, str):
                if self._raw == "noscript" and scripted:
                    self._raw = None
                    self.read(data, scripted=False)
                else:
                    self._text(data)

    def end(self) -> None:
        """The page is over: what was never closed is what it is by now."""
        self._leave_clip()
        self._close_picture()
        self._close_block()

    # ------------------------------------------------------------ events

    def _start(self, name: str, given: dict[str, str | None]) -> None:
        self._raw = name if name in _UNSEEN or name == "noscript" else None
        self._templates += name == "template"
        self.page.drawings += name == "svg"
        if not self._templates and name in self._starts:
            self._starts[name]({key: value or "" for key, value in given.items()})

    def _end(self, name: str) -> None:
        self._raw = None
        if not self._templates and name in self._ends:
            self._ends[name]()
        self._templates -= name == "template" and self._templates > 0

    def _text(self, text: str) -> None:
        if self._raw in _UNSEEN or self._templates:
            return
        self.page.words.append(text)
        if self._block is not None:
            self._block.append(text)

    # ------------------------------------------------------------ pictures

    def _img(self, given: Attributes) -> None:
        src, late = given.get("src", ""), given.get("data-src", "")
        if late and (not src or src[:5].lower() == "data:"):  # filled in by a script, when seen
            src = late
        choice = [alone(src)] if src.strip() else []
        choice += candidates(given.get("srcset", ""))
        choice += self._picture or []
        self._picture = [] if self._picture is not None else None
        if not _is_pixel(given):
            self._show(largest(choice), "image")

    def _open_picture(self, _: Attributes) -> None:
        self._close_picture()
        self._picture = []

    def _close_picture(self) -> None:
        if self._picture:
            self._show(largest(self._picture), "image")
        self._picture = None

    # ------------------------------------------------------------ clips

    def _open_clip(self, given: Attributes) -> None:
        self._leave_clip()
        self._clip = _Clip(len(self.page.shown), self._mention(given.get("src"), "video"))
        poster = self._mention(given.get("poster"), "image")
        self.page.posters += [poster] if poster else []

    def _close_clip(self) -> None:
        """What stands in it is for those who cannot play it, and the same once more."""
        if self._clip is not None and self._clip.mention is not None:
            del self.page.shown[self._clip.at :]
        self._leave_clip()

    def _leave_clip(self) -> None:
        """It counts; what stands behind it does too, where nobody said that it was over."""
        clip, self._clip = self._clip, None
        if clip is not None and clip.mention is not None:
            self.page.shown.insert(clip.at, clip.mention)

    def _source(self, given: Attributes) -> None:
        media_type = given.get("type", "")
        if self._in_sound:
            self._sound(given.get("src"))
        elif self._clip is not None:
            if self._clip.mention is None:
                self._clip.mention = self._mention(given.get("src"), "video", media_type)
        elif self._picture is not None:
            self._picture += candidates(given.get("srcset", ""), media_type)
        else:
            self._embed(given)

    # ------------------------------------------------------------ sounds

    def _open_sound(self, given: Attributes) -> None:
        self._in_sound = True
        self._sound(given.get("src"))

    def _close_sound(self) -> None:
        self._in_sound = False

    def _sound(self, src: str | None) -> None:
        if src and src.strip():
            self.page.sounds.append(src.strip())

    # ------------------------------------------------------------ links

    def _open_link(self, given: Attributes) -> None:
        self._link = None
        href, named = given.get("href", "").strip(), given.get("download")
        mention = self._mention(href, None, given.get("type"))
        if mention is None:
            return
        kind = kind_of_type(mention.media_type) or kind_of_name(named or "") or kind_of_name(href)
        is_loose = named is not None and not ending_of(named or href)
        if kind is None and not is_loose:
            self.page.elsewhere.append(mention)
            return
        self._link = Mention(href, kind, mention.media_type, mention.base), len(self.page.shown)
        self.page.linked.append(self._link[0])

    def _close_link(self) -> None:
        """A link to a medium around pictures leads to what they are the small form of."""
        link, self._link = self._link, None
        around = self.page.shown[link[1] :] if link is not None and self._clip is None else []
        if link is not None and around and all(one.kind == "image" for one in around):
            self.page.shown[link[1] :] = [link[0]]

    def _embed(self, given: Attributes) -> None:
        mention = self._mention(given.get("src") or given.get("data"), None, given.get("type"))
        if mention is not None:
            kind = kind_of_type(mention.media_type) or kind_of_name(mention.reference)
            if kind is not None:
                self._show(mention.reference, kind, mention.media_type)

    def _meta(self, given: Attributes) -> None:
        name = (given.get("property") or given.get("name") or "").strip().lower()
        mention = self._mention(given.get("content"), TOLD.get(name))
        if mention is None or name not in TOLD:
            return
        if mention.kind == "image" or kind_of_name(mention.reference) == "video":  # or a player
            self.page.told.setdefault(name, []).append(mention)

    # ------------------------------------------------------------ the rest

    def _rebase(self, given: Attributes) -> None:
        """The first `base` counts (the HTML standard, 4.2.3)."""
        base = joined(self._url, given.get("href", "").strip())
        if base is not None and not self._is_based:
            self._base, self._is_based = base, True

    def _open_block(self, _: Attributes) -> None:
        self._close_block()
        self._block = []

    def _close_block(self) -> None:
        if self._block and len(self._block) == 1:  # put together, pieces may say something else
            self.page.blocks += self._block
        self._block = None

    def _show(self, reference: str | None, kind: Kind, media_type: str | None = None) -> None:
        mention = self._mention(reference, kind, media_type)
        if mention is not None:
            self.page.shown.append(mention)

    def _mention(
        self, reference: str | None, kind: Kind | None, media_type: str | None = None
    ) -> Mention | None:
        """A reference without the folds that an attribute may have, and with blanks written out,
        as the URL standard has it."""
        plain = _FOLDS.sub("", reference or "").strip()
        if not plain or plain.startswith("#"):  # the page itself
            return None
        if plain[:5].lower() != "data:":
            plain = plain.replace(" ", "%20")
        return Mention(plain, kind, media_type or None, self._base)


def _is_pixel(given: Attributes) -> bool:
    """Whether a picture is there to count who looks, and not to be seen."""
    return any(given.get(side, "").strip() in ("0", "1", "1px") for side in ("width", "height"))
