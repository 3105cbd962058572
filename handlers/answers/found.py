"""What an answer holds, and the gathering of it: media, and what cannot be had, each with why.

Every reader of answers (of JSON, of pages, of words) hands what it finds to a `Gathering`, which
is the one place that judges a reference, counts, and leaves out doubles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from handlers.answers.references import Mention, OutOfReach, reach
from handlers.contract import Json, Kind, Medium

MOST = 100
"""Media that are taken of one answer: nobody asks for more than ten."""
_MOST_TEXTS = 100
"""Texts, prompts and notes that are kept, each."""
_LONGEST = 2000
"""Characters of a reference that are kept."""
_WORDS, _PAGES = 1 << 16, 1 << 20
"""Characters of Markdown, and of web pages, that are read of one answer. Markdown costs up to
thirty times as much, if it is meant to hurt."""


class Names(Enum):
    """Which keys of JSON are followed."""

    KNOWN = "those that providers use"
    OUTPUT = "any, for a model chose them; each address is a result"
    ANY = "any; an address is a result where it is a medium's by its ending"


@dataclass(slots=True)
class Found:
    """What an answer holds."""

    media: list[Medium] = field(default_factory=list)
    references: list[Mapping[str, Json]] = field(default_factory=list)
    """Media that cannot be had from here, each with its reference and the reason."""
    unreadable: list[Mapping[str, Json]] = field(default_factory=list)
    """Media whose encoding cannot be read, in the same form."""
    withheld: int = 0
    """Media that the provider's moderation kept back, or replaced by something else."""
    prompts: list[str] = field(default_factory=list)
    """What the provider made of the prompt, where it says so."""
    texts: list[str] = field(default_factory=list)
    """What a chat said besides, or instead."""
    notes: list[str] = field(default_factory=list)
    """What was not read of the answer, and why, in sentences for a person."""

    @property
    def broken(self) -> int:
        """How many media have an encoding that cannot be read."""
        return len(self.unreadable)

    def count(self) -> int:
        """How many media the answer speaks of."""
        return len(self.media) + len(self.references) + self.broken + self.withheld


@dataclass(slots=True)
class Gathering:
    """An answer being read: what was found of it, and how much of it may still be read.

    Args:
        base_url: what relative references are relative to; None where nobody knows.
        kind: what is wanted, where that is known: it is looked for first.
        all_kinds: whether pictures and clips that stand side by side all count.
        names: which keys are followed in JSON.
    """

    base_url: str | None
    kind: Kind | None = None
    all_kinds: bool = False
    names: Names = Names.KNOWN
    found: Found = field(default_factory=Found)
    words_left: int = _WORDS
    pages_left: int = _PAGES
    spares: list[Mention] = field(default_factory=list)
    """Addresses that say nothing of media, and may be some all the same."""
    saw_json: bool = False
    """Whether any of it was JSON."""
    _urls: set[str] = field(default_factory=set)
    _references: set[str] = field(default_factory=set)

    @property
    def is_full(self) -> bool:
        """Whether no more is taken."""
        return self.found.count() >= MOST

    def take(self, mention: Mention) -> bool:
        """Count a mention among what was found; whether it is a medium that can be had."""
        reached = reach(mention, self.base_url)
        if isinstance(reached, OutOfReach):
            self.refuse(mention.reference, reached)
            return False
        self.add(reached)
        return True

    def add(self, medium: Medium) -> None:
        """Count a medium. One address is one medium, however often it is named."""
        if self.is_full or medium.url in self._urls:
            return
        if medium.url is not None:
            self._urls.add(medium.url)
        self.found.media.append(medium)

    def refuse(self, reference: str, reached: OutOfReach) -> None:
        """Count a reference that leads to nothing that can be had."""
        kept = _encodable(reference[:_LONGEST])
        if self.is_full or kept in self._references:
            return
        self._references.add(kept)
        cut = f" (here its first {_LONGEST} characters)" if len(reference) > _LONGEST else ""
        entry = {"reference": kept, "reason": reached.reason + cut}
        (self.found.unreadable if reached.is_broken else self.found.references).append(entry)

    def spare(self, mention: Mention) -> None:
        """Keep an address that says nothing of media."""
        if len(self.spares) < MOST:
            self.spares.append(mention)

    def withhold(self, count: int = 1) -> None:
        """Count media that moderation kept back."""
        self.found.withheld += min(count, MOST)

    def heard(self, text: str) -> None:
        """Keep a text that holds no medium."""
        if len(self.found.texts) < _MOST_TEXTS:
            self.found.texts.append(text)

    def revised(self, prompt: Json) -> None:
        """Keep what the provider made of the prompt, if that is what this is."""
        if isinstance(prompt, str) and prompt.strip() and len(self.found.prompts) < _MOST_TEXTS:
            self.found.prompts.append(_encodable(prompt))

    def note(self, sentence: str) -> None:
        """Keep a sentence on what was not read, once."""
        if sentence not in self.found.notes and len(self.found.notes) < _MOST_TEXTS:
            self.found.notes.append(sentence)

    def words(self, text: str) -> str:
        """As much of a text as may still be read as Markdown."""
        kept = text[: self.words_left]
        self.words_left -= len(kept)
        self._note_cut(text, kept, "text", _WORDS)
        return kept

    def page(self, text: str) -> str:
        """As much of a text as may still be read as a web page."""
        kept = text[: self.pages_left]
        self.pages_left -= len(kept)
        self._note_cut(text, kept, "web pages", _PAGES)
        return kept

    def _note_cut(self, text: str, kept: str, what: str, most: int) -> None:
        if len(kept) < len(text):
            self.note(f"only the first {most} characters of {what} in the answer were read")


def _encodable(text: str) -> str:
    """A text without halves of signs, as JSON's escapes may leave them: no file can hold those."""
    return text.encode("utf-8", "replace").decode()
