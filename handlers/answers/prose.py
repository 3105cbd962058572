"""Markdown, as chats answer with it: made into HTML by a parser of it, and read as that.

CommonMark without what moves no medium: lists, quotes, headings and emphasis are plain text here,
so that an indented picture in a list is one, too, and no code. HTML within it passes through.

`markdown-it-py` is imported at the top: import this module where a text is at hand.
"""

from __future__ import annotations

from markdown_it import MarkdownIt

_RULES = (
    *("fence", "html_block", "reference", "link", "image", "autolink", "html_inline"),
    *("backticks", "escape", "entity", "newline"),
)
_NESTING = 6
"""A picture in a link needs two; each more makes nested brackets dearer."""
_SIGNS = ("](", "][", "]:", "<", "`")
"""Without one of these no text holds anything of Markdown that matters here."""


class _Verbatim(MarkdownIt):
    """Addresses stay as they are written: others judge where they lead."""

    def validateLink(self, url: str) -> bool:  # noqa: N802 (its name there)
        return bool(url)

    def normalizeLink(self, url: str) -> str:  # noqa: N802 (its name there)
        return url

    def normalizeLinkText(self, link: str) -> str:  # noqa: N802 (its name there)
        return link


_PARSER = _Verbatim("zero", {"html": True, "maxNesting": _NESTING}).enable(_RULES)


def is_marked_up(text: str) -> bool:
    """Whether a text may hold anything that is more than words."""
    return any(sign in text for sign in _SIGNS)


def as_html(text: str) -> str:
    """A text in Markdown as a piece of HTML."""
    return str(_PARSER.render(text))
