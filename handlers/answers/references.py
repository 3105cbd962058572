"""References to media: where each of them leads, or why it leads nowhere.

Sources: RFC 3986 (addresses), RFC 2397 (data URLs).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urljoin, urlsplit

from handlers.answers.encoded import EXTENSIONS, of_data_url, sniff
from handlers.contract import Kind, Medium

LONGEST_URL = 8192
"""Characters of an address; servers refuse longer ones."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_NO_SIGN = re.compile(r"[\s\x00-\x1f\x7f\ud800-\udfff\ufffd\\]")
"""What no address holds: blanks, controls, halves of signs, what stands for a broken one, and what
some read as a slash, and others do not."""
_KINDS: dict[str, Kind] = {
    ending: "video" if media_type.startswith("video/") else "image"
    for media_type, ending in EXTENSIONS.items()
} | {".jpeg": "image", ".jfif": "image", ".m4v": "video", ".mkv": "video", ".webm": "video"}
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,5}\Z")
_UNTYPED = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_REASONS = {
    "gs": "only Google's own credentials open it",
    "s3": "only the credentials of its bucket open it",
    "file": "it is a file of another machine",
    "sandbox": "it is a file of the provider's own machine",
    "attachment": "it is a file of the chat it was made in",
    "cid": "it is a part of a message that is not here",
    "blob": "it lay in the memory of a browser",
    "javascript": "it is a program, and no address",
    "about": "it is a page of the browser's own",
}
_NO_ADDRESS = "it is at no address that can be fetched from"


@dataclass(frozen=True, slots=True)
class Mention:
    """A place of an answer that names a medium."""

    reference: str
    """As it stands there."""
    kind: Kind | None = None
    """What it is by the place where it stands."""
    media_type: str | None = None
    """What it is said to be."""
    base: str | None = None
    """What it is relative to, where its page says so."""


@dataclass(frozen=True, slots=True)
class OutOfReach:
    """Why there is nothing to be had by a reference."""

    reason: str
    is_broken: bool = False
    """Whether the medium is there, and cannot be read."""


LOCAL_FILE = OutOfReach("it is a file of the provider's own machine")
BROKEN = OutOfReach("its base64 cannot be read", is_broken=True)
DRAWING = OutOfReach("it is a drawing (SVG), and no picture")
SOUND = OutOfReach("it is sound, and no picture and no clip")


def absolute(base_url: str, reference: str) -> str:
    """Where a reference of an answer points: one that begins with "/" is joined to the origin,
    any other to the base URL.

    Args:
        base_url: without a slash at the end.
        reference: an address, or a part of one.
    """
    base = urlsplit(base_url)
    if reference.startswith("//"):
        return f"{base.scheme}:{reference}"
    if reference.startswith("/"):
        return f"{base.scheme}://{base.netloc}{reference}"
    return reference if _ADDRESS.match(reference) else f"{base_url}/{reference}"


def joined(base: str | None, reference: str) -> str | None:
    """The same as a browser does it, below a page: by its last slash; None where it cannot be."""
    try:
        url = urljoin(base or "", reference)
    except ValueError:
        return None
    return url if is_address(url) else None


def is_address(url: str) -> bool:
    """Whether this is an address of the web, with a host."""
    try:
        parts = urlsplit(url)
        return parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def reach(mention: Mention, base_url: str | None) -> Medium | OutOfReach:
    """The medium that a mention leads to.

    Args:
        mention: a data URL, an address, or a part of one.
        base_url: what it is relative to, if the mention does not say.
    """
    reference = mention.reference.strip()
    if reference[:5].lower() == "data:":
        return _inline(reference)
    scheme = _SCHEME.match(reference)
    if scheme and scheme[1].lower() not in ("http", "https"):
        return OutOfReach(_REASONS.get(scheme[1].lower(), _NO_ADDRESS))
    if not reference or reference.startswith("#") or _NO_SIGN.search(reference):
        return OutOfReach(_NO_ADDRESS)
    if len(reference) > LONGEST_URL:
        return OutOfReach("its address is too long to be one")
    if not scheme and base_url is None and mention.base is None:
        return OutOfReach("it is a part of an address, and nobody says of which (`origin` may)")
    url: str | None = reference
    if not scheme and mention.base is not None:
        url = joined(mention.base, reference)
    elif not scheme:
        url = absolute((base_url or "").rstrip("/"), reference)
    if url is None or not is_address(url):
        return OutOfReach(_NO_ADDRESS)
    return Medium(url=url, media_type=mention.media_type)


def _inline(reference: str) -> Medium | OutOfReach:
    """The medium that a data URL holds."""
    medium = of_data_url(reference)
    if medium is None or medium.data is None:
        return BROKEN
    named = medium.media_type or ""
    if named.startswith("image/svg"):
        return DRAWING
    if named.startswith(("image/", "video/")) or named in _UNTYPED or sniff(medium.data):
        return medium
    return SOUND if named.startswith("audio/") else OutOfReach("it is no picture and no clip")


def kind_of_type(media_type: str | None) -> Kind | None:
    """What a media type is of; None where it is of neither, or says nothing."""
    main = (media_type or "").strip().lower().partition("/")[0]
    return "image" if main == "image" else "video" if main == "video" else None


def kind_of_name(reference: str) -> Kind | None:
    """What an address or a file's name is of, by its ending."""
    return _KINDS.get(ending_of(reference))


def ending_of(reference: str) -> str:
    """The ending of a file's name, or of an address's path, in lower case and with its dot; ""
    where it has none."""
    path = re.split(r"[?#]", reference, maxsplit=1)[0][-LONGEST_URL:]
    ending = _ENDING.search(unquote(path.rpartition("/")[2]))
    return ending[0].lower() if ending else ""


def kind_of(medium: Medium) -> Kind | None:
    """What a medium is of, as far as that can be told without fetching it."""
    if medium.data is not None:
        return kind_of_type(sniff(medium.data) or medium.media_type)
    return kind_of_type(medium.media_type) or kind_of_name(medium.url or "")
