"""What a page holds, in tiers, and the choice among them.

The best tier that holds something counts: what is shown, then JSON that stands in the page, what is
linked to, addresses among the words, what its head tells of it, and what stands for a clip until it
is played. The lower ones say the same again, or less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from handlers.answers.folding import Folded
from handlers.answers.found import Gathering
from handlers.answers.references import DRAWING, SOUND, Mention
from handlers.answers.words import mentions
from handlers.contract import Kind

_MOST_BLOCKS = 100
"""Texts within a page that are looked into."""
TOLD: dict[str, Kind] = {
    "og:video:secure_url": "video",
    "og:video:url": "video",
    "og:video": "video",
    "og:image:secure_url": "image",
    "og:image:url": "image",
    "og:image": "image",
    "twitter:image": "image",
}
"""What a page tells others of itself, the best first."""


@dataclass(slots=True)
class Page:
    """What a page holds."""

    shown: list[Mention] = field(default_factory=list)
    """Pictures and clips, in order."""
    linked: list[Mention] = field(default_factory=list)
    """What it links to as a medium, by its ending or as a download."""
    elsewhere: list[Mention] = field(default_factory=list)
    """Where all else that it links to is."""
    told: dict[str, list[Mention]] = field(default_factory=dict)
    """What its head tells others of it, by name."""
    posters: list[Mention] = field(default_factory=list)
    """What stands for a clip until it is played."""
    sounds: list[str] = field(default_factory=list)
    drawings: int = 0
    """How many drawings (SVG) stand in it."""
    blocks: list[str] = field(default_factory=list)
    """The texts that stand in it as they are (`pre`), and without an element in them."""
    words: list[str] = field(default_factory=list)
    """All the text that is seen, in pieces."""

    def told_best(self) -> list[Mention]:
        """What its head tells, by the best of the names that it uses."""
        return next((self.told[name] for name in TOLD if self.told.get(name)), [])


class Tiers:
    """What a page holds, the best first.

    Args:
        page: a page, or Markdown made into one.
        html: the text of it.
        folds: what was taken out of the text before.
        to: where its media go.
        read_block: reads a text that stands in the page as it is.
    """

    def __init__(
        self,
        page: Page,
        html: str,
        folds: Folded,
        to: Gathering,
        read_block: Callable[[str], None],
    ) -> None:
        self._page = page
        self._html = html
        self._folds = folds
        self._to = to
        self._read_block = read_block

    def take(self) -> None:
        """Take the best tier that holds some of what is wanted, or else of the other kind."""
        before, page = self._to.found.count(), self._page
        if self._took(page.shown):
            self._take_clips_beside()
            return
        had = self._to.found.count()
        for block in page.blocks[:_MOST_BLOCKS]:
            self._read_block(self._folds.unfolded(block).strip())
        if self._to.found.count() > had:
            return
        tiers = (page.linked, tuple(self._words()), page.told_best(), page.posters)
        if any(self._took(tier) for tier in tiers):
            return
        if not any(self._had(tier) for tier in (page.shown, *tiers)) and self._to.kind:
            self._spare()
        if self._to.found.count() == before:
            self._refuse_rest()

    def _take_clips_beside(self) -> None:
        """Clips that are linked to are no pictures over again, where both are wanted."""
        if self._to.all_kinds and all(one.kind == "image" for one in self._page.shown):
            self._had([one for one in self._page.linked if one.kind == "video"])

    def _took(self, tier: Iterable[Mention]) -> bool:
        """Take what is wanted of a tier; whether any of it can be had."""
        wanted = self._to.kind
        return self._had([one for one in tier if wanted is None or one.kind in (None, wanted)])

    def _had(self, tier: Sequence[Mention]) -> bool:
        had = [self._to.take(self._unfolded(mention)) for mention in tier]
        return any(had)

    def _unfolded(self, mention: Mention) -> Mention:
        return replace(mention, reference=self._folds.unfolded(mention.reference))

    def _words(self, *, any_address: bool = False) -> Iterator[Mention]:
        for text in self._page.words:
            yield from mentions(text, any_address=any_address)

    def _spare(self) -> None:
        for mention in (*self._page.elsewhere, *self._words(any_address=True)):
            self._to.spare(mention)

    def _refuse_rest(self) -> None:
        """What no file here can hold: drawings, and sound."""
        for drawing in _drawings(self._html, self._page.drawings):
            self._to.refuse(self._folds.unfolded(drawing), DRAWING)
        for sound in self._page.sounds:
            self._to.refuse(self._folds.unfolded(sound), SOUND)


def _drawings(html: str, count: int) -> Iterator[str]:
    """The drawings of a page, as they stand in it.

    Args:
        html: the page.
        count: how many the parser found.
    """
    lower, end = html.lower(), 0
    for _ in range(count):
        start = lower.find("<svg", end)
        end = lower.find("</svg>", start) + len("</svg>")
        if start < 0 or end < len("</svg>"):
            return
        yield html[start:end]
