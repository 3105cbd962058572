"""Base64 by the megabyte taken out of a text before a grammar is asked what the text says.

A run of such signs means nothing to HTML and nothing to Markdown: it is one word of an attribute,
of an address, or of a text. So it may as well be a short word while it is parsed, and be put back
into what comes out. It also costs nothing of the size up to which a text is read.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_RUN = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{1024,}")
"""The look behind has each run looked at once, however many fall short of the length."""


@dataclass(frozen=True, slots=True)
class Folded:
    """A text with short words in place of its longest ones.

    Args:
        text: what is left of it.
        runs: what was taken out.
        mark: how a word begins that stands for one of them: no text can hold its own digest.
    """

    text: str
    runs: tuple[str, ...]
    mark: str

    def unfolded(self, text: str) -> str:
        """A part of the text as it was."""
        if not self.runs or self.mark not in text:
            return text
        return re.sub(f"{self.mark}([0-9]+)x", lambda match: self.runs[int(match[1])], text)


def folded(text: str) -> Folded:
    """A text without its long runs of base64."""
    runs: list[str] = []
    if _RUN.search(text) is None:
        return Folded(text, (), "")
    mark = "F" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32] + "x"

    def stand_in(match: re.Match[str]) -> str:
        runs.append(match[0])
        return f"{mark}{len(runs) - 1}x"

    shorter = _RUN.sub(stand_in, text)
    return Folded(shorter, tuple(runs), mark)
